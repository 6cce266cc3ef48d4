//! Trying a connection string that is pending: whose database it opens, whether migrations can be
//! done there, and whether what is there may take the place of what is there now.

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

/// Tries a practice's. An `empty` database may take the place of one that isn't only when that is
/// wanted.
pub(crate) async fn practice(app: &App, practice: &str, empty: bool) -> Result<Done, String> {
    let entry = registered(app, practice).await?;
    let grant = PracticeGrant::for_operations(entry.practicepass.clone());
    let dsn = app.secrets.pending(&entry.dsn_secret).await.map_err(|error| error.to_string())?;
    // A practice that never had a schema may begin in any database that is nobody's.
    if entry.schema_version.is_some() && !empty {
        let new = open(app, &grant, &dsn, &entry.time_zone).await.map_err(|error| match error {
            sql::Error::Statement(cause) => {
                format!("the database at this address holds no practice, restore it there first: {cause}")
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
    // Also whether its role may do what migrations do.
    let tried = tenant::migrate::migrate(&grant, &dsn, &entry.time_zone, app.clock.now()).await;
    let migrated = tried.map_err(|error| in_words(&error, &dsn))?;
    Ok(Done { collisions: migrated.collisions, ..Status::Usable.into() })
}

/// As [`practice`], the catalog's.
pub(crate) async fn catalog(app: &App, empty: bool) -> Result<Done, String> {
    let secret = catalog_secret(app)?;
    let grant = CatalogGrant::for_operations();
    let dsn = app.secrets.pending(secret).await.map_err(|error| error.to_string())?;
    // A migration would make the file that a mistyped path names.
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

/// An empty database may take the place of one that was seen to be empty itself.
fn stays_empty(found: sql::Result<bool>, dsn: &str) -> Result<(), String> {
    let now = match found {
        Ok(true) => return Ok(()),
        Ok(false) => "the current one isn't".to_owned(),
        Err(error) => {
            format!("whether the current one is empty can't be determined ({})", in_words(&error, dsn))
        }
    };
    Err(format!("the database at this address is empty, and {now}; restore it there first, or say --new"))
}
