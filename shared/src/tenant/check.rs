//! Inspects the database at a connection string within seconds, without changing anything.
//!
//! The caller sets a limit for the whole inspection (see [`super::step::within`]), because a server
//! may stop responding at any byte.

use std::{path::Path, sync::Arc};

use super::{
    Conn, ConnectionString, Database, Error, Result, Timeouts,
    migrate::{newest, schema},
    on,
    schema::{SCHEMA, Schema, close, reach},
    step::step,
    timed_out,
};
use crate::auth::PracticeGrant;

/// Checks a connection string for this practice's current or new database; returns the findings.
///
/// # Errors
/// [`Error::WrongDatabase`] if it belongs to another practice; [`Error::Migrate`] if the schema
/// cannot be created there; [`Error::Unavailable`]; [`Error::ConnectionString`] if the string is
/// not valid.
pub async fn practice(grant: &PracticeGrant, secret: &str) -> Result<Vec<String>> {
    let Some(db) = Database::at(secret, Some(SCHEMA)).await? else { return Ok(vec![NO_FILE.to_owned()]) };
    let checked = async {
        let mut conn = db.lookout().await?;
        let mut found = vec![conn.server_in_words().await?];
        let tables = conn.tables().await?;
        if !tables.iter().any(|table| table == "tenant_identity") {
            let others = conn.tables_of_others().await?;
            schema().rehearse(secret).await?;
            found.push("a practice can be created in it".to_owned());
            found.extend(of_others(&others));
            return Ok(found);
        }
        step("checking which practice owns the database");
        let owner: Option<String> =
            on!(&mut conn, |c| sqlx::query_scalar("select ppass from tenant_identity where singleton = 1",)
                .fetch_optional(c)
                .await)?;
        if owner.is_some_and(|owner| owner != grant.practicepass().as_str()) {
            return Err(Error::WrongDatabase);
        }
        step("checking whether the database has records");
        let has_records = conn.has_rows(&["patients", "log"]).await?;
        found.push(format!(
            "it is this practice's database, with{} records",
            if has_records { "" } else { "out" }
        ));
        found.push(conn.version_in_words(newest()).await?);
        Ok(found)
    };
    let checked = checked.await;
    db.close().await;
    checked
}

/// The same as [`practice`], for the catalog.
pub(crate) async fn catalog(secret: &str, schema: Schema, newest: i64) -> Result<Vec<String>> {
    let Some(db) = Database::at(secret, None).await? else { return Ok(vec![NO_FILE.to_owned()]) };
    let checked = async {
        let mut conn = db.lookout().await?;
        let mut found = vec![conn.server_in_words().await?];
        let tables = conn.tables().await?;
        let is_there = |name: &str| tables.iter().any(|table| table == name);
        if is_there("tenant_identity") || is_there("patients") {
            return Err(Error::WrongDatabase);
        }
        if is_there("kb_articles") {
            found.push(conn.version_in_words(newest).await?);
        } else {
            schema.rehearse(secret).await?;
            found.push("a catalog can be created in it".to_owned());
            found.extend(of_others(&tables));
        }
        Ok(found)
    };
    let checked = checked.await;
    db.close().await;
    checked
}

/// The finding for an `SQLite` file that does not exist.
const NO_FILE: &str = "there is no such file yet; it can be created";
/// The most tables of other programs to name.
const MOST_NAMED: usize = 5;

/// Names the other tables in a new database, in case the operator meant to use an empty one.
fn of_others(tables: &[String]) -> Option<String> {
    if tables.is_empty() {
        return None;
    }
    let named: Vec<&str> = tables.iter().take(MOST_NAMED).map(String::as_str).collect();
    let more = if named.len() < tables.len() { ", …" } else { "" };
    Some(format!("it also holds other programs' tables, which stay unchanged: {}{more}", named.join(", ")))
}

impl Database {
    /// Returns the database at this address, or `None` for a file that could be created.
    async fn at(secret: &str, schema: Option<&'static str>) -> Result<Option<Self>> {
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
    async fn lookout(&self) -> Result<Conn> {
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
    async fn server_in_words(&mut self) -> Result<String> {
        if matches!(self, Self::Sqlite(_)) {
            return Ok("an SQLite file".to_owned());
        }
        Ok(on!(self, |c| {
            sqlx::query_scalar(
            "select 'PostgreSQL ' || current_setting('server_version') || ', database ' || current_database() || ', role '
                 || current_user || ', ' || coalesce((select version from pg_stat_ssl where pid = pg_backend_pid()), 'no TLS')",
        ).fetch_one(c).await
        })?)
    }

    async fn version_in_words(&mut self, newest: i64) -> Result<String> {
        step("reading the schema version");
        let version = self.schema_version().await?;
        let is_newest = if version >= newest { "" } else { "; run `migrate` to upgrade it" };
        Ok(format!("its schema is at version {version}{is_newest}"))
    }
}
