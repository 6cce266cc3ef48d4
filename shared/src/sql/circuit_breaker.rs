//! The circuit breaker of a practice's database, or of the catalog's.
//!
//! After a timeout the circuit opens for a moment: calls fail at once, except one probe.
//!
//! Each process has its own, in memory: opening a circuit costs no call, and a process learns of an
//! unavailable database with one timeout. Endpoints' circuit breakers have the same states, but are
//! records that all processes share (`control/subscriptions/health.rs`), because their partners see
//! each attempt.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::Timeouts;

/// The circuit stays open for at most this many cooldowns.
const MAX_COOLDOWNS: u32 = 3;

/// The circuit breaker's state for one database.
#[derive(Debug, Default)]
pub(crate) struct CircuitBreaker {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    failed_at: Option<Instant>,
    open_until: Option<Instant>,
}

/// What a call may do with a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Accept,
    /// The circuit is half-open: reconnect and probe.
    Probe,
    Reject,
}

impl CircuitBreaker {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Admits a call.
    ///
    /// After a cooldown one call is admitted as a probe; others are rejected until it finishes or
    /// times out.
    pub(crate) fn admit(&self, timeouts: Timeouts, now: Instant) -> Admission {
        let mut state = self.state();
        match state.open_until {
            None => Admission::Accept,
            Some(until) if now < until => Admission::Reject,
            Some(_) => {
                state.open_until = Some(now + 2 * timeouts.probe);
                Admission::Probe
            }
        }
    }

    /// Whether the circuit is open: the database failed a moment ago.
    pub(crate) fn is_open(&self, now: Instant) -> bool {
        self.state().open_until.is_some_and(|until| now < until)
    }

    /// Whether the database failed after `opened` and a moment ago.
    ///
    /// Then another operation would time out as well.
    pub(crate) fn has_failed_since(&self, opened: Instant, now: Instant) -> bool {
        self.state().failed_at.is_some_and(|failed| failed > opened) && self.is_open(now)
    }

    /// Closes the circuit after a successful probe.
    pub(crate) fn close(&self) {
        *self.state() = State::default();
    }

    pub(crate) fn record_failure(&self, timeouts: Timeouts, now: Instant) {
        let mut state = self.state();
        state.failures = (state.failures + 1).min(MAX_COOLDOWNS);
        state.failed_at = Some(now);
        state.open_until = Some(now + timeouts.cooldown * state.failures);
    }
}

#[cfg(test)]
mod tests {
    use super::super::timeouts::COOLDOWN;
    use super::*;

    #[test]
    fn an_open_circuit_admits_one_probe() {
        let (breaker, timeouts, now) = (CircuitBreaker::default(), Timeouts::OF_CALLERS, Instant::now());
        assert_eq!(breaker.admit(timeouts, now), Admission::Accept);
        breaker.record_failure(timeouts, now);
        assert_eq!(breaker.admit(timeouts, now), Admission::Reject);
        assert!(breaker.is_open(now));
        let later = now + COOLDOWN;
        assert_eq!(breaker.admit(timeouts, later), Admission::Probe);
        assert_eq!(breaker.admit(timeouts, later), Admission::Reject);
        let before = now.checked_sub(COOLDOWN).unwrap();
        assert!(breaker.has_failed_since(before, later), "the old connections are unusable");
        assert!(!breaker.has_failed_since(later, later), "the probe's connections are usable");
        breaker.close();
        assert_eq!(breaker.admit(timeouts, later), Admission::Accept);
    }

    #[test]
    fn a_probe_that_never_ends_is_replaced() {
        let (breaker, timeouts, now) = (CircuitBreaker::default(), Timeouts::OF_CALLERS, Instant::now());
        breaker.record_failure(timeouts, now);
        assert_eq!(breaker.admit(timeouts, now + COOLDOWN), Admission::Probe);
        assert_eq!(breaker.admit(timeouts, now + COOLDOWN + 2 * timeouts.probe), Admission::Probe);
    }

    #[test]
    fn a_database_that_keeps_failing_is_probed_within_seconds() {
        let (breaker, timeouts, now) = (CircuitBreaker::default(), Timeouts::OF_CALLERS, Instant::now());
        for _ in 0..100 {
            breaker.record_failure(timeouts, now);
        }
        assert_eq!(breaker.admit(timeouts, now + COOLDOWN * MAX_COOLDOWNS), Admission::Probe);
    }
}
