//! A short-lived cache of API keys and of what partners may receive.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};

use crate::{
    auth::{KeyRecord, PartnerAccess},
    control::{self, Store},
    domain::{
        PracticePass,
        ids::{KeyId, PartnerId},
    },
};

/// The maximum age of a cached entry.
///
/// Within this time, a revoked key's tokens and webhooks stop everywhere. Partners are promised 60
/// s.
const MAX_AGE: SignedDuration = SignedDuration::from_secs(30);
const MAX_ENTRIES: usize = 10_000;
/// The minimum interval between writes of a key's last use.
const LAST_USE_STEP: SignedDuration = SignedDuration::from_secs(60);

#[derive(Default)]
pub struct KeyCache {
    entries: Mutex<HashMap<KeyId, (Option<KeyRecord>, Timestamp)>>,
    access: Mutex<HashMap<Receiver, (Arc<PartnerAccess>, Timestamp)>>,
    last_use: Mutex<HashMap<KeyId, LastUse>>,
}

/// A partner in a practice.
type Receiver = (PracticePass, PartnerId);

struct LastUse {
    used: Timestamp,
    written: Option<Timestamp>,
}

impl KeyCache {
    /// Returns the key, at most 30 s old and not older than `version`.
    ///
    /// A caller has proved that this version of the secret exists.
    pub async fn get(
        &self,
        store: &Store,
        (id, version): (&KeyId, i64),
        now: Timestamp,
    ) -> Result<Option<KeyRecord>, control::Error> {
        if let Some((record, read)) = lock(&self.entries).get(id)
            && now.duration_since(*read) < MAX_AGE
            && record.as_ref().is_none_or(|record| record.version >= version)
        {
            return Ok(record.clone());
        }
        let record = store.live_api_key(id).await?;
        let mut entries = lock(&self.entries);
        if entries.len() >= MAX_ENTRIES {
            entries.clear();
        }
        entries.insert(id.clone(), (record.clone(), now));
        Ok(record)
    }

    /// Returns what the partner may receive from the practice, at most 30 s old.
    pub(super) async fn access(
        &self,
        store: &Store,
        receiver: &Receiver,
        now: Timestamp,
    ) -> Result<Arc<PartnerAccess>, control::Error> {
        if let Some((access, read)) = lock(&self.access).get(receiver)
            && now.duration_since(*read) < MAX_AGE
        {
            return Ok(access.clone());
        }
        let access = Arc::new(store.partner_access(&receiver.0, &receiver.1).await?);
        let mut known = lock(&self.access);
        if known.len() >= MAX_ENTRIES {
            known.clear();
        }
        known.insert(receiver.clone(), (access.clone(), now));
        Ok(access)
    }

    pub(super) fn forget_access(&self, receiver: &Receiver) {
        lock(&self.access).remove(receiver);
    }

    /// Removes the partner's keys and access from the cache: this process sees a change at once.
    pub fn forget_partner(&self, partner: &PartnerId) {
        lock(&self.access).retain(|(_, known), _| known != partner);
        lock(&self.entries).retain(|_, (key, _)| key.as_ref().is_some_and(|key| key.partner_id != *partner));
    }

    pub fn note_use(&self, id: &KeyId, now: Timestamp) {
        let mut last_use = lock(&self.last_use);
        last_use
            .entry(id.clone())
            .and_modify(|it| it.used = now)
            .or_insert(LastUse { used: now, written: None });
    }

    pub(super) async fn write_last_use(&self, store: &Store, now: Timestamp) {
        let due: Vec<(KeyId, Timestamp)> = {
            let mut last_use = lock(&self.last_use);
            let is_due = |it: &LastUse| {
                it.written
                    .is_none_or(|written| it.used > written && now.duration_since(written) >= LAST_USE_STEP)
            };
            let due: Vec<_> = last_use
                .iter_mut()
                .filter(|(_, it)| is_due(it))
                .map(|(id, it)| {
                    it.written = Some(it.used);
                    (id.clone(), it.used)
                })
                .collect();
            last_use.retain(|_, it| now.duration_since(it.used) < SignedDuration::from_hours(1));
            due
        };
        for (id, used) in due {
            if let Err(error) = store.touch_api_key(&id, used).await {
                tracing::warn!(%error, "a key's last use was not written");
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
