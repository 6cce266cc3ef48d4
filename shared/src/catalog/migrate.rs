//! Creating and upgrading the catalog's schema. Requests never do; deployments and the local stack do.

use super::CatalogDb;
use crate::{
    auth::CatalogGrant,
    tenant::{Database, Error, Pool, Result, migrate::lenient, on},
};

/// The newest migration of the catalog.
pub fn newest() -> i64 {
    sqlx::migrate!("migrations/catalog/postgres").iter().map(|it| it.version).max().unwrap_or(0)
}

/// Brings the database at `dsn` to the newest schema. Run again, it changes nothing.
///
/// # Errors
/// [`Error::WrongDatabase`] when the database is a practice's; [`Error::Migrate`]; [`Error::Unavailable`].
pub async fn migrate(_: &CatalogGrant, dsn: &str) -> Result<CatalogDb> {
    let database = Database::connect_for_creation(dsn).await?;
    if is_a_practices(&database).await? {
        return Err(Error::WrongDatabase);
    }
    match &database.pool {
        Pool::Sqlite(pool) => lenient(sqlx::migrate!("migrations/catalog/sqlite")).run(pool).await?,
        Pool::Postgres(pool) => lenient(sqlx::migrate!("migrations/catalog/postgres")).run(pool).await?,
    }
    Ok(CatalogDb::new(database))
}

/// Whether a practice's tables are there, the EMR's alone too.
async fn is_a_practices(database: &Database) -> Result<bool> {
    let tables = match &database.pool {
        Pool::Sqlite(_) => "select name from sqlite_master where type = 'table'",
        Pool::Postgres(_) => "select tablename::text from pg_tables where schemaname = current_schema()",
    };
    let mut conn = database.connection().await?;
    let tables: Vec<String> = on!(&mut conn, c => sqlx::query_scalar(tables).fetch_all(c).await)?;
    Ok(tables.iter().any(|table| ["tenant_identity", "patients"].contains(&table.as_str())))
}
