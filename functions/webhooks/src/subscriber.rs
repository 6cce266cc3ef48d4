//! Authorization to see and change a subscription.

use axum::{extract::FromRequestParts, http::request::Parts};
use shared::{
    api::{ApiError, Code, Partner},
    app::App,
    domain::EventScope,
};

/// A partner whose key grants at least one event scope.
///
/// The subscription belongs to the partner, not to the key. Sign-up checks the requested scopes.
pub(crate) struct Subscriber(pub(crate) Partner);

impl FromRequestParts<App> for Subscriber {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let partner = Partner::from_request_parts(parts, app).await?;
        if EventScope::ALL.iter().any(|event| partner.caller.require(event.required()).is_ok()) {
            return Ok(Self(partner));
        }
        Err(ApiError::new(Code::InsufficientScope, "Your key has no webhook event scope."))
    }
}
