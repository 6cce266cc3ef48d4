//! A database of either engine, and the one of a practice.

use std::{ops::Deref, str::FromStr, sync::Arc, time::Instant};

use jiff::tz::TimeZone;
use sqlx::{
    AssertSqlSafe, PgPool, Postgres, Sqlite, SqlitePool,
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{Error, Health, Reporter, Result, Timeouts, Watched};
use crate::domain::PracticePass;

#[derive(Clone, Debug)]
pub(crate) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// One connection, of whichever engine the database has.
pub enum Conn {
    Sqlite(Watched<Sqlite>),
    Postgres(Watched<Postgres>),
}

/// A database of either engine. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Database {
    pub(crate) pool: Pool,
    health: Arc<Health>,
    timeouts: Timeouts,
    opened: Instant,
    reporter: Arc<Reporter>,
}

/// The database of the one practice that the caller may enter. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TenantDb {
    database: Database,
    practicepass: PracticePass,
    time_zone: TimeZone,
}

impl Database {
    /// Connects on first use. `dsn` is `postgres://…` or `sqlite://<path>`.
    pub(crate) fn connect(
        dsn: &str,
        connections: u32,
        timeouts: Timeouts,
        health: Arc<Health>,
        reporter: Arc<Reporter>,
    ) -> Result<Self> {
        let opened = Instant::now();
        let unusable = |_| Error::Registry("the DSN can't be read".into());
        if dsn.starts_with("sqlite:") {
            let options = SqliteConnectOptions::from_str(dsn)
                .map_err(unusable)?
                .create_if_missing(false)
                .foreign_keys(true)
                .journal_mode(SqliteJournalMode::Wal)
                // A commit that was acknowledged must outlive a loss of power.
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(timeouts.file_lock);
            let pool =
                SqlitePoolOptions::new().max_connections(connections).acquire_timeout(timeouts.round_trip);
            return Ok(Self {
                pool: Pool::Sqlite(pool.connect_lazy_with(options)),
                health,
                timeouts,
                opened,
                reporter,
            });
        }
        let options = PgConnectOptions::from_str(dsn).map_err(unusable)?;
        // Without a word in the DSN the server's certificate and name are verified.
        let options = if says_sslmode(dsn) { options } else { options.ssl_mode(PgSslMode::VerifyFull) };
        refuse_weak_tls(&options)?;
        let mut pool = PgPoolOptions::new().max_connections(connections).acquire_timeout(timeouts.round_trip);
        if let Some(server) = timeouts.server {
            // Not by startup options, which poolers refuse.
            let limits = format!(
                "set lock_timeout = {}; set statement_timeout = {}; set idle_in_transaction_session_timeout = {}",
                server.lock.as_millis(),
                server.statement.as_millis(),
                server.idle.as_millis()
            );
            pool = pool.after_connect(move |connection, _| {
                let limits = AssertSqlSafe(limits.clone());
                Box::pin(async move { sqlx::raw_sql(limits).execute(connection).await.map(|_| ()) })
            });
        }
        Ok(Self { pool: Pool::Postgres(pool.connect_lazy_with(options)), health, timeouts, opened, reporter })
    }

    /// As [`Self::connect`]; an `SQLite` file is made when there is none, and migrated by one connection so that two first
    /// migrators wait for each other at the file's lock.
    pub(crate) async fn connect_for_creation(dsn: &str) -> Result<Self> {
        if let Some(path) = dsn.strip_prefix("sqlite://") {
            let path = path.split('?').next().unwrap_or(path).to_owned();
            tokio::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(&path)
                .await
                .map_err(|error| Error::Unavailable(sqlx::Error::Io(error)))?;
        }
        Self::connect(dsn, 1, Timeouts::OF_MIGRATIONS, Arc::default(), Arc::default())
    }

    /// Makes the first connection: a connection string that is no good any more is found out before anything is begun. Costs
    /// nothing once there is one.
    pub(crate) async fn prepare(&self) -> Result<()> {
        let connections = match &self.pool {
            Pool::Sqlite(pool) => pool.size(),
            Pool::Postgres(pool) => pool.size(),
        };
        if connections == 0 {
            self.connection().await?;
        }
        Ok(())
    }

    /// Closes all connections and waits until they are closed. The last connection of an `SQLite` file locks the file exclusively while
    /// it closes, so a process that opens it meanwhile can find it locked.
    pub async fn close(&self) {
        match &self.pool {
            Pool::Sqlite(pool) => pool.close().await,
            Pool::Postgres(pool) => pool.close().await,
        }
    }

    /// Whether a text column can hold this: `PostgreSQL`'s hold no zero character, so what has one is not there.
    pub fn can_hold(&self, text: &str) -> bool {
        matches!(self.pool, Pool::Sqlite(_)) || !text.contains('\0')
    }

    /// A connection for statements that stand alone.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when none can be had within the pool's time, and [`Error::LetBe`] right after that.
    pub async fn connection(&self) -> Result<Conn> {
        if self.health.has_failed_since(self.opened, Instant::now()) {
            return Err(Error::LetBe);
        }
        let (health, timeouts, reporter) = (self.health.clone(), self.timeouts, self.reporter.clone());
        let conn = match &self.pool {
            Pool::Sqlite(pool) => {
                pool.acquire().await.map(|it| Conn::Sqlite(Watched::new(it, health, timeouts, reporter)))
            }
            Pool::Postgres(pool) => {
                pool.acquire().await.map(|it| Conn::Postgres(Watched::new(it, health, timeouts, reporter)))
            }
        };
        conn.map_err(|error| {
            let error = Error::from(error);
            if matches!(error, Error::Unavailable(_)) {
                self.health.failed(self.timeouts, Instant::now());
            }
            error
        })
    }
}

impl Conn {
    /// Reports a row that could not be read, by its primary key: it is logged once, counted, and shown to administrators.
    pub fn report_unreadable(&self, table: &'static str, id: &str) {
        match self {
            Self::Sqlite(connection) => connection.reporter().report(table, id),
            Self::Postgres(connection) => connection.reporter().report(table, id),
        }
    }

    /// As [`Database::can_hold`].
    pub(crate) fn can_hold(&self, text: &str) -> bool {
        matches!(self, Self::Sqlite(_)) || !text.contains('\0')
    }

    /// Nothing more can be asked of it.
    pub(crate) fn is_lost(&self) -> bool {
        match self {
            Self::Sqlite(connection) => connection.is_lost(),
            Self::Postgres(connection) => connection.is_lost(),
        }
    }

    /// The next call opens the database anew: what was read when it was opened has changed.
    pub(super) fn set_outdated(&self) {
        match self {
            Self::Sqlite(connection) => connection.set_outdated(),
            Self::Postgres(connection) => connection.set_outdated(),
        }
    }

    pub(super) fn close_on_drop(&mut self) {
        match self {
            Self::Sqlite(connection) => connection.close_on_drop(),
            Self::Postgres(connection) => connection.close_on_drop(),
        }
    }
}

impl TenantDb {
    pub(super) fn new(database: Database, practicepass: PracticePass, time_zone: TimeZone) -> Self {
        Self { database, practicepass, time_zone }
    }

    pub(super) fn with_time_zone(self, time_zone: TimeZone) -> Self {
        Self { time_zone, ..self }
    }

    pub fn practicepass(&self) -> &PracticePass {
        &self.practicepass
    }

    /// The practice's IANA time zone; dates and times of its visits are local to it.
    pub fn time_zone(&self) -> &TimeZone {
        &self.time_zone
    }
}

impl Deref for TenantDb {
    type Target = Database;

    fn deref(&self) -> &Database {
        &self.database
    }
}

/// Only the local stack may speak to its database without encryption that is enforced.
fn refuse_weak_tls(options: &PgConnectOptions) -> Result<()> {
    let weak = matches!(options.get_ssl_mode(), PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer);
    if weak && options.get_socket().is_none() && !is_this_machine(options.get_host()) {
        return Err(Error::Registry(
            "the DSN's sslmode lets patient data travel unencrypted: use verify-full, verify-ca or require"
                .into(),
        ));
    }
    Ok(())
}

/// Whether a connection to the host never leaves the machine: a local stack's database.
fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || host.starts_with('/') || address.is_ok_and(|it| it.to_canonical().is_loopback())
}

/// Whether the DSN's query, and not a password that looks like it, chooses how the server is verified.
fn says_sslmode(dsn: &str) -> bool {
    url::Url::parse(dsn)
        .is_ok_and(|url| url.query_pairs().any(|(name, _)| name == "sslmode" || name == "ssl-mode"))
}

#[cfg(test)]
mod tests {
    use super::{PgConnectOptions, refuse_weak_tls, says_sslmode};

    #[test]
    fn a_server_elsewhere_is_spoken_to_encrypted() {
        let allowed = |dsn: &str| refuse_weak_tls(&dsn.parse::<PgConnectOptions>().unwrap()).is_ok();
        for mode in ["disable", "allow", "prefer"] {
            assert!(!allowed(&format!("postgres://a:b@db.example/c?sslmode={mode}")), "{mode}");
            assert!(!allowed(&format!("postgres://a:b@10.0.0.5/c?sslmode={mode}")), "{mode}");
            assert!(allowed(&format!("postgres://a:b@127.0.0.1/c?sslmode={mode}")), "{mode}");
            assert!(allowed(&format!("postgres://a:b@[::1]/c?sslmode={mode}")), "{mode}");
        }
        for mode in ["require", "verify-ca", "verify-full"] {
            assert!(allowed(&format!("postgres://a:b@db.example/c?sslmode={mode}")), "{mode}");
        }
    }

    #[test]
    fn only_the_query_chooses_how_a_server_is_verified() {
        for chosen in ["postgres://a:b@c/d?sslmode=disable", "postgres://a:b@c/d?x=1&ssl-mode=require"] {
            assert!(says_sslmode(chosen), "{chosen}");
        }
        for silent in [
            "postgres://a:sslmode=disable@c/d",
            "postgres://a:b@c/sslmode=disable",
            "postgres://a:b@c/d?application_name=sslmode=disable",
            "postgres://a:b@c/d#sslmode=disable",
        ] {
            assert!(!says_sslmode(silent), "{silent}");
        }
    }
}
