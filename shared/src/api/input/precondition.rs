//! Entity tags and `If-Match` (RFC 9110, sections 8.8.3 and 13.1.1).

use axum::{
    extract::FromRequestParts,
    http::{header::IF_MATCH, request::Parts},
};
use serde_json::Value;

use crate::api::{ApiError, ApiResult, Code};
use crate::{app::App, auth::sha256_hex};

/// Returns a strong validator of a record as partners read it.
///
/// Since it is computed from all fields, a change by the EMR's own programs changes it, too.
pub fn etag(record: &Value) -> String {
    format!("\"{}\"", &sha256_hex(record.to_string().as_bytes())[..32])
}

/// The entity tags of which a record must match one; `None` allows any state.
pub struct IfMatch(Option<Vec<String>>);

impl FromRequestParts<App> for IfMatch {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Self::Rejection> {
        let values: Vec<_> = parts.headers.get_all(IF_MATCH).iter().collect();
        let tags = values.iter().flat_map(|value| value.to_str().unwrap_or_default().split(','));
        Ok(Self((!values.is_empty()).then(|| tags.map(|tag| tag.trim().to_owned()).collect())))
    }
}

impl IfMatch {
    /// Checks that a record is in a state that the caller allows.
    ///
    /// # Errors
    /// 412 if `etag` is not among the tags that were sent.
    pub fn check(&self, etag: &str) -> ApiResult<()> {
        match &self.0 {
            Some(tags) if !tags.iter().any(|tag| tag == "*" || tag == etag) => {
                Err(ApiError::new(Code::PreconditionFailed, "Read it again, then repeat the change."))
            }
            _ => Ok(()),
        }
    }
}
