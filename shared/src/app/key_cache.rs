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
/// The maximum age of a partner's state when access is read.
///
/// The practices of a partner share one item, which each access would read otherwise. With
/// [`MAX_AGE`] and an attempt's 15 s, a suspended partner's webhooks stop within 60 s.
const PARTNER_AGE: SignedDuration = SignedDuration::from_secs(10);
const MAX_ENTRIES: usize = 10_000;
/// The minimum interval between writes of a key's last use.
const LAST_USE_STEP: SignedDuration = SignedDuration::from_secs(60);

#[derive(Default)]
pub struct KeyCache {
    entries: Mutex<HashMap<KeyId, (Option<KeyRecord>, Timestamp)>>,
    access: Mutex<HashMap<Receiver, (Arc<PartnerAccess>, Timestamp)>>,
    /// Whether partners are active, and when that was read.
    partners: Mutex<HashMap<PartnerId, (bool, Timestamp)>>,
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
            && is_fresh(*read, now, MAX_AGE)
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

    /// Returns what the partner may receive from the practice: its keys at most 30 s ago, and
    /// whether it was suspended at most 40 s ago.
    pub(super) async fn access(
        &self,
        store: &Store,
        receiver: &Receiver,
        now: Timestamp,
    ) -> Result<Arc<PartnerAccess>, control::Error> {
        if let Some((access, read)) = lock(&self.access).get(receiver)
            && is_fresh(*read, now, MAX_AGE)
        {
            return Ok(access.clone());
        }
        let (practicepass, partner) = receiver;
        let (is_active, keys) = futures::try_join!(
            self.is_active(store, partner, now),
            store.keys_in_practice(practicepass, partner)
        )?;
        let access = Arc::new(PartnerAccess::new(practicepass.clone(), partner.clone(), is_active, &keys));
        let mut known = lock(&self.access);
        if known.len() >= MAX_ENTRIES {
            known.clear();
        }
        known.insert(receiver.clone(), (access.clone(), now));
        Ok(access)
    }

    /// Whether the partner exists and is not suspended, at most 10 s ago.
    async fn is_active(
        &self,
        store: &Store,
        partner: &PartnerId,
        now: Timestamp,
    ) -> Result<bool, control::Error> {
        if let Some((is_active, read)) = lock(&self.partners).get(partner)
            && is_fresh(*read, now, PARTNER_AGE)
        {
            return Ok(*is_active);
        }
        let is_active = store.is_active_partner(partner).await?;
        let mut known = lock(&self.partners);
        if known.len() >= MAX_ENTRIES {
            known.clear();
        }
        known.insert(partner.clone(), (is_active, now));
        Ok(is_active)
    }

    pub(super) fn forget_access(&self, receiver: &Receiver) {
        lock(&self.access).remove(receiver);
        lock(&self.partners).remove(&receiver.1);
    }

    /// Removes the partner's keys and access from the cache: this process sees a change at once.
    pub fn forget_partner(&self, partner: &PartnerId) {
        lock(&self.access).retain(|(_, known), _| known != partner);
        lock(&self.partners).remove(partner);
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

/// Whether an entry that was read at `read` may be used at `now`.
///
/// A clock that was set back must not keep an entry for as long as it was ahead.
fn is_fresh(read: Timestamp, now: Timestamp, max_age: SignedDuration) -> bool {
    now.duration_since(read).abs() < max_age
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
