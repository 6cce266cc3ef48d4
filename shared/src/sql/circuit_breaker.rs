//! Circuit breaker of one database, and its connections.
//!
//! A database that accepts connections and then stops responding, perhaps in the middle of a
//! statement, would hold a call until Lambda ends it, and with the call an environment that could
//! serve another practice. Therefore every round trip has a timeout. After a timeout the circuit
//! opens for a moment: calls fail at once, except one probe.

use std::{
    borrow::Cow,
    io,
    ops::{Deref, DerefMut},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{Postgres, Sqlite, pool::PoolConnection};
use tokio::time::timeout;

use super::{
    Reporter, Timeouts,
    session::{PgSession, Sessions, SqliteSession},
};

/// The circuit stays open for at most this many cooldowns.
const MAX_COOLDOWNS: u32 = 3;

/// The circuit breaker's state for one database.
#[derive(Debug, Default)]
pub(crate) struct CircuitBreaker {
    state: Mutex<State>,
    /// Whether data that was read when the database was opened has changed.
    outdated: AtomicBool,
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

    /// Whether the database has to be reopened.
    pub(crate) fn is_outdated(&self) -> bool {
        self.outdated.load(Ordering::Relaxed)
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

/// The error of an operation that timed out.
pub(crate) fn timed_out() -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "no answer"))
}

/// A connection with a timeout on every round trip.
///
/// A connection that is lost, or dropped during a statement, is closed.
pub struct TimedConnection<DB: sqlx::Database> {
    connection: PoolConnection<DB>,
    sessions: Arc<Sessions>,
    in_transaction: bool,
    watch: Watch,
    reporter: Arc<Reporter>,
}

/// The timeouts and circuit breaker of one connection.
pub(crate) struct Watch {
    breaker: Arc<CircuitBreaker>,
    timeouts: Timeouts,
    /// Whether a statement is running or never completed.
    unanswered: bool,
}

impl<DB: sqlx::Database> TimedConnection<DB> {
    pub(crate) fn new(
        connection: PoolConnection<DB>,
        sessions: Arc<Sessions>,
        breaker: Arc<CircuitBreaker>,
        timeouts: Timeouts,
        reporter: Arc<Reporter>,
    ) -> Self {
        let watch = Watch { breaker, timeouts, unanswered: false };
        Self { connection, sessions, in_transaction: false, watch, reporter }
    }

    pub(crate) fn reporter(&self) -> &Reporter {
        &self.reporter
    }

    pub(crate) fn set_outdated(&self) {
        self.watch.breaker.outdated.store(true, Ordering::Relaxed);
    }

    /// Whether the connection is lost: it can run no more statements, not even a ROLLBACK.
    pub(crate) fn is_lost(&self) -> bool {
        self.watch.unanswered
    }

    pub(crate) fn close_on_drop(&mut self) {
        self.connection.close_on_drop();
    }
}

impl TimedConnection<Sqlite> {
    /// Returns what a round trip needs.
    pub(crate) fn parts(&mut self) -> (&mut Watch, SqliteSession<'_>) {
        (&mut self.watch, SqliteSession(&mut self.connection))
    }
}

impl TimedConnection<Postgres> {
    /// Returns how long the server lets a statement wait for a lock; a day stands for no limit.
    pub(crate) fn lock_limit(&self) -> Duration {
        let limit = self.watch.timeouts.server.unwrap_or_default().lock;
        if limit.is_zero() { Duration::from_hours(24) } else { limit }
    }

    /// Returns what a round trip needs.
    pub(crate) fn parts(&mut self) -> (&mut Watch, PgSession<'_>) {
        let session = PgSession {
            connection: &mut self.connection,
            sessions: &self.sessions,
            in_transaction: self.in_transaction,
        };
        (&mut self.watch, session)
    }

    /// Marks the connection as in a transaction, and returns the statement that starts it.
    pub(crate) fn begin(&mut self) -> Cow<'static, str> {
        self.in_transaction = true;
        self.sessions.begin()
    }
}

impl Watch {
    /// Waits for the result of a round trip, up to the timeout.
    pub(crate) async fn over<T>(
        &mut self,
        round_trip: impl Future<Output = sqlx::Result<T>>,
    ) -> sqlx::Result<T> {
        self.unanswered = true;
        let answer = timeout(self.timeouts.round_trip, round_trip).await.unwrap_or_else(|_| Err(timed_out()));
        self.unanswered = answer.as_ref().is_err_and(is_loss);
        if self.unanswered {
            self.breaker.record_failure(self.timeouts, Instant::now());
        }
        answer
    }
}

/// Whether the connection is unusable after this error.
fn is_loss(error: &sqlx::Error) -> bool {
    matches!(
        error,
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed
    )
}

impl<DB: sqlx::Database> Drop for TimedConnection<DB> {
    fn drop(&mut self) {
        if self.watch.unanswered {
            self.connection.close_on_drop();
        }
    }
}

impl<DB: sqlx::Database> Deref for TimedConnection<DB> {
    type Target = DB::Connection;

    fn deref(&self) -> &DB::Connection {
        &self.connection
    }
}

impl<DB: sqlx::Database> DerefMut for TimedConnection<DB> {
    fn deref_mut(&mut self) -> &mut DB::Connection {
        &mut self.connection
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
    fn a_caller_hears_of_a_failing_database_within_two_seconds() {
        let Timeouts { round_trip, file_lock, server, .. } = Timeouts::OF_CALLERS;
        let (told, server) = (Duration::from_secs(2), server.unwrap());
        assert!(round_trip < told && 2 * file_lock < told);
        assert!(server.lock < server.statement && server.statement < round_trip, "the server is first");
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
