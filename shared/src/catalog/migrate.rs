//! Creating and upgrading the catalog's schema. Requests never do; deployments and the local stack do.

use super::CatalogDb;
use crate::{
    auth::CatalogGrant,
    tenant::{Database, Pool, Result},
};

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
