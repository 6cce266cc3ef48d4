//! Time limits for the operations on a database.

use std::time::Duration;

/// Time limits for the operations on a database.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Limit for obtaining a connection.
    pub connect: Duration,
    /// Limit for one statement, including COMMIT.
    pub round_trip: Duration,
    /// Limit for opening the database as a probe; other calls wait for it meanwhile.
    pub probe: Duration,
    /// Limit for waiting for another writer of an `SQLite` file.
    ///
    /// A search may wait twice, since it indexes first.
    pub file_lock: Duration,
    /// Limit for indexing new rows before a search.
    ///
    /// Then the search runs without the rest: missing a row is better than not responding.
    pub before_search: Duration,
    /// How long the circuit stays open after a failure.
    /// Twice and then three times as long after the next failures in a row.
    pub cooldown: Duration,
    /// Limits that the server itself enforces; `None` for no limits.
    pub server: Option<ServerTimeouts>,
}

/// Timeouts that a `PostgreSQL` server enforces; zero disables one.
///
/// They are shorter than a round trip may take, so that a healthy server reports a lock wait itself
/// instead of being taken for unresponsive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerTimeouts {
    /// `lock_timeout`: the longest wait for a lock of another transaction.
    pub lock: Duration,
    /// `statement_timeout`: the longest run of a statement.
    pub statement: Duration,
    /// `idle_in_transaction_session_timeout`: the longest idle time inside a transaction.
    pub idle: Duration,
}

impl Timeouts {
    /// For API calls: an unavailable database is reported within two seconds.
    ///
    /// No transaction stays open longer than a call. Otherwise a frozen or lost environment would
    /// go on holding its locks.
    pub const OF_CALLERS: Self = Self {
        // Short, so that a practice is back within seconds; waiting costs an environment at most a
        // sixth of its time. What an unanswered COMMIT did is known from the idempotency record
        // when the caller tries again.
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
    /// For background work, where no caller waits.
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

    /// Multiplies all limits, except the cooldown.
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

/// How long the circuit stays open after the first failure.
pub(super) const COOLDOWN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_database_is_reported_to_callers_within_two_seconds() {
        let Timeouts { round_trip, file_lock, server, .. } = Timeouts::OF_CALLERS;
        let (limit, server) = (Duration::from_secs(2), server.unwrap());
        assert!(round_trip < limit && 2 * file_lock < limit);
        assert!(server.lock < server.statement && server.statement < round_trip, "the server is first");
    }
}
