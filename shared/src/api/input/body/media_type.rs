//! Checks the headers of a body: it must be JSON in UTF-8 and not compressed.

use axum::http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};

use super::{ApiError, Code};

pub(super) fn require_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let refused = |detail| Err(ApiError::new(Code::UnsupportedMediaType, detail));
    let text = |name| headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let content_type = text(CONTENT_TYPE).to_ascii_lowercase();
    let mut parts = content_type.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    if essence != "application/json" && !(essence.starts_with("application/") && essence.ends_with("+json")) {
        return refused("Send the body as 'Content-Type: application/json'.");
    }
    let charset = parts.find_map(|parameter| parameter.strip_prefix("charset="));
    if charset.is_some_and(|name| !matches!(name.trim_matches('"'), "utf-8" | "utf8")) {
        return refused("Send JSON in UTF-8 (RFC 8259, section 8.1).");
    }
    if headers.contains_key(CONTENT_ENCODING) && !text(CONTENT_ENCODING).eq_ignore_ascii_case("identity") {
        return refused("Send the body without 'Content-Encoding'.");
    }
    Ok(())
}
