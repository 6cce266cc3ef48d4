//! A connection whose round trips have timeouts.
//!
//! A database that accepts connections and then stops responding, perhaps in the middle of a
//! statement, would hold a call until Lambda ends it, and with the call an environment that could
//! serve another practice. Therefore every round trip has a timeout, which opens the circuit.

use std::{
    borrow::Cow,
    io,
    ops::{Deref, DerefMut},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{Postgres, Sqlite, pool::PoolConnection};
use tokio::time::timeout;

use super::{
    CircuitBreaker, Reporter, Timeouts,
    session::{PgSession, Sessions, SqliteSession},
};

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
    /// The database's flag: [`super::Database::is_outdated`].
    outdated: Arc<AtomicBool>,
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
        outdated: Arc<AtomicBool>,
    ) -> Self {
        let watch = Watch { breaker, timeouts, unanswered: false };
        Self { connection, sessions, in_transaction: false, watch, reporter, outdated }
    }

    pub(crate) fn reporter(&self) -> &Reporter {
        &self.reporter
    }

    pub(crate) fn set_outdated(&self) {
        self.outdated.store(true, Ordering::Relaxed);
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
