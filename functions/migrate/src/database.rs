//! Work on one database.

use shared::sql;
use shared::{
    app::App,
    auth::{CatalogGrant, PracticeGrant, secret_ref::SecretRef},
    catalog,
    control::{self, practices::Practice},
    domain::{PracticePass, zones},
    sql::{
        ConnectionString, Timeouts,
        step::{self, step},
    },
    tenant::{self, Bridge, Collision, Practices, TenantDb, practices::Location},
};

use crate::{Done, Status};

/// Migrates a practice's database and records the version in the registry.
pub(crate) async fn practice(app: &App, practice: &str) -> Result<Done, String> {
    let entry = registered(app, practice).await?;
    let practicepass = entry.practicepass.clone();
    let grant = PracticeGrant::for_operations(practicepass.clone());
    let dsn = app.secrets.get(&entry.dsn_secret, app.clock.now()).await.map_err(|error| error.to_string())?;
    require_schema(app, &entry, &dsn).await?;
    let collisions = prepare(app, &grant, &dsn, &entry.time_zone).await?;
    let newest = tenant::migrate::newest();
    // A newer schema is acceptable: after a rollback this program is the older one.
    if entry.is_current(newest, zones::version()) {
        return Ok(Done { collisions, ..Status::Current.into() });
    }
    let version = entry.schema_version.unwrap_or(newest).max(newest);
    match app.control.note_schema_version(&practicepass, version, zones::version()).await {
        Ok(()) => Ok(Done { collisions, ..Status::Migrated.into() }),
        Err(control::Error::ConditionFailed) => {
            Err("the registry has a newer schema version, or no longer has the practice".into())
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Migrates a practice's database and sets the defaults of its role's sessions.
pub(crate) async fn prepare(
    app: &App,
    grant: &PracticeGrant,
    dsn: &str,
    time_zone: &str,
) -> Result<Vec<Collision>, String> {
    let migrated = tenant::migrate::migrate(grant, dsn, time_zone, app.clock.now()).await;
    let migrated = migrated.map_err(|error| in_words(&error, dsn))?;
    let timeouts = Timeouts::OF_CALLERS.times(app.config.database_timeout_factor.max(1));
    let limits = timeouts.server.unwrap_or_default();
    renew_bridge(&migrated.db, dsn).await.map_err(|error| in_words(&error, dsn))?;
    // Without these defaults each session or transaction sets its own.
    step("setting the defaults of the database's role");
    if let Err(error) = tenant::migrate::give_defaults(&migrated.db, limits).await {
        let (practice, error) = (grant.practicepass().as_str(), in_words(&error, dsn));
        tracing::warn!(practice, %error, "cannot set the defaults of the database's role");
    }
    migrated.db.close().await;
    Ok(migrated.collisions)
}

/// Rejects a database that lacks the schema of a practice with records.
///
/// A newly created schema would look like a healthy practice without records.
pub(crate) async fn require_schema(app: &App, entry: &Practice, dsn: &str) -> Result<(), String> {
    if entry.schema_version.is_none() {
        return Ok(());
    }
    let grant = PracticeGrant::for_operations(entry.practicepass.clone());
    let found = open(app, &grant, dsn, &entry.time_zone).await;
    let db = found.map_err(|error| format!("{}; {RESTORE}", in_words(&error, dsn)))?;
    db.close().await;
    Ok(())
}

const RESTORE: &str = "if the practice's database was lost, restore it there first";

pub(crate) async fn open(
    app: &App,
    grant: &PracticeGrant,
    dsn: &str,
    time_zone: &str,
) -> sql::Result<TenantDb> {
    let location = Location { dsn: dsn.to_owned(), time_zone: time_zone.to_owned() };
    Practices::for_background_work(1).open(grant, app.clock.now(), async || Ok(location)).await
}

/// Replaces an older version of the practice's bridge, if it has a bridge.
async fn renew_bridge(db: &TenantDb, secret: &str) -> sql::Result<()> {
    step("renewing the bridge to the EMR");
    match Bridge::of(db).await? {
        Some(bridge) => bridge.install_with(db, secret).await,
        None => Ok(()),
    }
}

/// Returns the practice's entry in the registry.
pub(crate) async fn registered(app: &App, practice: &str) -> Result<Practice, String> {
    let practicepass = PracticePass::try_from(practice).map_err(str::to_owned)?;
    step("reading the registry");
    let entry = app.control.practice(&practicepass).await.map_err(|error| error.to_string())?;
    entry.ok_or_else(|| "the practice is not in the registry".to_owned())
}

/// Migrates the catalog.
pub(crate) async fn catalog(app: &App) -> Result<Done, String> {
    let secret = catalog_secret(app)?;
    let grant = CatalogGrant::for_operations();
    let dsn = app.secrets.get(secret, app.clock.now()).await.map_err(|error| error.to_string())?;
    if !dsn.contains("://") {
        return Ok(Status::Unset.into());
    }
    catalog::migrate::migrate(&grant, &dsn).await.map_err(|error| of_catalog(&error, &dsn))?;
    Ok(Status::Migrated.into())
}

/// Returns the secret with the catalog's connection string.
pub(crate) fn catalog_secret(app: &App) -> Result<&SecretRef, String> {
    app.config.catalog_dsn.as_ref().ok_or_else(|| "CATALOG_DSN_SECRET is not configured".to_owned())
}

pub(crate) fn of_catalog(error: &sql::Error, dsn: &str) -> String {
    match error {
        sql::Error::WrongDatabase => "the database at this address is a practice's".to_owned(),
        error => in_words(error, dsn),
    }
}

/// Describes an error, with its cause and without the secrets of the connection string.
///
/// If the server was unavailable, the text also names the current step.
pub(crate) fn in_words(error: &sql::Error, dsn: &str) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    let mut text = format!("{error}{}", cause.unwrap_or_default());
    if text.contains("UnknownIssuer") {
        text += "; no public authority signed its certificate: provide the authority's certificate \
            (--root-certificate)";
    }
    if let (sql::Error::Unavailable(_), Some(step)) = (error, step::current()) {
        text = format!("{text} (while {step})");
    }
    ConnectionString::of(dsn).mask(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_masks_any_password_and_nothing_else() {
        let words = |dsn: &str, told: &str| in_words(&sql::Error::Registry(told.into()), dsn);
        let dsn = "postgres://role:hunter22@db.example/practice";
        for told in [dsn, "no such host: postgres://role:hunter22@db.example"] {
            assert!(!words(dsn, told).contains("hunter22"), "{}", words(dsn, told));
        }
        for password in ["b", "bl", "practice", "database"] {
            let dsn = format!("postgres://role:{password}@db.example/practice");
            let told = "the practice database was unavailable a moment ago";
            assert_eq!(in_words(&sql::Error::CircuitOpen, &dsn), told);
        }
    }
}
