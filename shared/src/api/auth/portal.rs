//! The user who is signed in to the portal, in either role.

use axum::{extract::FromRequestParts, http::request::Parts};

use crate::api::{
    ApiError, Call,
    auth::{
        admin_secret, audit,
        session::{self, SessionId},
    },
};
use crate::{
    app::App,
    auth::Caller,
    control::sessions::{Session, SessionOwner},
};

/// The session of the call's cookie, whose owner still has access.
pub struct PortalUser {
    pub id: SessionId,
    pub session: Session,
    /// The partner; `None` for an administrator.
    pub partner: Option<Caller>,
    pub app: App,
    pub call: Call,
}

impl FromRequestParts<App> for PortalUser {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let call = Call::from_request_parts(parts, app).await?;
        let session::OpenSession { id, session } =
            session::find(parts, app, &call).await?.ok_or_else(ApiError::unauthenticated)?;
        let partner = match &session.owner {
            SessionOwner::Partner { key_id, key_version } => {
                let caller = session::partner(app, &call, (key_id, *key_version), session.created_at).await?;
                call.identify(&caller);
                Some(caller)
            }
            SessionOwner::Admin { proof } => {
                if !admin_secret::still_bound(app, id.as_str(), proof).await? {
                    return Err(ApiError::unauthenticated());
                }
                audit::note_use(&call, "session");
                None
            }
        };
        Ok(Self { id, session, partner, app: app.clone(), call })
    }
}
