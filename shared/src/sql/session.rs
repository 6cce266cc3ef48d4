//! Settings of `PostgreSQL` connections.
//!
//! A transaction pooler assigns each transaction to a different server connection, so nothing may
//! be left behind in one. On such a connection every statement runs in a transaction, which sets
//! its own limits, and no statement is prepared by name.

use std::{
    borrow::Cow,
    sync::atomic::{AtomicBool, Ordering},
};

use futures::{future::BoxFuture, stream::BoxStream};
use sqlx::{
    AssertSqlSafe, Either, Execute, Executor, PgConnection, Postgres, Row as _, SqlStr, SqliteConnection,
    error::BoxDynError,
    postgres::{PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};

use super::ServerTimeouts;

/// Reads the session's settings.
///
/// These are the limits in the order of their names (`idle_in_transaction_session_timeout`,
/// `lock_timeout`, `statement_timeout`), the search path, and whether [`ENTER`] exists.
const READ_SETTINGS: &str = "select string_agg(setting, ',' order by name), current_setting('search_path'),
        exists (select 1 from pg_proc where pronamespace = to_regnamespace('partner_api') and proname = \
        'enter')::text
    from pg_settings where name in ('idle_in_transaction_session_timeout', 'lock_timeout', \
    'statement_timeout')";

/// Sets the transaction's search path if the pooler's connection has a different one.
///
/// The statement text contains no SET, so an RDS Proxy does not pin the connection.
const ENTER: &str = "select partner_api.enter()";

/// The session settings that this process needs for one database.
#[derive(Debug)]
pub(crate) struct Sessions {
    is_pooled: bool,
    limits: ServerTimeouts,
    /// The schema of all tables; `None` for the role's own search path.
    schema: Option<&'static str>,
    /// Whether connections start with these limits as role defaults.
    ///
    /// Used only for pooled connections.
    has_limits: AtomicBool,
    /// Whether [`ENTER`] exists.
    can_enter: AtomicBool,
}

impl Sessions {
    pub(crate) fn new(is_pooled: bool, limits: ServerTimeouts, schema: Option<&'static str>) -> Self {
        let (has_limits, can_enter) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { is_pooled, limits, schema, has_limits, can_enter }
    }

    /// Reads a new connection's limits and search path, and sets those that differ.
    ///
    /// Startup options would save a round trip, but poolers reject them, and an RDS Proxy pins a
    /// connection that has set something.
    pub(crate) async fn configure(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        let row = sqlx::raw_sql(READ_SETTINGS).fetch_one(&mut *connection).await?;
        let [found, path, can_enter]: [String; 3] = [row.try_get(0)?, row.try_get(1)?, row.try_get(2)?];
        let ServerTimeouts { lock, statement, idle } = self.limits;
        let has_limits =
            found == format!("{},{},{}", idle.as_millis(), lock.as_millis(), statement.as_millis());
        self.has_limits.store(has_limits, Ordering::Relaxed);
        self.can_enter.store(can_enter == "true", Ordering::Relaxed);
        if self.is_pooled {
            return Ok(());
        }
        let path = self.schema.filter(|schema| path != *schema);
        let path = path.map(|schema| format!("set search_path = {schema}"));
        let limits = (!has_limits).then(|| self.set("set"));
        let missing: Vec<String> = path.into_iter().chain(limits).collect();
        if missing.is_empty() {
            return Ok(());
        }
        connection.execute(AssertSqlSafe(missing.join("; "))).await.map(|_| ())
    }

    fn set(&self, set: &str) -> String {
        let ServerTimeouts { lock, statement, idle } = self.limits;
        format!(
            "{set} lock_timeout = {}; {set} statement_timeout = {}; {set} \
                idle_in_transaction_session_timeout = {}",
            lock.as_millis(),
            statement.as_millis(),
            idle.as_millis()
        )
    }

    /// Returns the statements that start a transaction.
    ///
    /// A pooler's connections are of different ages. For the limits, the one that was read is
    /// representative enough. A wrong search path would find another program's tables, so each
    /// transaction sets it.
    pub(crate) fn begin(&self) -> Cow<'static, str> {
        if !self.is_pooled {
            return "BEGIN".into();
        }
        let mut begin = "BEGIN".to_owned();
        if !self.has_limits.load(Ordering::Relaxed) {
            begin = format!("{begin}; {}", self.set("set local"));
        }
        match self.schema {
            None => (),
            Some(_) if self.can_enter.load(Ordering::Relaxed) => begin = format!("{begin}; {ENTER}"),
            Some(schema) => begin = format!("{begin}; set local search_path = {schema}"),
        }
        begin.into()
    }
}

/// A round trip on `SQLite`.
pub(crate) struct SqliteSession<'c>(pub(super) &'c mut SqliteConnection);

#[allow(clippy::unused_async, reason = "the same interface as for PostgreSQL")]
impl SqliteSession<'_> {
    pub(crate) async fn enter(&mut self) -> sqlx::Result<()> {
        Ok(())
    }

    pub(crate) fn executor(&mut self) -> &mut SqliteConnection {
        self.0
    }

    pub(crate) async fn leave<T>(&mut self, result: sqlx::Result<T>) -> sqlx::Result<T> {
        result
    }
}

/// A round trip on `PostgreSQL`, in a transaction of its own if there must be one.
#[derive(Debug)]
pub(crate) struct PgSession<'c> {
    pub(super) connection: &'c mut PgConnection,
    pub(super) sessions: &'c Sessions,
    pub(super) in_transaction: bool,
}

impl PgSession<'_> {
    fn needs_transaction(&self) -> bool {
        self.sessions.is_pooled && !self.in_transaction
    }

    pub(crate) async fn enter(&mut self) -> sqlx::Result<()> {
        if self.needs_transaction() {
            self.connection.execute(AssertSqlSafe(self.sessions.begin().into_owned())).await?;
        }
        Ok(())
    }

    pub(crate) fn executor(&mut self) -> &mut Self {
        self
    }

    pub(crate) async fn leave<T>(&mut self, result: sqlx::Result<T>) -> sqlx::Result<T> {
        if self.needs_transaction() {
            let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
            self.connection.execute(end).await?;
        }
        result
    }
}

/// A query that is not prepared by name: the next server connection would not know the name.
struct Unnamed<E>(E);

impl<'q, E: Execute<'q, Postgres>> Execute<'q, Postgres> for Unnamed<E> {
    fn sql(self) -> SqlStr {
        self.0.sql()
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.0.statement()
    }

    fn take_arguments(&mut self) -> Result<Option<<Postgres as sqlx::Database>::Arguments>, BoxDynError> {
        self.0.take_arguments()
    }

    fn persistent(&self) -> bool {
        false
    }
}

impl<'c> Executor<'c> for &'c mut PgSession<'_> {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, sqlx::Result<Either<PgQueryResult, PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        if self.sessions.is_pooled {
            (&mut *self.connection).fetch_many(Unnamed(query))
        } else {
            (&mut *self.connection).fetch_many(query)
        }
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        if self.sessions.is_pooled {
            (&mut *self.connection).fetch_optional(Unnamed(query))
        } else {
            (&mut *self.connection).fetch_optional(query)
        }
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'c: 'e,
    {
        (&mut *self.connection).prepare_with(sql, parameters)
    }
}
