//! Connection strings and databases of practices that are not yet registered.

use shared::{
    app::App,
    auth::{CatalogGrant, PracticeGrant, secret_ref::SecretRef},
    catalog,
    domain::PracticePass,
    sql::step::step,
    tenant::{self},
};

use crate::{
    Check, Done, New, Status,
    database::{catalog_secret, in_words, of_catalog, prepare, registered, require_schema},
};

/// Tests the given or the current connection string, and changes nothing.
pub(crate) async fn check(app: &App, check: &Check) -> Result<Done, String> {
    let Some(practice) = &check.practice else { return check_catalog(app, check).await };
    let secret = if let Some(secret) = &check.dsn {
        secret.0.as_str().into()
    } else {
        let entry = registered(app, practice).await?;
        let secret = of_now(app, &entry.dsn_secret).await?;
        require_schema(app, &entry, &secret).await?;
        secret
    };
    let practicepass = PracticePass::try_from(practice.as_str()).map_err(str::to_owned)?;
    let found = tenant::check::practice(&PracticeGrant::for_operations(practicepass), &secret).await;
    let found = found.map_err(|error| in_words(&error, &secret))?;
    Ok(Done { found, ..Status::Usable.into() })
}

async fn check_catalog(app: &App, check: &Check) -> Result<Done, String> {
    let secret = match &check.dsn {
        Some(secret) => secret.0.as_str().into(),
        None => of_now(app, catalog_secret(app)?).await?,
    };
    let found = catalog::migrate::check(&CatalogGrant::for_operations(), &secret).await;
    let found = found.map_err(|error| of_catalog(&error, &secret))?;
    Ok(Done { found, ..Status::Usable.into() })
}

async fn of_now(app: &App, secret: &SecretRef) -> Result<std::sync::Arc<str>, String> {
    step("reading the secret");
    app.secrets.get(secret, app.clock.now()).await.map_err(|error| error.to_string())
}

/// Creates the schema of a practice, which is registered after this has succeeded.
pub(crate) async fn make(app: &App, new: &New) -> Result<Done, String> {
    let practicepass = PracticePass::try_from(new.practice.as_str()).map_err(str::to_owned)?;
    let secret = of_now(app, &SecretRef::from(new.secret.clone())).await?;
    let grant = PracticeGrant::for_operations(practicepass);
    let collisions = prepare(app, &grant, &secret, &new.time_zone).await?;
    Ok(Done { collisions, ..Status::Migrated.into() })
}
