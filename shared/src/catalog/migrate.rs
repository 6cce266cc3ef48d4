//! Creating and upgrading the catalog's schema. Requests never do; deployments and the local stack do.

use super::CatalogDb;
use crate::{
    auth::CatalogGrant,
    tenant::{Database, Pool, Result},
};

/// The newest migration of the catalog.
pub fn newest() -> i64 {
    sqlx::migrate!("migrations/catalog/postgres").iter().map(|it| it.version).max().unwrap_or(0)
}

/// Brings the database at `dsn` to the newest schema. Run again, it changes nothing.
///
/// # Errors
/// [`crate::tenant::Error::Migrate`], also when the database is a practice's; [`crate::tenant::Error::Unavailable`].
pub async fn migrate(_: &CatalogGrant, dsn: &str) -> Result<CatalogDb> {
    let database = Database::connect_for_creation(dsn).await?;
    match &database.pool {
        Pool::Sqlite(pool) => sqlx::migrate!("migrations/catalog/sqlite").run(pool).await?,
        Pool::Postgres(pool) => sqlx::migrate!("migrations/catalog/postgres").run(pool).await?,
    }
    Ok(CatalogDb::new(database))
}
