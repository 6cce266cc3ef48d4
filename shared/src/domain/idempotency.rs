//! Requests with an `Idempotency-Key`, and the responses that are stored for them.

use jiff::SignedDuration;

/// How long the first response is stored.
pub const IDEMPOTENCY_TTL: SignedDuration = SignedDuration::from_hours(24);

/// What identifies a repeated request.
#[derive(Clone, Debug)]
pub struct RequestKey {
    /// The caller's API key, or another owner.
    pub key_id: String,
    pub method: String,
    /// The path as sent; it includes the practice and the record.
    pub path: String,
    pub idempotency_key: String,
    /// SHA-256 of the body, hexadecimal.
    pub body_hash: String,
}

impl RequestKey {
    /// Returns everything except the body as one text.
    pub fn identity(&self) -> String {
        let Self { key_id, method, path, idempotency_key, .. } = self;
        format!("{key_id}\n{method}\n{path}\n{idempotency_key}")
    }
}

/// A stored response.
#[derive(Clone, Debug)]
pub struct StoredResponse {
    /// SHA-256 of the request's body, hexadecimal.
    pub body_hash: String,
    pub status: i64,
    /// The JSON body.
    pub response: String,
}
