//! The portal's session cookie as a credential.

use axum::http::{HeaderMap, Method, header, request::Parts};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;

use crate::api::{ApiError, Call, Code, auth::admin_secret};
use crate::{
    app::App,
    auth::{Caller, Denied},
    control::sessions::{Session, SessionOwner},
    domain::ids::KeyId,
};

/// The name of the session cookie.
///
/// Browsers accept a cookie of this name only with `Secure`, for the whole host and from that host
/// (RFC 6265bis, section 4.1.3.2).
const COOKIE: &str = "__Host-portal-session";
/// The name of the session cookie in the local stack, which has no TLS.
const LOCAL_COOKIE: &str = "portal-session";

/// The id in a browser's session cookie: 32 random bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionId(String);

impl SessionId {
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The session of a call.
pub(in crate::api) struct OpenSession {
    pub(in crate::api) id: SessionId,
    pub(in crate::api) session: Session,
}

/// Whether the call was made to the local stack, with http on loopback.
fn is_local(app: &App, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    app.config.portal_allow_loopback && matches!(name, "127.0.0.1" | "localhost" | "[::1]")
}

/// Returns the portal's origin, such as `https://portal.example.com`.
///
/// Unless it is configured, it is the host to which the call was sent.
pub fn portal_origin(app: &App, headers: &HeaderMap) -> Option<String> {
    if let Some(origin) = &app.config.portal_origin {
        return Some(origin.clone());
    }
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let scheme = if is_local(app, headers) { "http" } else { "https" };
    Some(format!("{scheme}://{host}"))
}

/// Returns the `Set-Cookie` that sets a browser's session.
pub fn give_cookie(app: &App, headers: &HeaderMap, id: &SessionId) -> String {
    cookie(app, headers, id.as_str(), crate::control::sessions::LONGEST.as_secs())
}

/// Returns the `Set-Cookie` that deletes the session cookie.
pub fn take_cookie(app: &App, headers: &HeaderMap) -> String {
    cookie(app, headers, "", 0)
}

fn cookie(app: &App, headers: &HeaderMap, value: &str, seconds: i64) -> String {
    let (name, secure) = if is_local(app, headers) { (LOCAL_COOKIE, "") } else { (COOKIE, "; Secure") };
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")
}

/// Returns the session of the call's cookie; `None` if there is none or it has ended.
///
/// # Errors
/// 403 for a call that changes something and does not come from the portal.
pub(in crate::api) async fn find(
    parts: &Parts,
    app: &App,
    call: &Call,
) -> Result<Option<OpenSession>, ApiError> {
    let Some(id) = offered_session(app, &parts.headers) else { return Ok(None) };
    require_portal(parts, app)?;
    let Some(mut session) = app.control.session(id.as_str(), call.now()).await? else { return Ok(None) };
    app.control.see_session(id.as_str(), &mut session, call.now()).await?;
    Ok(Some(OpenSession { id, session }))
}

/// Returns the session id in the cookie, even if the session has ended.
pub fn offered_session(app: &App, headers: &HeaderMap) -> Option<SessionId> {
    let name = if is_local(app, headers) { LOCAL_COOKIE } else { COOKIE };
    let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|it| it.to_str().ok());
    let pairs = cookies.flat_map(|it| it.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(key, _)| *key == name).map(|(_, value)| value);
    // Ignore two session cookies: one of them was injected.
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let is_id = URL_SAFE_NO_PAD.decode(value).is_ok_and(|bytes| bytes.len() == 32);
    is_id.then(|| SessionId(value.to_owned()))
}

/// Rejects changes that another site makes the browser request.
///
/// Browsers add cookies to such calls, but other sites can set neither the header nor our origin.
fn require_portal(parts: &Parts, app: &App) -> Result<(), ApiError> {
    if matches!(parts.method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    let text = |name: &str| parts.headers.get(name).and_then(|it| it.to_str().ok());
    let from_portal = text("x-requested-with") == Some("portal");
    let origin = text("origin").zip(portal_origin(app, &parts.headers));
    if from_portal && origin.is_some_and(|(sent, ours)| sent == ours) {
        return Ok(());
    }
    let detail =
        "A change with the session cookie requires 'X-Requested-With: portal' and the portal's own 'Origin'.";
    Err(ApiError::new(Code::CrossSiteRefused, detail))
}

/// Returns the partner who signed in with this key when the session began, if the key permits it.
pub(in crate::api) async fn partner(
    app: &App,
    call: &Call,
    (key_id, version): (&KeyId, i64),
    begun: Timestamp,
) -> Result<Caller, ApiError> {
    let key = app.keys.get(&app.control, (key_id, version), call.now()).await?;
    let key = key.filter(|key| !key.is_ended_by_suspension(begun)).ok_or(Denied::Unauthenticated)?;
    Ok(key.admit_version(version, call.now(), call.address())?)
}

/// Returns the partner of the call's session.
pub(in crate::api) async fn partner_of(parts: &Parts, app: &App, call: &Call) -> Result<Caller, ApiError> {
    let found = find(parts, app, call).await?.ok_or(Denied::Unauthenticated)?;
    match &found.session.owner {
        SessionOwner::Partner { key_id, key_version } => {
            partner(app, call, (key_id, *key_version), found.session.created_at).await
        }
        SessionOwner::Admin { .. } => Err(Denied::Unauthenticated.into()),
    }
}

/// Whether the call's session is an administrator's.
pub(in crate::api) async fn is_admin(parts: &Parts, app: &App, call: &Call) -> Result<bool, ApiError> {
    let Some(found) = find(parts, app, call).await? else { return Ok(false) };
    match &found.session.owner {
        SessionOwner::Partner { .. } => Ok(false),
        SessionOwner::Admin { proof } => admin_secret::still_bound(app, found.id.as_str(), proof).await,
    }
}
