//! A database of either engine, and a practice's database.

use std::{
    borrow::Cow,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use sqlx::{
    PgPool, Postgres, Sqlite, SqlitePool,
    postgres::PgPoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{
    CircuitBreaker, Error, Reporter, Result, TimedConnection, Timeouts,
    connection_string::{self, ConnectionString},
    reach::{close, reach},
    session::Sessions,
};

#[derive(Clone, Debug)]
pub(crate) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// A connection to a database of either engine.
pub enum Conn {
    Sqlite(TimedConnection<Sqlite>),
    Postgres(TimedConnection<Postgres>),
}

/// A database of either engine. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Database {
    pub(crate) pool: Pool,
    sessions: Arc<Sessions>,
    breaker: Arc<CircuitBreaker>,
    timeouts: Timeouts,
    opened: Instant,
    reporter: Arc<Reporter>,
    outdated: Arc<AtomicBool>,
}

impl Database {
    /// Creates a pool that connects on first use. `secret` is a [`ConnectionString`].
    ///
    /// On a server, only `schema` is visible; with `None`, the role's own search path applies.
    pub(crate) fn connect(
        secret: &str,
        schema: Option<&'static str>,
        connections: u32,
        timeouts: Timeouts,
        breaker: Arc<CircuitBreaker>,
        reporter: Arc<Reporter>,
    ) -> Result<Self> {
        let (opened, outdated) = (Instant::now(), Arc::default());
        let string = ConnectionString::of(secret);
        let limits = timeouts.server.unwrap_or_default();
        if string.is_sqlite() {
            let options = SqliteConnectOptions::from_str(string.dsn())
                .map_err(|error| connection_string::unreadable(&error))?
                .create_if_missing(false)
                .foreign_keys(true)
                .journal_mode(SqliteJournalMode::Wal)
                // An acknowledged commit must survive a power failure.
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(timeouts.file_lock);
            let pool =
                SqlitePoolOptions::new().max_connections(connections).acquire_timeout(timeouts.connect);
            let pool = Pool::Sqlite(pool.connect_lazy_with(options));
            let sessions = Arc::new(Sessions::new(false, limits, None));
            return Ok(Self { pool, sessions, breaker, timeouts, opened, reporter, outdated });
        }
        let server = string.server()?;
        let sessions = Arc::new(Sessions::new(server.is_pooled, limits, schema));
        let pool = PgPoolOptions::new().max_connections(connections).acquire_timeout(timeouts.connect);
        let of_pool = sessions.clone();
        let pool = pool.after_connect(move |connection, _| {
            let sessions = of_pool.clone();
            Box::pin(async move { sessions.configure(connection).await })
        });
        let pool = Pool::Postgres(pool.connect_lazy_with(server.options));
        Ok(Self { pool, sessions, breaker, timeouts, opened, reporter, outdated })
    }

    /// The same as [`Self::connect`], for migrations.
    ///
    /// Creates an `SQLite` file that does not exist. There is one connection, so that two processes
    /// that migrate a new file wait for each other's file lock. Fails at once if a server refuses
    /// connections.
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
            close(reach(&string.options()?).await?).await;
        }
        Self::connect(secret, schema, 1, Timeouts::OF_MIGRATIONS, Arc::default(), Arc::default())
    }

    /// Opens the first connection, so that an outdated connection string fails before any work.
    ///
    /// Does nothing if a connection exists.
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

    /// Closes all connections and waits until they are closed.
    ///
    /// The last connection to an `SQLite` file locks the file exclusively while it closes, so
    /// another process that opens the file at that moment can find it locked.
    pub async fn close(&self) {
        match &self.pool {
            Pool::Sqlite(pool) => pool.close().await,
            Pool::Postgres(pool) => pool.close().await,
        }
    }

    /// Whether data that was read when the database was opened has changed.
    ///
    /// Then the next call must open it again.
    pub(crate) fn is_outdated(&self) -> bool {
        self.outdated.load(Ordering::Relaxed)
    }

    pub(crate) fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// Whether a text column can hold this text.
    ///
    /// `PostgreSQL` stores no NUL, so a text with NUL matches no row.
    pub fn can_hold(&self, text: &str) -> bool {
        matches!(self.pool, Pool::Sqlite(_)) || !text.contains('\0')
    }

    /// Whether only one transaction at a time can write, so that its begin may have to wait.
    pub fn has_one_writer(&self) -> bool {
        matches!(self.pool, Pool::Sqlite(_))
    }

    /// Returns a connection for statements outside a transaction.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the pool provides no connection in time, and
    /// [`Error::CircuitOpen`] right after that.
    pub async fn connection(&self) -> Result<Conn> {
        if self.breaker.has_failed_since(self.opened, Instant::now()) {
            return Err(Error::CircuitOpen);
        }
        let (breaker, timeouts, reporter) = (self.breaker.clone(), self.timeouts, self.reporter.clone());
        let (sessions, outdated) = (self.sessions.clone(), self.outdated.clone());
        let conn = match &self.pool {
            Pool::Sqlite(pool) => pool.acquire().await.map(|it| {
                Conn::Sqlite(TimedConnection::new(it, sessions, breaker, timeouts, reporter, outdated))
            }),
            Pool::Postgres(pool) => pool.acquire().await.map(|it| {
                Conn::Postgres(TimedConnection::new(it, sessions, breaker, timeouts, reporter, outdated))
            }),
        };
        conn.map_err(|error| {
            let error = Error::from(error);
            if matches!(error, Error::Unavailable(_)) {
                self.breaker.record_failure(self.timeouts, Instant::now());
            }
            error
        })
    }
}

impl Conn {
    /// Reports an unreadable row by its primary key.
    ///
    /// It is logged once, counted, and shown to administrators.
    pub fn report_unreadable(&self, table: &'static str, id: &str) {
        match self {
            Self::Sqlite(connection) => connection.reporter().report(table, id),
            Self::Postgres(connection) => connection.reporter().report(table, id),
        }
    }

    /// The same as [`Database::can_hold`].
    pub(crate) fn can_hold(&self, text: &str) -> bool {
        matches!(self, Self::Sqlite(_)) || !text.contains('\0')
    }

    /// Whether the connection is lost: it can run no more statements.
    pub(crate) fn is_lost(&self) -> bool {
        match self {
            Self::Sqlite(connection) => connection.is_lost(),
            Self::Postgres(connection) => connection.is_lost(),
        }
    }

    /// Marks the database as outdated ([`Database::is_outdated`]).
    pub(crate) fn set_outdated(&self) {
        match self {
            Self::Sqlite(connection) => connection.set_outdated(),
            Self::Postgres(connection) => connection.set_outdated(),
        }
    }

    /// Marks the connection as in a transaction, and returns the statement that starts it.
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
