//! Limits on calls per minute for each API key, without a store call before the response.
//!
//! Each environment counts its own calls and exchanges counts with the others after its responses.
//! It rejects calls as soon as it knows that the key is over its limit. How far a key can exceed
//! the limit is bounded by the number of environments.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;

use crate::{
    control::{Store, ephemeral::window_start},
    domain::ids::KeyId,
};

const WINDOW_SECONDS: i64 = 60;

/// How many calls a caller has left, for the `RateLimit` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub limit: u32,
    pub remaining: u32,
    /// Seconds until the window ends.
    pub reset: i64,
    pub allowed: bool,
}

#[derive(Default)]
struct Window {
    start: i64,
    /// The count of all environments at the last exchange.
    global: u64,
    /// This environment's calls since then.
    pending: u64,
}

#[derive(Default)]
pub struct RateLimits {
    windows: Mutex<HashMap<KeyId, Window>>,
}

impl RateLimits {
    /// Counts a call of `key`, which may make `limit` calls per minute.
    pub fn admit(&self, key: &KeyId, limit: u32, now: Timestamp) -> Rate {
        let start = window_start(now, WINDOW_SECONDS);
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.entry(key.clone()).or_default();
        if window.start != start {
            *window = Window { start, ..Window::default() };
        }
        let allowed = window.global + window.pending < u64::from(limit);
        if allowed {
            window.pending += 1;
        }
        let remaining = u64::from(limit).saturating_sub(window.global + window.pending);
        Rate {
            limit,
            remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
            reset: start + WINDOW_SECONDS - now.as_second(),
            allowed,
        }
    }

    /// Adds this environment's calls to the shared counts, and reads the totals.
    pub(super) async fn exchange(&self, store: &Store) {
        let pending: Vec<(KeyId, i64, u64)> = {
            let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
            let newest = windows.values().map(|it| it.start).max().unwrap_or_default();
            windows.retain(|_, it| it.pending > 0 || it.start == newest);
            windows
                .iter()
                .filter(|(_, it)| it.pending > 0)
                .map(|(key, it)| (key.clone(), it.start, it.pending))
                .collect()
        };
        for (key, start, calls) in pending {
            let global = match store.add_to_window(&format!("calls#{key}"), start, calls).await {
                Ok(global) => global,
                Err(error) => {
                    tracing::warn!(%error, "a rate window could not be exchanged");
                    continue;
                }
            };
            let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(window) = windows.get_mut(&key)
                && window.start == start
            {
                window.global = global;
                window.pending -= calls.min(window.pending);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_over_its_limit_is_rejected_until_the_window_ends() {
        let limits = RateLimits::default();
        let key = KeyId("k".into());
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        assert_eq!(limits.admit(&key, 2, at(119)), Rate { limit: 2, remaining: 1, reset: 1, allowed: true });
        assert_eq!(limits.admit(&key, 2, at(120)), Rate { limit: 2, remaining: 1, reset: 60, allowed: true });
        assert!(limits.admit(&key, 2, at(130)).allowed);
        assert_eq!(
            limits.admit(&key, 2, at(140)),
            Rate { limit: 2, remaining: 0, reset: 40, allowed: false }
        );
        assert!(limits.admit(&key, 2, at(180)).allowed);
    }
}
