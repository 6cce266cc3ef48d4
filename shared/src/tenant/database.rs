//! A database of either engine, and the one of a practice.

use std::{borrow::Cow, ops::Deref, str::FromStr, sync::Arc, time::Instant};

use jiff::tz::TimeZone;
use sqlx::{
    PgPool, Postgres, Sqlite, SqlitePool,
    postgres::PgPoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::OnceCell;

use super::{
    Error, Health, Reporter, Result, Timeouts, Watched,
    connection_string::{self, ConnectionString},
    schema,
    session::Sessions,
};
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
    sessions: Arc<Sessions>,
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
    /// Whether the practice's EMR has an outbox, once that is known.
    has_outbox: Arc<OnceCell<bool>>,
}

impl Database {
    /// Connects on first use; `secret` is a [`ConnectionString`]. On a server nothing but what is in `schema` is seen; without one the
    /// role's own search path holds.
    pub(crate) fn connect(
        secret: &str,
        schema: Option<&'static str>,
        connections: u32,
        timeouts: Timeouts,
        health: Arc<Health>,
        reporter: Arc<Reporter>,
    ) -> Result<Self> {
        let opened = Instant::now();
        let string = ConnectionString::of(secret);
        let limits = timeouts.server.unwrap_or_default();
        if string.is_sqlite() {
            let options = SqliteConnectOptions::from_str(string.dsn())
                .map_err(|error| connection_string::unreadable(&error))?
                .create_if_missing(false)
                .foreign_keys(true)
                .journal_mode(SqliteJournalMode::Wal)
                // A commit that was acknowledged must outlive a loss of power.
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(timeouts.file_lock);
            let pool =
                SqlitePoolOptions::new().max_connections(connections).acquire_timeout(timeouts.connect);
            let pool = Pool::Sqlite(pool.connect_lazy_with(options));
            let sessions = Arc::new(Sessions::new(false, limits, None));
            return Ok(Self { pool, sessions, health, timeouts, opened, reporter });
        }
        let server = string.server()?;
        let sessions = Arc::new(Sessions::new(server.is_pooled, limits, schema));
        let pool = PgPoolOptions::new().max_connections(connections).acquire_timeout(timeouts.connect);
        let of_pool = sessions.clone();
        let pool = pool.after_connect(move |connection, _| {
            let sessions = of_pool.clone();
            Box::pin(async move { sessions.settle(connection).await })
        });
        let pool = Pool::Postgres(pool.connect_lazy_with(server.options));
        Ok(Self { pool, sessions, health, timeouts, opened, reporter })
    }

    /// As [`Self::connect`], for migrations. An `SQLite` file is made when there is none, and migrated by one connection so that two
    /// first migrators wait for each other at the file's lock. A server that refuses connections is known at once.
    pub(crate) async fn connect_for_creation(secret: &str, schema: Option<&'static str>) -> Result<Self> {
        let string = ConnectionString::of(secret);
        if let Some(path) = string.dsn().strip_prefix("sqlite://") {
            let path = path.split('?').next().unwrap_or(path).to_owned();
            tokio::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(&path)
                .await
                .map_err(|error| Error::Unavailable(sqlx::Error::Io(error)))?;
        } else {
            schema::close(schema::reach(&string.options()?).await?).await;
        }
        Self::connect(secret, schema, 1, Timeouts::OF_MIGRATIONS, Arc::default(), Arc::default())
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

    pub(super) fn timeouts(&self) -> Timeouts {
        self.timeouts
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
        let sessions = self.sessions.clone();
        let conn = match &self.pool {
            Pool::Sqlite(pool) => pool
                .acquire()
                .await
                .map(|it| Conn::Sqlite(Watched::new(it, sessions, health, timeouts, reporter))),
            Pool::Postgres(pool) => pool
                .acquire()
                .await
                .map(|it| Conn::Postgres(Watched::new(it, sessions, health, timeouts, reporter))),
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

    /// From now on it is in a transaction, which this text begins.
    pub(super) fn begin(&mut self) -> Cow<'static, str> {
        match self {
            Self::Sqlite(_) => "BEGIN IMMEDIATE".into(),
            Self::Postgres(connection) => connection.begin(),
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
        Self { database, practicepass, time_zone, has_outbox: Arc::default() }
    }

    pub(super) fn with_time_zone(self, time_zone: TimeZone) -> Self {
        Self { time_zone, ..self }
    }

    /// Whether the practice's EMR has an outbox, once that is known; a practice that is attached afterwards is opened anew within minutes.
    pub(super) fn has_outbox(&self) -> &OnceCell<bool> {
        &self.has_outbox
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
