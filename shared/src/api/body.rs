//! Bodies and queries.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::{header::CONTENT_TYPE, request::Parts},
};
use serde_json::Value;

use super::{ApiError, Code, FieldError, Fields, FromFields};
use crate::app::App;

/// The largest body, in bytes.
const MAX_BODY: usize = 1 << 20;

/// A JSON object whose every field is what its type says.
pub struct Body<T>(pub T);

/// Query parameters that are what their types say.
pub struct Query<T>(pub T);

/// The body as it came, of a size that is allowed.
pub struct Raw(pub Bytes);

impl FromRequest<App> for Raw {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &App) -> Result<Self, ApiError> {
        let too_large = || ApiError::new(Code::PayloadTooLarge, "A body may have 1 MiB.");
        let bytes = axum::body::to_bytes(request.into_body(), MAX_BODY).await.map_err(|_| too_large())?;
        Ok(Self(bytes))
    }
}

/// No body, or an empty JSON object: for a POST that takes nothing.
pub struct NoBody;

impl FromFields for NoBody {
    const NAMES: &'static [&'static str] = &[];

    fn from_fields(_: &mut Fields<'_>) -> Option<Self> {
        Some(Self)
    }
}

impl FromRequest<App> for NoBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let Raw(bytes) = Raw::from_request(request, app).await?;
        if bytes.trim_ascii().is_empty() { Ok(Self) } else { parse(&bytes) }
    }
}

impl<T: FromFields> FromRequest<App> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        require_json(&request)?;
        let Raw(bytes) = Raw::from_request(request, app).await?;
        parse(&bytes).map(Self)
    }
}

pub(super) fn require_json(request: &Request) -> Result<(), ApiError> {
    let content_type =
        request.headers().get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let json =
        essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"));
    let error =
        || ApiError::new(Code::UnsupportedMediaType, "Send the body as 'Content-Type: application/json'.");
    json.then_some(()).ok_or_else(error)
}

pub(super) fn parse<T: FromFields>(bytes: &[u8]) -> Result<T, ApiError> {
    let malformed = |detail: String| ApiError::new(Code::MalformedJson, detail);
    let value: Value = serde_json::from_slice(bytes).map_err(|error| {
        malformed(format!("The body is not JSON: line {}, column {}.", error.line(), error.column()))
    })?;
    let object = value.as_object().ok_or_else(|| malformed("The body must be a JSON object.".into()))?;
    T::read(Fields::of_body(object)).map_err(ApiError::fields)
}

impl<T: FromFields> FromRequestParts<App> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        let invalid = |errors: Vec<FieldError>| {
            ApiError::new(Code::InvalidQuery, "See 'errors' for every parameter that needs a change.")
                .with_errors(errors)
        };
        let query = parts.uri.query().unwrap_or_default();
        let pairs: Vec<(String, String)> =
            serde_urlencoded::from_str(query).map_err(|_| invalid(Vec::new()))?;
        T::read(Fields::of_query(&pairs)).map(Self).map_err(invalid)
    }
}
