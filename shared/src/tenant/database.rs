//! A database of either engine, and the one of a practice.

use std::{ops::Deref, str::FromStr, time::Duration};

use jiff::tz::TimeZone;
use sqlx::{
    PgPool, Postgres, Sqlite, SqlitePool,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{Error, Result};
use crate::domain::PracticePass;

const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Clone, Debug)]
pub(crate) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// One connection, of whichever engine the database has.
pub enum Conn {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

/// A database of either engine. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Database {
    pub(crate) pool: Pool,
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
    pub(crate) fn connect(dsn: &str, connections: u32) -> Result<Self> {
        let unusable = |_| Error::Registry("the DSN can't be read".into());
        if dsn.starts_with("sqlite:") {
            let options = SqliteConnectOptions::from_str(dsn)
                .map_err(unusable)?
                .create_if_missing(false)
                .foreign_keys(true)
                .journal_mode(SqliteJournalMode::Wal)
                // A commit that was acknowledged must outlive a loss of power.
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(Duration::from_secs(5));
            let pool = SqlitePoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE_TIMEOUT);
            return Ok(Self { pool: Pool::Sqlite(pool.connect_lazy_with(options)) });
        }
        let options = PgConnectOptions::from_str(dsn).map_err(unusable)?;
        // Without a word in the DSN the server's certificate and name are verified.
        let options =
            if dsn.contains("sslmode=") { options } else { options.ssl_mode(PgSslMode::VerifyFull) };
        let pool = PgPoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE_TIMEOUT);
        Ok(Self { pool: Pool::Postgres(pool.connect_lazy_with(options)) })
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
        Self::connect(dsn, 1)
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

    /// A connection for statements that stand alone.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when none can be had within the pool's time.
    pub async fn connection(&self) -> Result<Conn> {
        match &self.pool {
            Pool::Sqlite(pool) => pool.acquire().await.map(Conn::Sqlite),
            Pool::Postgres(pool) => pool.acquire().await.map(Conn::Postgres),
        }
        .map_err(Error::from)
    }
}

impl TenantDb {
    pub(super) fn new(database: Database, practicepass: PracticePass, time_zone: TimeZone) -> Self {
        Self { database, practicepass, time_zone }
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
