//! Whether a database answers, and how long anyone waits to find out.
//!
//! A database that accepts connections and then says nothing, or stops in the middle of a statement, would hold a call until
//! Lambda ends it, and with the call an environment that could have served another practice. So every round trip has a limit,
//! and after one that was not answered the database is let be for a moment: calls fail at once but for one that tries.

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
    Reporter,
    session::{PgSession, Sessions, SqliteSession},
};

/// How long a database may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Duration,
    /// For one statement, a COMMIT included.
    pub round_trip: Duration,
    /// For being opened by the call that tries whether it answers again: meanwhile that call holds up others.
    pub probe: Duration,
    /// For another writer of an `SQLite` file. A call that searches may wait for it twice, as it indexes first.
    pub file_lock: Duration,
    /// For making rows searchable before a search, which then goes on without the others: it is better to miss a row than not to answer.
    pub before_search: Duration,
    /// After its first failure in a row a database is let be for so long, after the next ones twice and then three times as long.
    pub cooldown: Duration,
    /// What the server itself ends. `None`: nothing.
    pub server: Option<ServerTimeouts>,
}

/// After how long a `PostgreSQL` server ends what it is asked; zero is never. Shorter than a round trip may take: a statement that waits for
/// somebody else's lock is told so by a server that is well, and isn't taken for silence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerTimeouts {
    /// `lock_timeout`: the wait for another's lock.
    pub lock: Duration,
    /// `statement_timeout`
    pub statement: Duration,
    /// `idle_in_transaction_session_timeout`
    pub idle: Duration,
}

impl Timeouts {
    /// For calls: an ill database is told of within two seconds. No transaction of ours stays open for longer than a call: one
    /// whose environment was frozen or lost would go on holding its locks.
    pub const OF_CALLERS: Self = Self {
        // Short, so that a practice is back within seconds; waiting costs an environment at most a
        // sixth of its time. What an unanswered COMMIT did is known from the idempotency record when
        // the caller tries again.
        connect: Duration::from_millis(1_400),
        round_trip: Duration::from_millis(1_400),
        probe: Duration::from_millis(500),
        file_lock: Duration::from_millis(800),
        before_search: Duration::from_secs(1),
        cooldown: COOLDOWN,
        server: Some(ServerTimeouts {
            lock: Duration::from_millis(900),
            statement: Duration::from_millis(1_250),
            idle: Duration::from_secs(10),
        }),
    };
    /// For work that nobody waits for.
    pub const OF_BACKGROUND: Self = Self {
        connect: Duration::from_secs(5),
        round_trip: Duration::from_secs(5),
        probe: Duration::from_secs(3),
        file_lock: Duration::from_secs(4),
        before_search: Duration::from_secs(1),
        cooldown: COOLDOWN,
        server: Some(ServerTimeouts {
            lock: Duration::from_secs(4),
            statement: Duration::from_millis(4_500),
            idle: Duration::from_mins(1),
        }),
    };
    /// For migrations, which may rewrite whole tables.
    pub const OF_MIGRATIONS: Self = Self {
        connect: Duration::from_secs(10),
        round_trip: Duration::from_hours(1),
        probe: Duration::from_secs(30),
        file_lock: Duration::from_secs(30),
        before_search: Duration::from_secs(1),
        cooldown: COOLDOWN,
        server: Some(ServerTimeouts {
            lock: Duration::from_secs(30),
            statement: Duration::ZERO,
            idle: Duration::from_mins(1),
        }),
    };

    /// So many times as long, but for the cooldown.
    #[must_use]
    pub fn times(self, factor: u32) -> Self {
        let Self { connect, round_trip, probe, file_lock, before_search, cooldown, server } = self;
        Self {
            connect: connect * factor,
            round_trip: round_trip * factor,
            probe: probe * factor,
            file_lock: file_lock * factor,
            before_search: before_search * factor,
            cooldown,
            server: server.map(|it| ServerTimeouts {
                lock: it.lock * factor,
                statement: it.statement * factor,
                idle: it.idle * factor,
            }),
        }
    }
}

const COOLDOWN: Duration = Duration::from_secs(1);
/// A database is let be for at most so many cooldowns.
const MOST_COOLDOWNS: u32 = 3;

/// How one database answered last.
#[derive(Debug, Default)]
pub(crate) struct Health {
    state: Mutex<State>,
    /// What was read when the database was opened has changed.
    outdated: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    failed_at: Option<Instant>,
    let_be_until: Option<Instant>,
}

/// What a call may do with a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Open,
    /// It failed before: connect anew, and see.
    Probe,
    LetBe,
}

impl Health {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the database has to be opened anew.
    pub(crate) fn is_outdated(&self) -> bool {
        self.outdated.load(Ordering::Relaxed)
    }

    /// One call is let through as a probe; the others are refused until it is known how that went, or it takes too long.
    pub(crate) fn admit(&self, timeouts: Timeouts, now: Instant) -> Admission {
        let mut state = self.state();
        match state.let_be_until {
            None => Admission::Open,
            Some(until) if now < until => Admission::LetBe,
            Some(_) => {
                state.let_be_until = Some(now + 2 * timeouts.probe);
                Admission::Probe
            }
        }
    }

    /// Whether it failed a moment ago.
    pub(crate) fn is_ill(&self, now: Instant) -> bool {
        self.state().let_be_until.is_some_and(|until| now < until)
    }

    /// Whether those who opened it at an instant have seen it fail since, a moment ago: whatever else they ask would wait as long.
    pub(crate) fn has_failed_since(&self, opened: Instant, now: Instant) -> bool {
        self.state().failed_at.is_some_and(|failed| failed > opened) && self.is_ill(now)
    }

    /// It answered a probe.
    pub(crate) fn answered(&self) {
        *self.state() = State::default();
    }

    pub(crate) fn failed(&self, timeouts: Timeouts, now: Instant) {
        let mut state = self.state();
        state.failures = (state.failures + 1).min(MOST_COOLDOWNS);
        state.failed_at = Some(now);
        state.let_be_until = Some(now + timeouts.cooldown * state.failures);
    }
}

/// The answer that didn't come.
pub(crate) fn silence() -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "no answer"))
}

/// A connection whose round trips are watched. One that is lost, or let go in the middle of a statement, is closed.
pub struct Watched<DB: sqlx::Database> {
    connection: PoolConnection<DB>,
    sessions: Arc<Sessions>,
    in_transaction: bool,
    watch: Watch,
    reporter: Arc<Reporter>,
}

/// The watch over one connection.
pub(crate) struct Watch {
    health: Arc<Health>,
    timeouts: Timeouts,
    /// A statement is under way, or was never answered.
    unanswered: bool,
}

impl<DB: sqlx::Database> Watched<DB> {
    pub(crate) fn new(
        connection: PoolConnection<DB>,
        sessions: Arc<Sessions>,
        health: Arc<Health>,
        timeouts: Timeouts,
        reporter: Arc<Reporter>,
    ) -> Self {
        let watch = Watch { health, timeouts, unanswered: false };
        Self { connection, sessions, in_transaction: false, watch, reporter }
    }

    pub(crate) fn reporter(&self) -> &Reporter {
        &self.reporter
    }

    pub(crate) fn set_outdated(&self) {
        self.watch.health.outdated.store(true, Ordering::Relaxed);
    }

    /// Nothing more can be asked of it, not even a ROLLBACK.
    pub(crate) fn is_lost(&self) -> bool {
        self.watch.unanswered
    }

    pub(crate) fn close_on_drop(&mut self) {
        self.connection.close_on_drop();
    }
}

impl Watched<Sqlite> {
    /// What a round trip needs.
    pub(crate) fn parts(&mut self) -> (&mut Watch, SqliteSession<'_>) {
        (&mut self.watch, SqliteSession(&mut self.connection))
    }
}

impl Watched<Postgres> {
    /// For how long the server lets a statement wait for a lock; a day is as good as for ever.
    pub(crate) fn lock_limit(&self) -> Duration {
        let limit = self.watch.timeouts.server.unwrap_or_default().lock;
        if limit.is_zero() { Duration::from_hours(24) } else { limit }
    }

    /// What a round trip needs.
    pub(crate) fn parts(&mut self) -> (&mut Watch, PgSession<'_>) {
        let session = PgSession {
            connection: &mut self.connection,
            sessions: &self.sessions,
            in_transaction: self.in_transaction,
        };
        (&mut self.watch, session)
    }

    /// From now on it is in a transaction, which this text begins.
    pub(crate) fn begin(&mut self) -> Cow<'static, str> {
        self.in_transaction = true;
        self.sessions.begin()
    }
}

impl Watch {
    /// Waits for an answer as long as the database may take.
    pub(crate) async fn over<T>(
        &mut self,
        round_trip: impl Future<Output = sqlx::Result<T>>,
    ) -> sqlx::Result<T> {
        self.unanswered = true;
        let answer = timeout(self.timeouts.round_trip, round_trip).await.unwrap_or_else(|_| Err(silence()));
        self.unanswered = answer.as_ref().is_err_and(is_loss);
        if self.unanswered {
            self.health.failed(self.timeouts, Instant::now());
        }
        answer
    }
}

/// Whether the connection is of no use any more.
fn is_loss(error: &sqlx::Error) -> bool {
    matches!(
        error,
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed
    )
}

impl<DB: sqlx::Database> Drop for Watched<DB> {
    fn drop(&mut self) {
        if self.watch.unanswered {
            self.connection.close_on_drop();
        }
    }
}

impl<DB: sqlx::Database> Deref for Watched<DB> {
    type Target = DB::Connection;

    fn deref(&self) -> &DB::Connection {
        &self.connection
    }
}

impl<DB: sqlx::Database> DerefMut for Watched<DB> {
    fn deref_mut(&mut self) -> &mut DB::Connection {
        &mut self.connection
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_failed_is_let_be_but_for_one_call_that_tries() {
        let (health, timeouts, now) = (Health::default(), Timeouts::OF_CALLERS, Instant::now());
        assert_eq!(health.admit(timeouts, now), Admission::Open);
        health.failed(timeouts, now);
        assert_eq!(health.admit(timeouts, now), Admission::LetBe);
        assert!(health.is_ill(now));
        let later = now + COOLDOWN;
        assert_eq!(health.admit(timeouts, later), Admission::Probe);
        assert_eq!(health.admit(timeouts, later), Admission::LetBe);
        let before = now.checked_sub(COOLDOWN).unwrap();
        assert!(health.has_failed_since(before, later), "the old connections are of no use");
        assert!(!health.has_failed_since(later, later), "the probe's are");
        health.answered();
        assert_eq!(health.admit(timeouts, later), Admission::Open);
    }

    #[test]
    fn a_probe_that_never_ends_is_followed_by_another() {
        let (health, timeouts, now) = (Health::default(), Timeouts::OF_CALLERS, Instant::now());
        health.failed(timeouts, now);
        assert_eq!(health.admit(timeouts, now + COOLDOWN), Admission::Probe);
        assert_eq!(health.admit(timeouts, now + COOLDOWN + 2 * timeouts.probe), Admission::Probe);
    }

    #[test]
    fn a_caller_is_told_of_an_ill_database_within_two_seconds() {
        let Timeouts { round_trip, file_lock, server, .. } = Timeouts::OF_CALLERS;
        let (told, server) = (Duration::from_secs(2), server.unwrap());
        assert!(round_trip < told && 2 * file_lock < told);
        assert!(server.lock < server.statement && server.statement < round_trip, "the server speaks first");
    }

    #[test]
    fn one_that_keeps_failing_is_asked_again_within_seconds() {
        let (health, timeouts, now) = (Health::default(), Timeouts::OF_CALLERS, Instant::now());
        for _ in 0..100 {
            health.failed(timeouts, now);
        }
        assert_eq!(health.admit(timeouts, now + COOLDOWN * MOST_COOLDOWNS), Admission::Probe);
    }
}
