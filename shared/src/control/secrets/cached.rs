//! One cached secret: its value, when it was fetched, and a lock for fetching.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

use super::{MAX_AGE, MAX_AGE_IN_AN_OUTAGE, PAUSE};
use crate::control::{Error, Result};

/// The longest wait for a newer value while an old one is available.
const FETCH_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(super) struct CachedSecret {
    state: Mutex<State>,
    /// Held during a fetch; concurrent callers share the result.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    /// The value and the time when it was fetched.
    value: Option<(Arc<str>, Timestamp)>,
    /// The result of the last fetch, and when it started.
    last: Option<(Result<Arc<str>>, Timestamp)>,
    fetches: u64,
}

impl State {
    /// Returns the last fetch's result, if the fetch started within the pause before `now`.
    fn recent(&self, now: Timestamp) -> Option<Result<Arc<str>>> {
        let (outcome, at) = self.last.as_ref()?;
        (now.duration_since(*at) < PAUSE).then(|| outcome.clone())
    }

    fn value_younger_than(&self, age: jiff::SignedDuration, now: Timestamp) -> Option<Arc<str>> {
        let (value, at) = self.value.as_ref()?;
        (now.duration_since(*at) < age).then(|| value.clone())
    }
}

impl CachedSecret {
    /// Returns the cached value, or fetches it if it is too old.
    pub(super) async fn get<F: Future<Output = Result<Arc<str>>>>(
        &self,
        now: Timestamp,
        fetch: impl FnOnce() -> F,
    ) -> Result<Arc<str>> {
        let (fresh, old, asked_before, fetches) = {
            let state = self.state();
            let fresh = state.value_younger_than(MAX_AGE, now);
            let old = state.value_younger_than(MAX_AGE_IN_AN_OUTAGE, now);
            (fresh, old, state.recent(now).is_some(), state.fetches)
        };
        if let Some(fresh) = fresh {
            return Ok(fresh);
        }
        let Some(old) = old else { return self.shared(fetches, now, fetch).await };
        // One caller fetches every now and then. The others do not wait, since this may be an
        // outage.
        if asked_before || self.fetching.try_lock().is_err() {
            return Ok(old);
        }
        match self.shared_within(FETCH_TIMEOUT, fetches, now, fetch).await {
            Err(error @ Error::Unavailable { .. }) => {
                tracing::warn!(%error, "a secret is used beyond its age");
                Ok(old)
            }
            // The secret was deleted or access to it was revoked, presumably on purpose.
            outcome => outcome,
        }
    }

    /// Returns the newest value: a cached one other than `held`, or a fetched one.
    ///
    /// Within the pause, the last fetch's result is reused.
    pub(super) async fn newest<F: Future<Output = Result<Arc<str>>>>(
        &self,
        held: &str,
        now: Timestamp,
        fetch: impl FnOnce() -> F,
    ) -> Result<Arc<str>> {
        let (recent, fetches) = {
            let state = self.state();
            if let Some((value, _)) = state.value.as_ref().filter(|(value, _)| **value != *held) {
                return Ok(value.clone());
            }
            (state.recent(now), state.fetches)
        };
        match recent {
            Some(outcome) => outcome,
            None => self.shared_within(FETCH_TIMEOUT, fetches, now, fetch).await,
        }
    }

    async fn shared_within<F: Future<Output = Result<Arc<str>>>>(
        &self,
        limit: Duration,
        fetches: u64,
        now: Timestamp,
        fetch: impl FnOnce() -> F,
    ) -> Result<Arc<str>> {
        let slow = || Error::Unavailable { service: "Secrets Manager", reason: "timed out".into() };
        let bounded = async || tokio::time::timeout(limit, fetch()).await.unwrap_or_else(|_| Err(slow()));
        self.shared(fetches, now, bounded).await
    }

    /// Fetches the value, or waits for a fetch in progress and shares its result.
    ///
    /// `fetches` is the number of fetches when the caller last looked at the cached value.
    async fn shared<F: Future<Output = Result<Arc<str>>>>(
        &self,
        fetches: u64,
        now: Timestamp,
        fetch: impl FnOnce() -> F,
    ) -> Result<Arc<str>> {
        let _fetching = self.fetching.lock().await;
        {
            let state = self.state();
            if let Some((outcome, _)) = state.last.as_ref().filter(|_| state.fetches > fetches) {
                return outcome.clone();
            }
        }
        let outcome = fetch().await;
        let mut state = self.state();
        state.fetches += 1;
        state.last = Some((outcome.clone(), now));
        match &outcome {
            Ok(value) => state.value = Some((value.clone(), now)),
            Err(Error::Unavailable { .. }) => {}
            Err(_) => state.value = None,
        }
        outcome
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
