//! Handles `/v1/portal/session`.

pub(crate) mod sign_in;

use axum::{
    http::{HeaderMap, header::SET_COOKIE},
    response::{AppendHeaders, IntoResponse},
};
use jiff::Timestamp;
use serde::Serialize;
use shared::{
    api::{ApiResult, Change, Data, PortalUser, Problem, audit_change, take_cookie},
    domain::{PracticePass, Scope},
};
use utoipa::ToSchema;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    Admin,
    Partner,
}

/// The user who is signed in.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SignedIn {
    role: Role,
    /// The partner's company. Like the next three fields, omitted for an administrator.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    partner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    key_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    practicepass: Option<PracticePass>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    scopes: Option<Vec<Scope>>,
    /// RFC 3339: when the session ends if it is not used before.
    expires_at: String,
}

impl SignedIn {
    fn admin(ends_at: Timestamp) -> Self {
        let expires_at = ends_at.to_string();
        Self {
            role: Role::Admin,
            partner: None,
            key_name: None,
            practicepass: None,
            scopes: None,
            expires_at,
        }
    }
}

/// Confirms that the session has ended.
#[derive(Serialize, ToSchema)]
pub(crate) struct SignedOut {
    #[schema(value_type = String)]
    message: &'static str,
}

/// Get the user who is signed in.
///
/// For the pages of the portal. Every call extends the session, up to eight hours after sign-in.
#[utoipa::path(
    get,
    path = "/v1/portal/session",
    tag = "Portal",
    security(("portalSession" = [])),
    responses(
        (status = 200, body = Data<SignedIn>),
        (status = 401, body = Problem, description = "`UNAUTHENTICATED`: no active session"),
    ),
)]
pub(crate) async fn get_session(user: PortalUser) -> Data<SignedIn> {
    let ends_at = user.session.ends_at();
    let data = match user.partner {
        None => SignedIn::admin(ends_at),
        Some(caller) => SignedIn {
            role: Role::Partner,
            partner: Some(caller.partner),
            key_name: Some(caller.key_name),
            practicepass: Some(caller.practicepass),
            scopes: Some(caller.scopes),
            expires_at: ends_at.to_string(),
        },
    };
    Data { data }
}

/// Sign out.
///
/// The session ends at once, and the response deletes its cookie.
#[utoipa::path(
    delete,
    path = "/v1/portal/session",
    tag = "Portal",
    security(("portalSession" = [])),
    responses(
        (status = 200, body = SignedOut),
        (status = 401, body = Problem, description = "`UNAUTHENTICATED`: no active session"),
        (status = 403, body = Problem, description = "`CROSS_SITE_REFUSED`"),
    ),
)]
pub(crate) async fn sign_out(user: PortalUser, headers: HeaderMap) -> ApiResult<impl IntoResponse> {
    let control = &user.app.control;
    let mut writes = vec![control.end_session_write(user.id.as_str())?];
    if user.partner.is_none() {
        let change = Change::new("portal.sign-out", "admin");
        writes.extend(control.audit_writes(&audit_change(&user.app, &user.call, "session", change))?);
    }
    control.transact(writes).await?;
    let cookie = take_cookie(&user.app, &headers);
    Ok((AppendHeaders([(SET_COOKIE, cookie)]), axum::Json(SignedOut { message: "Signed out successfully" })))
}
