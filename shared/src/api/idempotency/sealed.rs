//! Stored responses that contain an API key, encrypted so that the store does not reveal it.

use aws_sdk_dynamodb::types::TransactWriteItem;
use jiff::Timestamp;

use crate::api::{ApiError, ApiResult, Code, IDEMPOTENCY_TTL, JsonAnswer};
use crate::{app::App, auth::sha256_hex, domain::idempotency::RequestKey};

/// The stored response of a request with an `Idempotency-Key`.
///
/// Without the header, nothing is stored.
pub struct SealedAnswer<'a> {
    app: &'a App,
    key: Option<RequestKey>,
    now: Timestamp,
}

impl<'a> SealedAnswer<'a> {
    pub fn new(app: &'a App, key: Option<RequestKey>, now: Timestamp) -> Self {
        Self { app, key, now }
    }

    /// Returns the stored response to the same request.
    ///
    /// # Errors
    /// 422 if the key was used with another body, or the response was encrypted with a secret that
    /// is no longer accepted.
    pub async fn stored_response(&self) -> ApiResult<Option<JsonAnswer>> {
        let Some(key) = &self.key else { return Ok(None) };
        let Some(mut stored) = self.app.control.stored_response(key, self.now).await? else {
            return Ok(None);
        };
        let opened = self.app.unseal(&stored.response, &digest_of(key)).await?;
        let gone =
            || ApiError::new(Code::IdempotencyKeyReused, "The first response is unavailable; use a new key.");
        stored.response = opened.ok_or_else(gone)?;
        JsonAnswer::replay(key, stored).map(Some)
    }

    /// Builds the write that stores a response, for the transaction of its effect.
    pub async fn stored_response_write(&self, answer: &JsonAnswer) -> ApiResult<Option<TransactWriteItem>> {
        let Some(key) = &self.key else { return Ok(None) };
        let secrets = self.app.admin_secrets().await?;
        let failed = || ApiError::internal(&std::io::Error::other("a response could not be encrypted"));
        let sealed =
            secrets.seal(&answer.body, &digest_of(key), self.app.random.bytes()).ok_or_else(failed)?;
        Ok(Some(self.app.control.stored_response_write(
            key,
            answer.status,
            &sealed,
            self.now,
            self.now + IDEMPOTENCY_TTL,
        )?))
    }
}

fn digest_of(key: &RequestKey) -> String {
    sha256_hex(key.identity().as_bytes())
}
