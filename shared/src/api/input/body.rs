//! Extractors for bodies and queries.

mod json;
mod media_type;
mod query;

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::request::Parts,
};
use serde_json::Map;

use crate::api::{ApiError, Code, FieldErrors, Fields, FromFields, RawObject};
use crate::app::App;
pub use json::{raw_object, repeated};

/// The maximum size of most bodies, in bytes.
const MAX_BODY: usize = 1 << 20;

/// A JSON body whose fields are all valid.
pub struct Body<T>(pub T);

/// Query parameters that are all valid.
pub struct Query<T>(pub T);

/// A type that is read from a body, and the body's maximum size.
pub trait FromBody: Sized {
    /// The maximum size of the body, a multiple of 1 MiB.
    const MAX_BYTES: usize;
    /// Whether a missing body means the same as an empty object.
    const MAY_BE_EMPTY: bool = false;

    fn from_body(bytes: &[u8]) -> Result<Self, ApiError>;
}

impl<T: FromFields> FromBody for T {
    const MAX_BYTES: usize = MAX_BODY;
    const MAY_BE_EMPTY: bool = T::NAMES.is_empty();

    fn from_body(bytes: &[u8]) -> Result<Self, ApiError> {
        if Self::MAY_BE_EMPTY && is_blank(bytes) {
            return T::read(Fields::of_body(&Map::new())).map_err(ApiError::fields);
        }
        json::parse(bytes)
    }
}

/// A body that can be left out, or null.
pub struct MayBeEmpty<T>(pub Option<T>);

impl<T: FromFields> FromBody for MayBeEmpty<T> {
    const MAX_BYTES: usize = MAX_BODY;
    const MAY_BE_EMPTY: bool = true;

    fn from_body(bytes: &[u8]) -> Result<Self, ApiError> {
        match bytes.trim_ascii() {
            b"" | b"null" => Ok(Self(None)),
            _ => T::from_body(bytes).map(|body| Self(Some(body))),
        }
    }
}

/// Returns the body as received, and its parsed value.
pub(in crate::api) async fn read<T: FromBody>(request: Request) -> Result<(Bytes, T), ApiError> {
    let is_json = match media_type::require_json(request.headers()) {
        Err(error) if !T::MAY_BE_EMPTY => return Err(error),
        checked => checked,
    };
    let bytes = read_body(request, T::MAX_BYTES).await?;
    if !(T::MAY_BE_EMPTY && is_blank(&bytes)) {
        is_json?;
    }
    let body = T::from_body(&bytes)?;
    Ok((bytes, body))
}

fn is_blank(bytes: &[u8]) -> bool {
    bytes.trim_ascii().is_empty()
}

async fn read_body(request: Request, max: usize) -> Result<Bytes, ApiError> {
    let too_large =
        |_| ApiError::new(Code::PayloadTooLarge, format!("The body must not exceed {} MiB.", max >> 20));
    axum::body::to_bytes(request.into_body(), max).await.map_err(too_large)
}

/// No body, or an empty JSON object, for a POST without fields.
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
        read(request).await.map(|(_, none)| none)
    }
}

impl<T: FromFields> FromRequest<App> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &App) -> Result<Self, ApiError> {
        read(request).await.map(|(_, body)| Self(body))
    }
}

impl<T: FromFields> FromRequestParts<App> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        let invalid = |errors: FieldErrors| {
            ApiError::new(Code::InvalidQuery, "See 'errors' for every invalid parameter.").with_errors(errors)
        };
        let pairs = query::pairs(parts.uri.query().unwrap_or_default()).map_err(invalid)?;
        T::read(Fields::of_query(&pairs)).map(Self).map_err(invalid)
    }
}
