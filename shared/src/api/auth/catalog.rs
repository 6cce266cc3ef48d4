//! Access to the catalog.

use std::marker::PhantomData;

use axum::{extract::FromRequestParts, http::request::Parts};
use jiff::Timestamp;

use crate::api::{ApiError, Partner, RequiredScope, scope};
use crate::{app::App, auth::Caller, catalog::CatalogDb, sql::audit};

/// A scope whose endpoints use the catalog.
pub trait CatalogScope: RequiredScope {}

impl CatalogScope for scope::Products {}
impl CatalogScope for scope::Kb {}

/// A partner with scope `S`, and the catalog's database.
///
/// It is the only way to the catalog: without the scope, no row can be read.
pub struct Catalog<S> {
    pub caller: Caller,
    pub db: CatalogDb,
    request_id: String,
    /// When the call began: the only clock of a handler.
    pub now: Timestamp,
    scope: PhantomData<S>,
}

impl<S: CatalogScope> FromRequestParts<App> for Catalog<S> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let Partner { caller, app, call } = Partner::from_request_parts(parts, app).await?;
        let grant = caller.enter_catalog(S::SCOPE)?;
        let db = app.open_catalog(&grant).await?;
        let request_id = call.request_id().to_owned();
        Ok(Self { caller, db, request_id, now: call.now(), scope: PhantomData })
    }
}

impl<S> Catalog<S> {
    /// Returns the audit row of this call, for [`audit::record`].
    pub fn audit<'a>(
        &'a self,
        action: &'static str,
        entity: &'static str,
        ids: &'a [i64],
    ) -> audit::AuditEntry<'a> {
        audit::AuditEntry {
            caller: &self.caller,
            request_id: &self.request_id,
            at: self.now,
            action,
            entity,
            ids,
        }
    }
}
