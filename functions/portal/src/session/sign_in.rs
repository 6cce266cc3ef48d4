//! Handles `POST /v1/portal/session`.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header::SET_COOKIE},
    response::{AppendHeaders, IntoResponse},
};
use shared::{
    api::{
        ApiError, ApiResult, Body, Call, Change, Code, Data, Problem, SessionId, audit_change, credential_of,
        give_cookie, offered_session, recognize_admin,
    },
    app::{App, Protected},
    auth::{KeyRecord, api_key::ApiKey},
    body,
    control::sessions::{Session, SessionOwner},
    text_field,
};

use super::{Role, SignedIn};

text_field! {
    /// An API key or the admin secret.
    AccessKey, 1, 512
}

body! {
    pub struct SignIn {
        /// Your API key or the admin secret.
        "accessKey" => access_key: AccessKey,
    }
}

/// Sign in to the portal.
///
/// The response sets a cookie that scripts cannot read, so the browser need not store the key. The
/// session ends after 15 minutes without a call, and after 8 hours in any case. A partner's session
/// also ends within a minute after its key becomes invalid. Signing in ends the session whose
/// cookie comes with the call. A call with the cookie that changes something needs
/// `X-Requested-With: portal` and the portal's own `Origin`.
#[utoipa::path(
    post,
    path = "/v1/portal/session",
    tag = "Portal",
    request_body = SignIn,
    security(()),
    responses(
        (status = 201, body = Data<SignedIn>),
        (status = 401, body = Problem, description = "`INVALID_ACCESS_KEY`"),
        (status = 429, body = Problem, description = "`RATE_LIMITED`: too many failed attempts"),
    ),
)]
pub(crate) async fn sign_in(
    State(app): State<App>,
    call: Call,
    headers: HeaderMap,
    Body(body): Body<SignIn>,
) -> ApiResult<impl IntoResponse> {
    let id = SessionId::from_random(app.random.bytes());
    let before = offered_session(&app, &headers);
    let begin = Begin { id: &id, before: before.as_ref().map(SessionId::as_str) };
    let offered = ApiKey::parse(&body.access_key.0);
    call.note_attempted_key(&body.access_key.0);
    let signed_in = match &offered {
        Some(key) => as_partner(&app, &call, begin, key).await?,
        // A mistyped API key does not count as an attempt at the admin secret.
        None if body.access_key.0.starts_with("op_") => {
            let attempt = app.attempt(Protected::ApiKey(None), call.address(), call.now()).await?;
            attempt.failed().await;
            None
        }
        None => as_admin(&app, &call, begin, &body.access_key.0).await?,
    };
    let data = signed_in.ok_or_else(|| ApiError::new(Code::InvalidAccessKey, "Invalid access key"))?;
    let cookie = give_cookie(&app, &headers, &id);
    Ok((StatusCode::CREATED, AppendHeaders([(SET_COOKIE, cookie)]), Data { data }))
}

/// The new session, and the browser's previous one, which ends.
#[derive(Clone, Copy)]
struct Begin<'a> {
    id: &'a SessionId,
    before: Option<&'a str>,
}

async fn as_partner(
    app: &App,
    call: &Call,
    begin: Begin<'_>,
    offered: &ApiKey,
) -> ApiResult<Option<SignedIn>> {
    let Some(key) = find(app, call, offered).await? else { return Ok(None) };
    let owner = SessionOwner::Partner { key_id: key.id.clone(), key_version: key.version };
    let session = Session::new(owner, call.now());
    app.control
        .transact(app.control.begin_session_writes(begin.id.as_str(), &session, begin.before)?)
        .await?;
    app.keys.note_use(&key.id, call.now());
    call.identify(&key.admit_version(key.version, call.now(), call.address())?);
    Ok(Some(SignedIn {
        role: Role::Partner,
        partner: Some(key.partner),
        key_name: Some(key.name),
        practicepass: Some(key.practicepass),
        scopes: Some(key.scopes),
        expires_at: session.ends_at().to_string(),
    }))
}

/// Returns the offered key if it is valid. Attempts are limited.
async fn find(app: &App, call: &Call, offered: &ApiKey) -> ApiResult<Option<KeyRecord>> {
    let attempt = app.attempt(Protected::ApiKey(Some(&offered.id)), call.address(), call.now()).await?;
    let found = app.find_key(Some(offered), call.now(), call.address()).await?;
    if found.is_some() {
        attempt.succeeded().await;
    } else {
        attempt.failed().await;
    }
    Ok(found)
}

async fn as_admin(app: &App, call: &Call, begin: Begin<'_>, offered: &str) -> ApiResult<Option<SignedIn>> {
    let Some(secret) = recognize_admin(app, call, offered).await? else { return Ok(None) };
    let Some(proof) = app.admin_secrets().await?.bind(begin.id.as_str(), secret) else { return Ok(None) };
    let session = Session::new(SessionOwner::Admin { proof }, call.now());
    let change = Change::created("portal.sign-in", "admin");
    let record = audit_change(app, call, credential_of(secret), change);
    let mut writes = app.control.begin_session_writes(begin.id.as_str(), &session, begin.before)?;
    writes.extend(app.control.audit_writes(&record)?);
    app.control.transact(writes).await?;
    Ok(Some(SignedIn::admin(session.ends_at())))
}
