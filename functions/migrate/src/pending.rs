//! Tests of pending connection strings.
//!
//! A test checks whose database it is, whether migrations succeed there, and whether its contents
//! may replace the current ones.

use shared::sql;
use std::sync::Arc;

use shared::{
    app::App,
    auth::{CatalogGrant, PracticeGrant},
    catalog::{self, CatalogDb, Catalogs},
    tenant,
};

use crate::{
    Done, Status,
    database::{catalog_secret, in_words, of_catalog, open, registered},
};

/// Tests a practice's. Only if `empty` may an empty database replace one that is not.
pub(crate) async fn practice(app: &App, practice: &str, empty: bool) -> Result<Done, String> {
    let entry = registered(app, practice).await?;
    let grant = PracticeGrant::for_operations(entry.practicepass.clone());
    let dsn = app.secrets.pending(&entry.dsn_secret).await.map_err(|error| error.to_string())?;
    // A practice that never had a schema may start in any database without an owner.
    if entry.schema_version.is_some() && !empty {
        let new = open(app, &grant, &dsn, &entry.time_zone).await.map_err(|error| match error {
            sql::Error::Statement(cause) => {
                format!("the database at this address holds no practice; restore it there first: {cause}")
            }
            error => in_words(&error, &dsn),
        })?;
        if new.is_empty().await.map_err(|error| in_words(&error, &dsn))? {
            let now = app.secrets.get(&entry.dsn_secret, app.clock.now()).await;
            let now = now.map_err(|error| error.to_string())?;
            let found = async { open(app, &grant, &now, &entry.time_zone).await?.is_empty().await };
            stays_empty(found.await, &now)?;
        }
    }
    // This also tests the privileges of the role.
    let tried = tenant::migrate::migrate(&grant, &dsn, &entry.time_zone, app.clock.now()).await;
    let migrated = tried.map_err(|error| in_words(&error, &dsn))?;
    Ok(Done { collisions: migrated.collisions, ..Status::Usable.into() })
}

/// The same as [`practice`], for the catalog.
pub(crate) async fn catalog(app: &App, empty: bool) -> Result<Done, String> {
    let secret = catalog_secret(app)?;
    let grant = CatalogGrant::for_operations();
    let dsn = app.secrets.pending(secret).await.map_err(|error| error.to_string())?;
    // Open it first: a migration would create the file that a mistyped path names.
    let found = async {
        let new = open_catalog(app, &grant, &dsn).await?;
        new.check_identity().await?;
        new.is_empty().await
    };
    if found.await.map_err(|error| of_catalog(&error, &dsn))? && !empty {
        let now = app.secrets.get(secret, app.clock.now()).await.map_err(|error| error.to_string())?;
        // Until it is set, the secret holds the template's placeholder, not a connection string.
        if now.contains("://") {
            let found = async { open_catalog(app, &grant, &now).await?.is_empty().await };
            stays_empty(found.await, &now)?;
        }
    }
    let tried = catalog::migrate::migrate(&grant, &dsn).await;
    tried.map(|_| Status::Usable.into()).map_err(|error| of_catalog(&error, &dsn))
}

async fn open_catalog(app: &App, grant: &CatalogGrant, dsn: &Arc<str>) -> sql::Result<CatalogDb> {
    Catalogs::default().open(grant, app.clock.now(), async || Ok(dsn.clone())).await
}

/// Allows an empty database to replace one that is empty as well.
fn stays_empty(found: sql::Result<bool>, dsn: &str) -> Result<(), String> {
    let now = match found {
        Ok(true) => return Ok(()),
        Ok(false) => "the current one is not".to_owned(),
        Err(error) => {
            format!("the current one could not be checked ({})", in_words(&error, dsn))
        }
    };
    Err(format!("the database at this address is empty, and {now}; restore it there first, or use --new"))
}
