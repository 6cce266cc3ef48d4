//! Kept answers that hold an API key: whoever can read the store can't read them.

use aws_sdk_dynamodb::types::TransactWriteItem;
use jiff::Timestamp;

use super::{Answer, ApiError, ApiResult, Code, KEPT};
use crate::{app::App, tenant::idempotency::RequestKey};

/// The answer of one request with an `Idempotency-Key`; without the header nothing is kept.
pub struct SealedAnswer<'a> {
    app: &'a App,
    key: Option<RequestKey>,
    now: Timestamp,
}

impl<'a> SealedAnswer<'a> {
    pub fn new(app: &'a App, key: Option<RequestKey>, now: Timestamp) -> Self {
        Self { app, key, now }
    }

    /// The answer that was given to the same request before.
    ///
    /// # Errors
    /// 422 when the key was used for another body, or its answer was sealed with a secret that is gone.
    pub async fn kept(&self) -> ApiResult<Option<Answer>> {
        let Some(key) = &self.key else { return Ok(None) };
        let Some(mut kept) = self.app.control.kept_answer(key, self.now).await? else { return Ok(None) };
        let opened = self.app.unseal(&kept.response, &key.digest()).await?;
        let gone = || {
            ApiError::new(Code::IdempotencyKeyReused, "The first answer can't be shown again; use a new key.")
        };
        kept.response = opened.ok_or_else(gone)?;
        Answer::replay(key, kept).map(Some)
    }

    /// The write that keeps an answer, for the transaction of its effect.
    pub async fn keep(&self, answer: &Answer) -> ApiResult<Option<TransactWriteItem>> {
        let Some(key) = &self.key else { return Ok(None) };
        let secrets = self.app.admin_secrets().await?;
        let failed = || ApiError::internal(&std::io::Error::other("an answer could not be sealed"));
        let sealed = secrets.seal(&answer.body, &key.digest(), self.app.random.bytes()).ok_or_else(failed)?;
        Ok(Some(self.app.control.keep_answer(key, answer.status, &sealed, self.now, self.now + KEPT)?))
    }
}
