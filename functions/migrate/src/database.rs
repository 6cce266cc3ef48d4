//! One database at a time.

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

/// Migrates a practice's database and notes it in the registry.
pub(crate) async fn practice(app: &App, practice: &str) -> Result<Done, String> {
    let entry = registered(app, practice).await?;
    let practicepass = entry.practicepass.clone();
    let grant = PracticeGrant::for_operations(practicepass.clone());
    let dsn = app.secrets.get(&entry.dsn_secret, app.clock.now()).await.map_err(|error| error.to_string())?;
    require_schema(app, &entry, &dsn).await?;
    let collisions = prepare(app, &grant, &dsn, &entry.time_zone).await?;
    let newest = tenant::migrate::newest();
    // A newer schema is good, too: after a roll-back this program is the older one.
    if entry.is_current(newest, zones::version()) {
        return Ok(Done { collisions, ..Status::Current.into() });
    }
    let version = entry.schema_version.unwrap_or(newest).max(newest);
    match app.control.note_schema_version(&practicepass, version, zones::version()).await {
        Ok(()) => Ok(Done { collisions, ..Status::Migrated.into() }),
        Err(control::Error::ConditionFailed) => {
            Err("the registry knows of a newer schema, or no longer of the practice".into())
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Brings a practice's database to the newest schema, and gives its role what its sessions begin
/// with.
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
    // Without them each session, or transaction, sets its own.
    step("giving the database's role its defaults");
    if let Err(error) = tenant::migrate::give_defaults(&migrated.db, limits).await {
        let (practice, error) = (grant.practicepass().as_str(), in_words(&error, dsn));
        tracing::warn!(practice, %error, "the database's role may not be given its defaults");
    }
    migrated.db.close().await;
    Ok(migrated.collisions)
}

/// Refuses a database that a practice with records isn't in: made anew, it would look like a
/// healthy one that has none.
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

const RESTORE: &str = "where its database is gone, restore it there first";

pub(crate) async fn open(
    app: &App,
    grant: &PracticeGrant,
    dsn: &str,
    time_zone: &str,
) -> sql::Result<TenantDb> {
    let location = Location { dsn: dsn.to_owned(), time_zone: time_zone.to_owned() };
    Practices::patient(1).open(grant, app.clock.now(), async || Ok(location)).await
}

/// A bridge of this version in the place of an older one's, if the practice has any.
async fn renew_bridge(db: &TenantDb, secret: &str) -> sql::Result<()> {
    step("renewing the bridge to the EMR");
    match Bridge::of(db).await? {
        Some(bridge) => bridge.install_with(db, secret).await,
        None => Ok(()),
    }
}

/// The practice's entry in the registry.
pub(crate) async fn registered(app: &App, practice: &str) -> Result<Practice, String> {
    let practicepass = PracticePass::try_from(practice).map_err(str::to_owned)?;
    step("reading the registry");
    let entry = app.control.practice(&practicepass).await.map_err(|error| error.to_string())?;
    entry.ok_or_else(|| "the practice isn't in the registry".to_owned())
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

/// The secret of the catalog's connection string.
pub(crate) fn catalog_secret(app: &App) -> Result<&SecretRef, String> {
    app.config.catalog_dsn.as_ref().ok_or_else(|| "CATALOG_DSN_SECRET is not configured".to_owned())
}

pub(crate) fn of_catalog(error: &sql::Error, dsn: &str) -> String {
    match error {
        sql::Error::WrongDatabase => "the database at this address is a practice's".to_owned(),
        error => in_words(error, dsn),
    }
}

/// The error with its cause and, for a server that couldn't be asked, what it was to be asked;
/// without what the connection string keeps secret.
pub(crate) fn in_words(error: &sql::Error, dsn: &str) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    let mut text = format!("{error}{}", cause.unwrap_or_default());
    if text.contains("UnknownIssuer") {
        text += "; its certificate is signed by none that everybody trusts: hand over that one's certificate \
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
    fn an_error_tells_no_password_and_is_told_whole_whatever_the_password_is() {
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
