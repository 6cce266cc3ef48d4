//! Exchanges an API key for an access token.

use axum::Json;
use jiff::Timestamp;
use serde::Serialize;
use shared::{
    api::{ApiError, ApiResult, Body, Call, Code, PracticePath, Problem},
    app::{App, Protected},
    auth::{api_key::ApiKey, token::end_of_token},
    body, function, text_field,
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(exchange_key))
}

/// The program of the function.
pub fn main() -> Result<(), function::Error> {
    function::serve(env!("CARGO_PKG_NAME"), routes())
}

text_field! {
    /// An API key, exactly as it was shown when it was created.
    ApiKeyText, 1, 256
}

body! {
    pub struct ExchangeKey {
        /// Your API key.
        #[schema(example = "your_api_key_here")]
        "apiKey" => api_key: ApiKeyText,
    }
}

/// An access token that is valid for 24 hours.
#[expect(clippy::struct_field_names, reason = "the reference's names")]
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessToken {
    /// Send it as `Authorization: Bearer …` with every other request.
    #[schema(example = "eyJhbGciOiJIUzI1NiIs...")]
    access_token: String,
    #[schema(value_type = String, example = "Bearer")]
    token_type: &'static str,
    #[schema(value_type = String, example = "24h")]
    expires_in: &'static str,
    /// When the token ends: after 24 hours, or earlier if the key or its old secret ends earlier.
    #[schema(example = "2026-03-10T12:00:00Z")]
    expires_at: Timestamp,
}

/// Exchange your API key for an access token.
///
/// The token gives access to the key's practice and is valid for 24 hours. It ends earlier if the
/// key expires, is revoked, or loses its old secret in a rotation; `expiresAt` takes into account
/// what is known when the token is issued. Failed attempts are limited per address and per key.
#[utoipa::path(
    post,
    path = "/v1/{PPass}/auth/token",
    tag = "Authentication",
    params(PracticePath),
    request_body = ExchangeKey,
    security(()),
    responses(
        (status = 200, body = AccessToken),
        (status = 401, body = Problem, description = "`INVALID_API_KEY`"),
        (status = 404, body = Problem, description = "`NOT_FOUND`: the key is for another practice"),
        (status = 429, body = Problem, description = "`RATE_LIMITED`: too many failed attempts"),
    ),
)]
async fn exchange_key(
    path: PracticePath,
    call: Call,
    axum::extract::State(app): axum::extract::State<App>,
    Body(request): Body<ExchangeKey>,
) -> ApiResult<Json<AccessToken>> {
    let offered = ApiKey::parse(&request.api_key.0);
    call.note_attempted_key(&request.api_key.0);
    let protected = Protected::ApiKey(offered.as_ref().map(|it| &it.id));
    let attempt = app.attempt(protected, call.address(), call.now()).await?;
    let Some(key) = app.find_key(offered.as_ref(), call.now(), call.address()).await? else {
        attempt.failed().await;
        return Err(ApiError::new(
            Code::InvalidApiKey,
            "The API key is wrong, revoked, expired, or not allowed from your address.",
        ));
    };
    attempt.succeeded().await;
    call.identify(&key.admit_version(key.version, call.now(), call.address())?);
    if key.practicepass.as_str() != path.ppass {
        return Err(ApiError::not_found());
    }
    app.keys.note_use(&key.id, call.now());
    let access_token =
        app.token_ring().await?.issue(&key, call.now()).map_err(|error| ApiError::internal(&error))?;
    let expires_at = end_of_token(&key, call.now());
    Ok(Json(AccessToken { access_token, token_type: "Bearer", expires_in: "24h", expires_at }))
}
