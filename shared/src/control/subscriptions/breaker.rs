//! The circuit breaker of an endpoint, with its lane and pace.
//!
//! It has the states of a database's circuit breaker (`sql/circuit_breaker.rs`), but is a record:
//! all processes share it, conditional writes decide between them, and its times are those of the
//! app's clock. It also tells an endpoint that hangs or fails from one that asks for a wait (429).

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::pace::{FURTHEST_MS, LONGEST_HOLD, Pace};

/// How long a circuit is open at first, in seconds; doubled after each failed probe.
const FIRST_OPEN: i64 = 15;
const LONGEST_OPEN: i64 = 600;
/// After this time a probe's process is considered dead; it exceeds an attempt's duration.
pub(super) const PROBE_LIMIT: SignedDuration = SignedDuration::from_secs(20);
/// The number of consecutive quick responses after which an endpoint leaves the slow lane.
pub(super) const QUICK_ANSWERS: u32 = 5;

/// The limits on an endpoint's deliveries; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Breaker {
    /// When a response last exceeded the fast lane's limit; cleared by [`QUICK_ANSWERS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) slow_since: Option<Timestamp>,
    /// Consecutive quick responses since then.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) quick_answers: u32,
    /// The circuit is open until then (Unix milliseconds); afterwards one delivery probes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) open_until: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) open_seconds: Option<i64>,
    /// A probe is in progress, at most until then (Unix milliseconds).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) probe_until: Option<i64>,
    /// Present if the endpoint answered 429.
    #[serde(flatten)]
    pub(super) pace: Option<Pace>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// How an endpoint's deliveries are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BreakerState {
    /// Immediately.
    Closed,
    /// In the slow lane, where they do not delay other endpoints' deliveries.
    Slow,
    /// Not yet: the circuit is open because the endpoint hung or kept failing.
    Open,
    /// One delivery probes the endpoint; the others wait.
    HalfOpen,
    /// Not yet: the endpoint answered 429.
    Held,
    /// At a limited rate, because the endpoint answered 429.
    Paced,
}

impl Breaker {
    pub fn state(&self, now: Timestamp) -> BreakerState {
        let pace = self.pace(now);
        let held = pace.is_some_and(|it| it.is_held(now));
        let now = now.as_millisecond();
        match self.open_until {
            Some(until) if now < until && until - now <= FURTHEST_MS => BreakerState::Open,
            Some(_) => BreakerState::HalfOpen,
            None if held => BreakerState::Held,
            None if pace.is_some() => BreakerState::Paced,
            None if self.slow_since.is_some() => BreakerState::Slow,
            None => BreakerState::Closed,
        }
    }

    pub fn is_slow(&self) -> bool {
        self.slow_since.is_some()
    }

    pub fn is_open(&self) -> bool {
        self.open_until.is_some()
    }

    /// Whether a probe is in progress.
    pub fn is_probed(&self, now: Timestamp) -> bool {
        let now = now.as_millisecond();
        self.probe_until.is_some_and(|until| now < until && until <= latest_probe(now))
    }

    pub fn slow_since(&self) -> Option<Timestamp> {
        self.slow_since
    }

    /// Returns the pace at which the endpoint is called; `None` without a limit.
    pub fn pace(&self, now: Timestamp) -> Option<&Pace> {
        self.pace.as_ref().filter(|it| it.applies(now))
    }

    /// Returns until when the endpoint must not be called; `None` if it may be called now.
    pub fn held_until(&self, now: Timestamp) -> Option<Timestamp> {
        let now = now.as_millisecond();
        let held = [self.pace.as_ref().map(|it| it.held_until), self.open_until].into_iter().flatten();
        let held = held.filter(|it| now < *it && it - now <= FURTHEST_MS).max();
        held.and_then(|it| Timestamp::from_millisecond(it).ok())
    }

    /// Takes the pace of `known` if it is newer: an earlier series never follows a later one.
    pub fn keep_newer_pace(&mut self, known: &Self) {
        let series = |it: &Self| it.pace.as_ref().map(|pace| (pace.series, pace.held_until, pace.slots));
        if series(self) < series(known) {
            self.pace.clone_from(&known.pace);
        }
    }

    /// Returns when the endpoint may be probed; `None` if its circuit is closed.
    pub fn open_until(&self) -> Option<Timestamp> {
        Timestamp::from_millisecond(self.open_until?).ok()
    }

    /// Opens the circuit. `asked` is the wait that the endpoint requested.
    pub(super) fn open(&mut self, now: Timestamp, asked: Option<Duration>) {
        let seconds = self.open_seconds.map_or(FIRST_OPEN, |before| (before * 2).min(LONGEST_OPEN));
        let asked = asked.unwrap_or_default().min(LONGEST_HOLD).as_secs();
        let wait = i64::try_from(asked).unwrap_or_default().max(seconds);
        self.open_until = Some(now.as_millisecond() + wait * 1000);
        self.open_seconds = Some(seconds);
        self.probe_until = None;
    }
}

/// Returns the latest end of a probe in progress, in Unix milliseconds, for clocks that differ a
/// little. A later end is from a clock that was ahead.
pub(super) fn latest_probe(now: i64) -> i64 {
    now.saturating_add(2 * PROBE_LIMIT.as_secs() * 1000)
}
