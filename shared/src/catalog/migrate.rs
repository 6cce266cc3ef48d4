//! Creates and upgrades the catalog's schema.
//!
//! Deployments and the local stack run this; requests never do.

use std::time::Duration;

use super::{CatalogDb, articles, products};
use crate::{
    auth::CatalogGrant,
    tenant::{self, Database, Error, Result, schema::Schema, search_texts, step::step},
};

/// Returns the catalog's newest migration.
pub fn newest() -> i64 {
    sqlx::migrate!("migrations/catalog/postgres").iter().map(|it| it.version).max().unwrap_or(0)
}

fn schema() -> Schema {
    Schema {
        sqlite: sqlx::migrate!("migrations/catalog/sqlite"),
        postgres: sqlx::migrate!("migrations/catalog/postgres"),
        of_practice: false,
    }
}

/// Migrates the catalog's database to the newest schema, and indexes its rows for search.
///
/// Idempotent.
///
/// # Errors
/// [`Error::WrongDatabase`] if the database is a practice's; [`Error::Migrate`];
/// [`Error::Migrating`]; [`Error::Unavailable`].
pub async fn migrate(_: &CatalogGrant, dsn: &str) -> Result<CatalogDb> {
    let db = CatalogDb::new(Database::connect_for_creation(dsn, None).await?);
    step("listing the existing tables");
    db.check_identity().await?;
    schema().bring_up(&db, dsn).await?;
    step("indexing products and articles for search");
    for source in [products::SEARCHED, articles::SEARCHED] {
        search_texts::index(&db, source, Duration::MAX).await?;
    }
    Ok(db)
}

/// Checks a connection string for the current or a new catalog; returns the findings.
///
/// # Errors
/// The same as for [`migrate`].
pub async fn check(_: &CatalogGrant, secret: &str) -> Result<Vec<String>> {
    tenant::check::catalog(secret, schema(), newest()).await
}

impl CatalogDb {
    /// Rejects a practice's database, even if it has only the EMR's tables.
    ///
    /// # Errors
    /// [`Error::WrongDatabase`]; [`Error::Unavailable`].
    pub async fn check_identity(&self) -> Result<()> {
        let tables = self.connection().await?.tables().await?;
        if tables.iter().any(|table| ["tenant_identity", "patients"].contains(&table.as_str())) {
            return Err(Error::WrongDatabase);
        }
        Ok(())
    }

    /// Whether there are neither products nor articles.
    pub async fn is_empty(&self) -> Result<bool> {
        Ok(!self.connection().await?.has_rows(&["products", "kb_articles"]).await?)
    }
}
