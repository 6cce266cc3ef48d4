//! Limits on calls per minute for each API key, without a store call before the response.
//!
//! Each environment counts its own calls and exchanges counts with the others after its responses:
//! at once after a pause, otherwise each second or after a hundredth of the calls that are left,
//! whichever is sooner. It rejects calls as soon as it knows that the key is over its limit. With
//! `n` environments that receive calls in a window, a key can exceed its limit by `n` hundredths of
//! it, or by `n` calls if that is more.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use jiff::{SignedDuration, Timestamp};

use crate::{
    control::{Store, ephemeral::window_start},
    domain::ids::KeyId,
};

const WINDOW_SECONDS: i64 = 60;
/// The longest that calls are counted only here, while calls arrive.
const LONGEST_PENDING: SignedDuration = SignedDuration::from_secs(1);
/// The share of the calls that are left that may be counted only here.
const MOST_PENDING: u64 = 100;

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
    limit: u64,
    exchanged_at: Timestamp,
}

impl Window {
    fn left(&self) -> u64 {
        self.limit.saturating_sub(self.global + self.pending)
    }

    /// Whether the others must hear of this environment's calls.
    fn is_due(&self, now: Timestamp) -> bool {
        self.pending > 0
            && (now.duration_since(self.exchanged_at) >= LONGEST_PENDING
                || self.pending.saturating_mul(MOST_PENDING) >= self.left())
    }
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
        window.limit = u64::from(limit);
        let allowed = window.left() > 0;
        if allowed {
            window.pending += 1;
        }
        Rate {
            limit,
            remaining: u32::try_from(window.left()).unwrap_or(u32::MAX),
            reset: start + WINDOW_SECONDS - now.as_second(),
            allowed,
        }
    }

    /// Adds this environment's calls to the shared counts that are due, and reads the totals.
    pub(super) async fn exchange(&self, store: &Store, now: Timestamp) {
        for (key, start, calls) in self.due(now) {
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
                window.exchanged_at = now;
            }
        }
    }

    /// Returns the windows to exchange, each with its start and this environment's calls.
    fn due(&self, now: Timestamp) -> Vec<(KeyId, i64, u64)> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = windows.values().map(|it| it.start).max().unwrap_or_default();
        windows.retain(|_, it| it.start == newest);
        let due = windows.iter().filter(|(_, it)| it.is_due(now));
        due.map(|(key, it)| (key.clone(), it.start, it.pending)).collect()
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

    #[test]
    fn calls_are_exchanged_at_once_after_a_pause_and_otherwise_together() {
        let limits = RateLimits::default();
        let key = KeyId("k".into());
        let at = |milliseconds: i64| Timestamp::from_millisecond(milliseconds).unwrap();
        let call = |milliseconds: i64| {
            limits.admit(&key, 600, at(milliseconds));
            limits.due(at(milliseconds)).iter().map(|(_, _, calls)| *calls).sum::<u64>()
        };
        let exchanged = |global: u64, milliseconds: i64| {
            let mut windows = limits.windows.lock().unwrap();
            let window = windows.get_mut(&key).unwrap();
            (window.global, window.pending, window.exchanged_at) = (global, 0, at(milliseconds));
        };
        assert_eq!(call(60_000), 1, "an idle environment");
        exchanged(1, 60_000);
        assert_eq!([60_010, 60_020, 60_030, 60_040, 60_050, 60_060].map(call), [0, 0, 0, 0, 0, 6]);
        exchanged(7, 60_060);
        assert_eq!([60_100, 61_060].map(call), [0, 2], "after a second");
        exchanged(550, 61_060);
        assert_eq!(call(61_070), 1, "few are left");
        assert_eq!(call(120_000), 1, "another window");
    }
}
