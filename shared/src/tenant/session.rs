//! What a connection of `PostgreSQL` is told, and what may be left in it: nothing when a pooler gives each transaction another
//! connection of the server. Such a connection has each statement in a transaction, with its limits, and prepares none by name.

use std::{
    borrow::Cow,
    sync::atomic::{AtomicBool, Ordering},
};

use futures::{future::BoxFuture, stream::BoxStream};
use sqlx::{
    AssertSqlSafe, Describe, Either, Execute, Executor, PgConnection, Postgres, Row as _, SqlStr,
    SqliteConnection,
    error::BoxDynError,
    postgres::{PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};

use super::ServerTimeouts;

/// The limits in the order of their names (`idle_in_transaction_session_timeout`, `lock_timeout`, `statement_timeout`), the search
/// path, and whether [`ENTER`] is there.
const READ_SETTINGS: &str = "select string_agg(setting, ',' order by name), current_setting('search_path'),
        exists (select 1 from pg_proc where pronamespace = to_regnamespace('partner_api') and proname = 'enter')::text
    from pg_settings where name in ('idle_in_transaction_session_timeout', 'lock_timeout', 'statement_timeout')";

/// Gives the transaction the search path if the pooler's connection has another one. Its text sets nothing, so an RDS Proxy goes on
/// giving the connection to others.
const ENTER: &str = "select partner_api.enter()";

/// The sessions of one database, as this process wants them.
#[derive(Debug)]
pub(crate) struct Sessions {
    is_pooled: bool,
    limits: ServerTimeouts,
    /// Where all tables are; `None`: where the role looks.
    schema: Option<&'static str>,
    /// Connections begin with these limits, as their role has them. Only a pooled connection looks here.
    has_limits: AtomicBool,
    /// Whether [`ENTER`] is there.
    can_enter: AtomicBool,
}

impl Sessions {
    pub(crate) fn new(is_pooled: bool, limits: ServerTimeouts, schema: Option<&'static str>) -> Self {
        let (has_limits, can_enter) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { is_pooled, limits, schema, has_limits, can_enter }
    }

    /// Reads a new connection's limits and search path and sets those that are wanted, if others hold.
    ///
    /// Startup options would save a round trip, but poolers refuse them, and an RDS Proxy gives a connection that has set something
    /// to nobody else any more.
    pub(crate) async fn settle(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
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
            "{set} lock_timeout = {}; {set} statement_timeout = {}; {set} idle_in_transaction_session_timeout = {}",
            lock.as_millis(),
            statement.as_millis(),
            idle.as_millis()
        )
    }

    /// What begins a transaction. A pooler's connections are of different ages: the one that was looked at says of the others' limits
    /// what is good enough, but a wrong search path would find another program's tables, so each transaction sees to its own.
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

#[allow(clippy::unused_async, reason = "as PostgreSQL's")]
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

/// A round trip on `PostgreSQL`, in a transaction of its own where there must be one.
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

/// A query that isn't prepared under a name, which the next connection of the server wouldn't know.
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

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<Describe<Postgres>>>
    where
        'c: 'e,
    {
        (&mut *self.connection).describe(sql)
    }
}
