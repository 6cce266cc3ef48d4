//! What is at a connection string's address, found out within seconds and without changing anything.
//!
//! Whoever asks sets a limit over all of it (see [`super::step::within`]): a server may fall silent at any byte.

use std::{path::Path, sync::Arc};

use super::{
    Conn, ConnectionString, Database, Error, Result, Timeouts,
    migrate::{newest, schema},
    on,
    schema::{SCHEMA, Schema, close, reach},
    silence,
    step::step,
};
use crate::auth::PracticeGrant;

/// Tries a connection string that is to open this practice's database, or to become it: what is there, in words.
///
/// # Errors
/// [`Error::WrongDatabase`] for another practice's; [`Error::Migrate`] when the schema can't be made there; [`Error::Unavailable`];
/// [`Error::ConnectionString`] for a string that can't be right.
pub async fn practice(grant: &PracticeGrant, secret: &str) -> Result<Vec<String>> {
    let Some(db) = Database::at(secret, Some(SCHEMA)).await? else { return Ok(vec![NO_FILE.to_owned()]) };
    let checked = async {
        let mut conn = db.lookout().await?;
        let mut found = vec![conn.server_in_words().await?];
        let tables = conn.tables().await?;
        if !tables.iter().any(|table| table == "tenant_identity") {
            let others = conn.tables_of_others().await?;
            schema().rehearse(secret).await?;
            found.push("a practice can be made in it".to_owned());
            found.extend(of_others(&others));
            return Ok(found);
        }
        step("asking the database whose it is");
        let owner: Option<String> = on!(&mut conn, c => sqlx::query_scalar(
            "select ppass from tenant_identity where singleton = 1",
        ).fetch_optional(c).await)?;
        if owner.is_some_and(|owner| owner != grant.practicepass().as_str()) {
            return Err(Error::WrongDatabase);
        }
        step("looking whether the database has records");
        let has_records = conn.has_rows(&["patients", "log"]).await?;
        found.push(format!("it is this practice's, with{} records", if has_records { "" } else { "out" }));
        found.push(conn.version_in_words(newest()).await?);
        Ok(found)
    };
    let checked = checked.await;
    db.close().await;
    checked
}

/// As [`practice`], for the catalog.
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
            found.push("a catalog can be made in it".to_owned());
            found.extend(of_others(&tables));
        }
        Ok(found)
    };
    let checked = checked.await;
    db.close().await;
    checked
}

/// A file that isn't there yet.
const NO_FILE: &str = "there is no such file yet; it can be made";
/// So many tables of other programs are named.
const MOST_NAMED: usize = 5;

/// The tables of a database that isn't ours yet: whoever meant an empty one sees that it isn't.
fn of_others(tables: &[String]) -> Option<String> {
    if tables.is_empty() {
        return None;
    }
    let named: Vec<&str> = tables.iter().take(MOST_NAMED).map(String::as_str).collect();
    let more = if named.len() < tables.len() { ", …" } else { "" };
    Some(format!("there are tables of other programs, which stay as they are: {}{more}", named.join(", ")))
}

impl Database {
    /// The database at this address; `None` for a file that could be made.
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

    /// The one connection by which it is looked at. It goes back to no pool, which would try it without a limit.
    async fn lookout(&self) -> Result<Conn> {
        step("asking the server what it is");
        // The pool has this one connection: it isn't others that are waited for.
        let mut conn = self.connection().await.map_err(|error| match error {
            Error::Unavailable(sqlx::Error::PoolTimedOut) => Error::Unavailable(silence()),
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
        Ok(on!(self, c => sqlx::query_scalar(
            "select 'PostgreSQL ' || current_setting('server_version') || ', database ' || current_database() || ', role '
                 || current_user || ', ' || coalesce((select version from pg_stat_ssl where pid = pg_backend_pid()), 'no TLS')",
        ).fetch_one(c).await)?)
    }

    async fn version_in_words(&mut self, newest: i64) -> Result<String> {
        step("reading the schema's version");
        let version = self.schema_version().await?;
        let is_newest = if version >= newest { "" } else { "; `migrate` brings it to the newest one" };
        Ok(format!("its schema has version {version}{is_newest}"))
    }
}
