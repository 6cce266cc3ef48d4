//! Authentication and authorization: a handler's parameters state the permission it needs.

use std::marker::PhantomData;

use axum::{
    extract::FromRequestParts,
    http::{HeaderValue, header::AUTHORIZATION, request::Parts},
};
use jiff::Timestamp;

use crate::api::{ApiError, Call, auth::session, input::path::segment};
use crate::{
    app::App,
    auth::{Caller, Denied},
    domain::Scope,
    sql::audit,
    tenant::TenantDb,
};

/// Names a [`Scope`] at the type level, so that a handler's signature states it.
pub trait RequiredScope: Send + Sync {
    const SCOPE: Scope;
}

/// The scopes as types.
pub mod scope {
    use super::{RequiredScope, Scope};

    macro_rules! scopes {
        ($($name:ident)+) => {$(
            pub struct $name;

            impl RequiredScope for $name {
                const SCOPE: Scope = Scope::$name;
            }
        )+};
    }

    scopes! { Prospects Providers Scheduling Products Kb Tickets }
}

/// An authenticated partner, for endpoints outside a practice.
///
/// If the endpoint needs a scope, the handler checks it.
pub struct Partner {
    pub caller: Caller,
    pub app: App,
    pub call: Call,
}

/// A partner with access to the practice in the path and with scope `S`.
///
/// It is the only way to a practice's database: without the scope, no row can be read.
pub struct Tenant<S> {
    pub caller: Caller,
    pub db: TenantDb,
    pub app: App,
    pub request_id: String,
    /// When the call began: the only clock of a handler.
    pub now: Timestamp,
    scope: PhantomData<S>,
}

impl Partner {
    /// Opens the database of the key's own practice, for operations that every key permits.
    pub async fn open_own_practice(&self) -> Result<TenantDb, ApiError> {
        Ok(self.app.open(&self.caller.own_practice()).await?)
    }

    pub fn now(&self) -> Timestamp {
        self.call.now()
    }
}

impl FromRequestParts<App> for Partner {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let call = Call::from_request_parts(parts, app).await?;
        // An Authorization header takes precedence over the cookie, even if it is invalid.
        let caller = match parts.headers.get(AUTHORIZATION) {
            Some(value) => bearer(value, app, &call).await?,
            None => session::partner_of(parts, app, &call).await?,
        };
        call.identify(&caller);
        app.keys.note_use(&caller.key_id, call.now());
        let rate = app.rates.admit(&caller.key_id, caller.rate_limit, call.now());
        let _ = call.0.rate.set(rate);
        if !rate.allowed {
            return Err(ApiError::rate_limited(rate.reset));
        }
        Ok(Self { caller, app: app.clone(), call })
    }
}

/// Authenticates a bearer token.
async fn bearer(value: &HeaderValue, app: &App, call: &Call) -> Result<Caller, ApiError> {
    let token = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(kind, _)| kind.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or_else(ApiError::unauthenticated)?;
    let claims = app.verify_token(token, call.now()).await?.ok_or_else(ApiError::unauthenticated)?;
    let key = app.keys.get(&app.control, (&claims.sub, claims.key_version), call.now()).await?;
    let key = key.ok_or(Denied::Unauthenticated)?;
    Ok(key.admit(&claims, call.now(), call.address())?)
}

impl<S: RequiredScope> FromRequestParts<App> for Tenant<S> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let Partner { caller, app, call } = Partner::from_request_parts(parts, app).await?;
        let practicepass = segment(parts, "PPass").await.ok_or(Denied::OtherPractice)?;
        let grant = caller.enter(&practicepass, S::SCOPE)?;
        let db = app.open(&grant).await?;
        Ok(Self {
            caller,
            db,
            app,
            request_id: call.request_id().to_owned(),
            now: call.now(),
            scope: PhantomData,
        })
    }
}

impl<S> Tenant<S> {
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
