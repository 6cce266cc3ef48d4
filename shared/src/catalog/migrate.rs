//! Creates and upgrades the catalog's schema.
//!
//! Deployments and the local stack run this; requests never do.

use std::time::Duration;

use super::{CatalogDb, articles, products};
use crate::{
    auth::CatalogGrant,
    sql::{Database, Error, Result, check, schema::Schema, search_texts, step::step},
};

/// Returns the catalog's newest migration.
pub fn newest() -> i64 {
    sqlx_macros::migrate!("migrations/catalog/postgres").iter().map(|it| it.version).max().unwrap_or(0)
}

fn schema() -> Schema {
    Schema {
        sqlite: sqlx_macros::migrate!("migrations/catalog/sqlite"),
        postgres: sqlx_macros::migrate!("migrations/catalog/postgres"),
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
    let Some(db) = Database::at(secret, None).await? else { return Ok(vec![check::NO_FILE.to_owned()]) };
    let checked = async {
        let mut conn = db.lookout().await?;
        let mut found = vec![conn.server_in_words().await?];
        let tables = conn.tables().await?;
        let is_there = |name: &str| tables.iter().any(|table| table == name);
        if is_there("tenant_identity") || is_there("patients") {
            return Err(Error::WrongDatabase);
        }
        if is_there("kb_articles") {
            found.push(conn.version_in_words(newest()).await?);
        } else {
            schema().rehearse(secret).await?;
            found.push("a catalog can be created in it".to_owned());
            found.extend(check::of_others(&tables));
        }
        Ok(found)
    };
    let checked = checked.await;
    db.close().await;
    checked
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
