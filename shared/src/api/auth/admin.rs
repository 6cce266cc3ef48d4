//! Administrators.

use std::sync::atomic::Ordering;

use aws_sdk_dynamodb::types::TransactWriteItem;
use axum::{
    extract::FromRequestParts,
    http::{header::AUTHORIZATION, request::Parts},
};
use jiff::Timestamp;

use super::{
    admin_secret::{credential_of, recognize_admin},
    audit::{Change, audit_change, is_an_id, note_target, note_use},
    session,
};
use crate::api::{ApiError, ApiResult, Call, Code, IdempotencyKey, JsonAnswer, PathText, SealedAnswer};
use crate::{
    app::App,
    control::{self, audit::AuditRecord},
};

const HEADER: &str = "x-admin-secret";

/// An authenticated administrator.
///
/// Every use is audited before the response is sent: changes by [`Admin::commit`] or
/// [`Admin::record`], anything else by the middleware.
pub struct Admin {
    pub app: App,
    pub call: Call,
}

impl Admin {
    pub fn now(&self) -> Timestamp {
        self.call.now()
    }

    /// Writes a change of the control plane and its audit record in one transaction.
    ///
    /// # Errors
    /// [`control::Error::ConditionFailed`] if the condition of a write fails.
    pub async fn commit(
        &self,
        change: Change<'_>,
        mut writes: Vec<TransactWriteItem>,
    ) -> Result<(), control::Error> {
        writes.extend(self.app.control.audit_writes(&self.record_of(change))?);
        self.app.control.transact(writes).await?;
        self.mark_audited();
        Ok(())
    }

    /// Writes the audit record of a change before the change is made.
    ///
    /// It is for changes that cannot be part of a control plane transaction.
    pub async fn record(&self, change: Change<'_>) -> Result<(), control::Error> {
        self.app.control.record_audit(&self.record_of(change)).await?;
        self.mark_audited();
        Ok(())
    }

    /// Returns the stored response to the same request, and notes its item for the audit.
    ///
    /// # Errors
    /// 422 if the request's `Idempotency-Key` was used with another body.
    pub async fn stored_response(&self, key: &IdempotencyKey) -> ApiResult<Option<JsonAnswer>> {
        let stored = self.once(key).stored_response().await?;
        if let Some(id) = stored.as_ref().and_then(|it| it.data()["id"].as_str().map(str::to_owned)) {
            note_target(&self.call, &id);
        }
        Ok(stored)
    }

    /// Returns the handle of the stored response. All administrators share their idempotency keys.
    fn once(&self, key: &IdempotencyKey) -> SealedAnswer<'_> {
        SealedAnswer::new(&self.app, key.of_owner("admin"), self.now())
    }

    /// The same as [`Admin::commit`], and stores `answer` for the request's `Idempotency-Key`.
    ///
    /// Returns the response to send.
    ///
    /// # Errors
    /// 409 if the condition of a write fails.
    pub async fn commit_once(
        &self,
        key: &IdempotencyKey,
        change: Change<'_>,
        mut writes: Vec<TransactWriteItem>,
        answer: JsonAnswer,
    ) -> ApiResult<JsonAnswer> {
        let once = self.once(key);
        writes.extend(once.stored_response_write(&answer).await?);
        match self.commit(change, writes).await {
            Ok(()) => Ok(answer),
            // The same request, sent concurrently, may have been faster.
            Err(error @ control::Error::ConditionFailed) => {
                self.stored_response(key).await?.ok_or_else(|| error.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn record_of(&self, change: Change<'_>) -> AuditRecord {
        let credential = self.call.0.admin.get().map_or("none", |it| it.credential);
        audit_change(&self.app, &self.call, credential, change)
    }

    fn mark_audited(&self) {
        if let Some(used) = self.call.0.admin.get() {
            used.audited.store(true, Ordering::Relaxed);
        }
    }
}

impl FromRequestParts<App> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let call = Call::from_request_parts(parts, app).await?;
        let credential = match parts.headers.get(HEADER) {
            Some(offered) => {
                let offered = offered.to_str().map_err(|_| refused())?;
                credential_of(recognize_admin(app, &call, offered).await?.ok_or_else(refused)?)
            }
            // An Authorization header takes precedence over the cookie, and is never an
            // administrator's.
            None if parts.headers.contains_key(AUTHORIZATION) => return Err(refused()),
            None if session::is_admin(parts, app, &call).await? => "session",
            None => return Err(refused()),
        };
        note_use(&call, credential);
        if let Ok(PathText(id)) = PathText::from_request_parts(parts, app).await
            && is_an_id(&id)
        {
            note_target(&call, &id);
        }
        Ok(Self { app: app.clone(), call })
    }
}

fn refused() -> ApiError {
    ApiError::new(Code::InvalidAdminSecret, "Send the admin secret as 'X-Admin-Secret: …'.")
}
