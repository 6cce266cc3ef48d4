//! What is at a connection string's address, found out within seconds and without changing
//! anything.
//!
//! Callers set a limit over all of it (see [`super::step::within`]): a server may fall silent at
//! any byte.

use std::{path::Path, sync::Arc};

use super::{
    Conn, ConnectionString, Database, Error, Result, Timeouts, on,
    reach::{close, reach},
    step::step,
    timed_out,
};

/// The finding for an `SQLite` file that does not exist.
pub(crate) const NO_FILE: &str = "there is no such file yet; it can be created";
/// The most tables of other programs to name.
const MOST_NAMED: usize = 5;

/// Names the other tables in a new database, in case the operator meant to use an empty one.
pub(crate) fn of_others(tables: &[String]) -> Option<String> {
    if tables.is_empty() {
        return None;
    }
    let named: Vec<&str> = tables.iter().take(MOST_NAMED).map(String::as_str).collect();
    let more = if named.len() < tables.len() { ", …" } else { "" };
    Some(format!("it also holds other programs' tables, which stay unchanged: {}{more}", named.join(", ")))
}

impl Database {
    /// Returns the database at this address, or `None` for a file that could be created.
    pub(crate) async fn at(secret: &str, schema: Option<&'static str>) -> Result<Option<Self>> {
        let string = ConnectionString::of(secret);
        string.check()?;
        if let Some(path) = string.dsn().strip_prefix("sqlite://") {
            let path = Path::new(path.split('?').next().unwrap_or(path));
            let folder = path.parent().is_some_and(Path::is_dir);
            if !path.exists() && folder {
                return Ok(None);
            }
        } else {
            close(reach(&string.options()?).await?).await;
        }
        Self::connect(secret, schema, 1, Timeouts::OF_BACKGROUND, Arc::default(), Arc::default()).map(Some)
    }

    /// Returns the only connection.
    ///
    /// It is closed after use: the pool would test it without a time limit.
    pub(crate) async fn lookout(&self) -> Result<Conn> {
        step("identifying the server");
        // The pool has only this connection, so a pool timeout means that the server did not
        // respond.
        let mut conn = self.connection().await.map_err(|error| match error {
            Error::Unavailable(sqlx::Error::PoolTimedOut) => Error::Unavailable(timed_out()),
            error => error,
        })?;
        conn.close_on_drop();
        Ok(conn)
    }
}

impl Conn {
    pub(crate) async fn server_in_words(&mut self) -> Result<String> {
        if matches!(self, Self::Sqlite(_)) {
            return Ok("an SQLite file".to_owned());
        }
        Ok(on!(self, |c| {
            sqlx::query_scalar(
                "select 'PostgreSQL ' || current_setting('server_version') || ', database ' || \
                current_database() || ', role '
                 || current_user || ', ' || coalesce((select version from pg_stat_ssl where pid = \
                 pg_backend_pid()), 'no TLS')",
            )
            .fetch_one(c)
            .await
        })?)
    }

    pub(crate) async fn version_in_words(&mut self, newest: i64) -> Result<String> {
        step("reading the schema version");
        let version = self.schema_version().await?;
        let is_newest = if version >= newest { "" } else { "; run `migrate` to upgrade it" };
        Ok(format!("its schema is at version {version}{is_newest}"))
    }
}
