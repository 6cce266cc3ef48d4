//! Bodies and queries.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::{header::CONTENT_TYPE, request::Parts},
};
use serde_json::Value;

use super::{ApiError, Code, FieldError, Fields, FromFields, RawObject};
use crate::app::App;

/// The largest body of most requests, in bytes.
const MAX_BODY: usize = 1 << 20;

/// A JSON object whose every field is what its type says.
pub struct Body<T>(pub T);

/// Query parameters that are what their types say.
pub struct Query<T>(pub T);

/// A body as a whole: how large it may be and how it is read.
pub trait FromBody: Sized {
    /// A multiple of 1 MiB.
    const MAX_BYTES: usize;

    fn from_body(bytes: &[u8]) -> Result<Self, ApiError>;
}

impl<T: FromFields> FromBody for T {
    const MAX_BYTES: usize = MAX_BODY;

    fn from_body(bytes: &[u8]) -> Result<Self, ApiError> {
        parse(bytes)
    }
}

/// The body as it came, of at most `max` bytes.
pub(super) async fn read_body(request: Request, max: usize) -> Result<Bytes, ApiError> {
    let too_large =
        |_| ApiError::new(Code::PayloadTooLarge, format!("A body may have {} MiB here.", max >> 20));
    axum::body::to_bytes(request.into_body(), max).await.map_err(too_large)
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

    async fn from_request(request: Request, _: &App) -> Result<Self, ApiError> {
        let bytes = read_body(request, MAX_BODY).await?;
        if bytes.trim_ascii().is_empty() { Ok(Self) } else { parse(&bytes) }
    }
}

impl<T: FromFields> FromRequest<App> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &App) -> Result<Self, ApiError> {
        require_json(&request)?;
        let bytes = read_body(request, MAX_BODY).await?;
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
    let value: Value = serde_json::from_slice(bytes).map_err(|error| malformed(&error))?;
    let object = value.as_object().ok_or_else(no_object)?;
    T::read(Fields::of_body(object)).map_err(ApiError::fields)
}

/// The fields of the body, each as it is written.
///
/// # Errors
/// 400 when it is not a JSON object.
pub fn raw_object(bytes: &[u8]) -> Result<RawObject<'_>, ApiError> {
    serde_json::from_slice(bytes)
        .map_err(|error| if error.is_data() { no_object() } else { malformed(&error) })
}

fn malformed(error: &serde_json::Error) -> ApiError {
    let place = format!("The body is not JSON: line {}, column {}.", error.line(), error.column());
    ApiError::new(Code::MalformedJson, place)
}

fn no_object() -> ApiError {
    ApiError::new(Code::MalformedJson, "The body must be a JSON object.")
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
