//! Who may see and change a subscription.

use axum::{extract::FromRequestParts, http::request::Parts};
use shared::{
    api::{ApiError, Code, Partner},
    app::App,
    domain::EventScope,
};

/// A partner whose key was granted at least one kind of event. The subscription is the partner's,
/// not the key's: its kinds are checked at sign-up.
pub(crate) struct Subscriber(pub(crate) Partner);

impl FromRequestParts<App> for Subscriber {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let partner = Partner::from_request_parts(parts, app).await?;
        if EventScope::ALL.iter().any(|event| partner.caller.require(event.required()).is_ok()) {
            return Ok(Self(partner));
        }
        Err(ApiError::new(Code::InsufficientScope, "Your key was granted no webhook event scope."))
    }
}
