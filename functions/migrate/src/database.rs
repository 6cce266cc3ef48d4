//! One database at a time.

use jiff::tz::TimeZone;
use shared::{
    app::App,
    auth::{CatalogGrant, PracticeGrant},
    catalog::{self, Catalogs},
    control,
    domain::PracticePass,
    tenant::{self, Practices, practices::Location},
};
use url::Url;

use crate::Status;

/// Migrates a practice's database and notes it in the registry, or tries the connection string that is pending.
pub(crate) async fn practice(app: &App, practice: &str, pending: bool) -> Result<Status, String> {
    let practicepass = PracticePass::try_from(practice).map_err(str::to_owned)?;
    let entry = app.control.practice(&practicepass).await.map_err(|error| error.to_string())?;
    let entry = entry.ok_or("the practice isn't in the registry")?;
    let grant = PracticeGrant::for_operations(practicepass.clone());
    let zone = TimeZone::get(&entry.time_zone).map_err(|_| "the registry's time zone is unknown")?;
    if pending {
        let dsn = app.secrets.pending(&entry.dsn_secret).await.map_err(|error| error.to_string())?;
        let tried = async {
            // A practice that never had a schema may begin in any database that is nobody's.
            if entry.schema_version.is_some() {
                let location = Location { dsn: dsn.to_string(), time_zone: entry.time_zone };
                let opening = Practices::default();
                opening.open(&grant, app.clock.now(), async || Ok::<_, tenant::Error>(location)).await?;
            }
            // Also whether its role may do what migrations do.
            tenant::migrate::migrate(&grant, &dsn, zone).await
        };
        return tried.await.map(|_| Status::Usable).map_err(|error| in_words(&error, &dsn));
    }
    let dsn = app.secrets.get(&entry.dsn_secret, app.clock.now()).await.map_err(|error| error.to_string())?;
    tenant::migrate::migrate(&grant, &dsn, zone).await.map_err(|error| in_words(&error, &dsn))?;
    let newest = tenant::migrate::newest();
    // A newer schema is good, too: after a roll-back this program is the older one.
    if entry.schema_version >= Some(newest) {
        return Ok(Status::Current);
    }
    match app.control.note_schema_version(&practicepass, newest).await {
        Ok(()) => Ok(Status::Migrated),
        Err(control::Error::ConditionFailed) => {
            Err("the registry knows of a newer schema, or no longer of the practice".into())
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Migrates the catalog, by the connection string that is pending if that is to be tried.
pub(crate) async fn catalog(app: &App, pending: bool) -> Result<Status, String> {
    let secret = app.config.catalog_dsn.as_ref().ok_or("CATALOG_DSN_SECRET is not configured")?;
    let grant = CatalogGrant::for_operations();
    let now = app.clock.now();
    if pending {
        let dsn = app.secrets.pending(secret).await.map_err(|error| error.to_string())?;
        let tried = async {
            // A migration would make the file that a mistyped path names.
            let db =
                Catalogs::default().open(&grant, now, async || Ok::<_, tenant::Error>(dsn.clone())).await?;
            db.connection().await?;
            catalog::migrate::migrate(&grant, &dsn).await
        };
        return tried.await.map(|_| Status::Usable).map_err(|error| of_catalog(&error, &dsn));
    }
    let dsn = app.secrets.get(secret, now).await.map_err(|error| error.to_string())?;
    if !dsn.contains("://") {
        return Err("its secret holds no connection string yet; set-catalog-dsn puts one in".into());
    }
    catalog::migrate::migrate(&grant, &dsn).await.map_err(|error| of_catalog(&error, &dsn))?;
    Ok(Status::Migrated)
}

fn of_catalog(error: &tenant::Error, dsn: &str) -> String {
    match error {
        tenant::Error::WrongDatabase => "the database at this address is a practice's".to_owned(),
        error => in_words(error, dsn),
    }
}

/// The error with its cause, and without what the connection string keeps secret.
fn in_words(error: &tenant::Error, dsn: &str) -> String {
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
