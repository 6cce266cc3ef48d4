//! Creating and upgrading the catalog's schema. Requests never do; deployments and the local stack do.

use std::time::Duration;

use super::{CatalogDb, articles, products};
use crate::{
    auth::CatalogGrant,
    tenant::{self, Database, Error, Result, schema::Schema, search_texts, step::step},
};

/// The newest migration of the catalog.
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

/// Brings the database of this connection string to the newest schema, and makes what is there searchable. Run again, it changes nothing.
///
/// # Errors
/// [`Error::WrongDatabase`] when the database is a practice's; [`Error::Migrate`]; [`Error::Migrating`]; [`Error::Unavailable`].
pub async fn migrate(_: &CatalogGrant, dsn: &str) -> Result<CatalogDb> {
    let db = CatalogDb::new(Database::connect_for_creation(dsn, None).await?);
    step("looking whose database it is");
    db.check_identity().await?;
    schema().bring_up(&db, dsn).await?;
    step("making products and articles searchable");
    for source in [products::SEARCHED, articles::SEARCHED] {
        search_texts::index(&db, source, Duration::MAX).await?;
    }
    Ok(db)
}

/// Tries a connection string that is to open the catalog, or to become it: what is there, in words.
///
/// # Errors
/// As [`migrate`].
pub async fn check(_: &CatalogGrant, secret: &str) -> Result<Vec<String>> {
    tenant::check::catalog(secret, schema(), newest()).await
}

impl CatalogDb {
    /// Refuses a practice's database, the EMR's tables alone too.
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

    /// Whether there is neither a product nor an article.
    pub async fn is_empty(&self) -> Result<bool> {
        Ok(!self.connection().await?.has_rows(&["products", "kb_articles"]).await?)
    }
}
