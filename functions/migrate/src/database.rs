//! One database at a time.

use shared::{
    app::App,
    auth::{CatalogGrant, PracticeGrant, secret_ref::SecretRef},
    catalog,
    control::{self, practices::Practice},
    domain::{PracticePass, zones},
    tenant,
};
use url::Url;

use crate::{Done, Status};

/// Migrates a practice's database and notes it in the registry.
pub(crate) async fn practice(app: &App, practice: &str) -> Result<Done, String> {
    let entry = registered(app, practice).await?;
    let practicepass = entry.practicepass.clone();
    let grant = PracticeGrant::for_operations(practicepass.clone());
    let dsn = app.secrets.get(&entry.dsn_secret, app.clock.now()).await.map_err(|error| error.to_string())?;
    let migrated = tenant::migrate::migrate(&grant, &dsn, &entry.time_zone, app.clock.now()).await;
    let collisions = migrated.map_err(|error| in_words(&error, &dsn))?.collisions;
    let newest = tenant::migrate::newest();
    // A newer schema is good, too: after a roll-back this program is the older one.
    if entry.is_current(newest, zones::version()) {
        return Ok(Done { status: Status::Current, collisions });
    }
    let version = entry.schema_version.unwrap_or(newest).max(newest);
    match app.control.note_schema_version(&practicepass, version, zones::version()).await {
        Ok(()) => Ok(Done { status: Status::Migrated, collisions }),
        Err(control::Error::ConditionFailed) => {
            Err("the registry knows of a newer schema, or no longer of the practice".into())
        }
        Err(error) => Err(error.to_string()),
    }
}

/// The practice's entry in the registry.
pub(crate) async fn registered(app: &App, practice: &str) -> Result<Practice, String> {
    let practicepass = PracticePass::try_from(practice).map_err(str::to_owned)?;
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

pub(crate) fn of_catalog(error: &tenant::Error, dsn: &str) -> String {
    match error {
        tenant::Error::WrongDatabase => "the database at this address is a practice's".to_owned(),
        error => in_words(error, dsn),
    }
}

/// The error with its cause, and without what the connection string keeps secret.
pub(crate) fn in_words(error: &tenant::Error, dsn: &str) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    let text = format!("{error}{}", cause.unwrap_or_default()).replace(dsn, "…");
    match Url::parse(dsn).ok().and_then(|url| url.password().map(str::to_owned)) {
        Some(password) if !password.is_empty() => text.replace(&password, "…"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_tells_no_password() {
        let dsn = "postgres://role:hunter22@db.example/practice";
        for told in [dsn, "password hunter22 is wrong"] {
            let text = in_words(&tenant::Error::Registry(told.into()), dsn);
            assert!(!text.contains("hunter22"), "{text}");
        }
    }
}
