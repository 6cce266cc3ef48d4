//! Administrators, and the audit of their actions.

use std::sync::{
    OnceLock,
    atomic::{AtomicBool, Ordering},
};

use aws_sdk_dynamodb::types::TransactWriteItem;
use axum::{
    extract::FromRequestParts,
    http::{StatusCode, header::AUTHORIZATION, request::Parts},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;

use crate::api::{
    ApiError, ApiResult, Call, Code, IdempotencyKey, JsonAnswer, PathText, SealedAnswer, auth::session,
};
use crate::{
    app::{self, App, Protected},
    auth::WhichSecret,
    control::{
        self,
        audit::{AuditRecord, FieldChange},
    },
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

/// A change by an administrator, for the audit log.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// The action, such as `keys.rotate`.
    pub action: &'static str,
    /// The id of the changed item.
    pub target: &'a str,
    /// The names of the fields that change.
    pub fields: &'a [&'static str],
    /// The old and new values that the audit log shows.
    ///
    /// It shows a partner's company, e-mail and status, a practice's time zone, and the access
    /// request that a key was claimed for.
    pub values: &'a [FieldChange],
    /// The response status if the change succeeds.
    pub status: StatusCode,
}

impl<'a> Change<'a> {
    /// Creates a change of an item as a whole, not of single fields.
    pub fn new(action: &'static str, target: &'a str) -> Self {
        Self { action, target, fields: &[], values: &[], status: StatusCode::OK }
    }

    /// Creates a change that adds an item.
    pub fn created(action: &'static str, target: &'a str) -> Self {
        Self { status: StatusCode::CREATED, ..Self::new(action, target) }
    }
}

/// How the administrator of a call authenticated, and whether its audit record is written.
pub(in crate::api) struct AdminUse {
    credential: &'static str,
    /// The id of the item that the call is about, if it is known.
    target: OnceLock<String>,
    audited: AtomicBool,
}

/// Marks a call as an administrator's: its response is not sent without an audit record.
pub(in crate::api) fn note_use(call: &Call, credential: &'static str) {
    let used = AdminUse { credential, target: OnceLock::new(), audited: AtomicBool::new(false) };
    let _ = call.0.admin.set(used);
}

fn note_target(call: &Call, id: &str) {
    if let Some(used) = call.0.admin.get() {
        let _ = used.target.set(id.to_owned());
    }
}

/// Whether a text has the form of the id of a key, partner, access request or delivery.
///
/// Callers can send anything in place of an id, so no other text is stored.
fn is_an_id(text: &str) -> bool {
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match text.split_once('_') {
        // The rest is base64url, which has '-' and '_'.
        Some(("prt" | "arq", rest)) => rest.len() <= 32 && plain(&rest.replace(['-', '_'], "")),
        Some(_) => false,
        None => {
            (text.len() == 12 && plain(text))
                || (text.len() <= 16 && text.bytes().all(|byte| byte.is_ascii_digit()))
        }
    }
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
        writes.extend(self.app.control.audit(&self.record_of(change))?);
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
    pub async fn kept(&self, key: &IdempotencyKey) -> ApiResult<Option<JsonAnswer>> {
        let kept = self.once(key).kept().await?;
        if let Some(id) = kept.as_ref().and_then(|it| it.data()["id"].as_str().map(str::to_owned)) {
            note_target(&self.call, &id);
        }
        Ok(kept)
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
        writes.extend(once.keep(&answer).await?);
        match self.commit(change, writes).await {
            Ok(()) => Ok(answer),
            // The same request, sent concurrently, may have been faster.
            Err(error @ control::Error::ConditionFailed) => self.kept(key).await?.ok_or_else(|| error.into()),
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
                credential_of(recognise_admin(app, &call, offered).await?.ok_or_else(refused)?)
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

/// Returns the name of a secret in the audit log.
pub fn credential_of(secret: WhichSecret) -> &'static str {
    match secret {
        WhichSecret::Current => "current",
        WhichSecret::Previous => "previous",
    }
}

/// Returns which accepted admin secret was offered, if any. Attempts are limited.
///
/// Without a usable secret, nobody is an administrator.
pub async fn recognise_admin(app: &App, call: &Call, offered: &str) -> ApiResult<Option<WhichSecret>> {
    usable(app.admin_secrets().await)?;
    let attempt = app.attempt(Protected::AdminSecret, call.address(), call.now()).await?;
    let found = usable(app.recognise_admin(offered).await)?.flatten();
    if found.is_some() {
        attempt.succeeded().await;
    } else if attempt.failed().await {
        let refused = AuditRecord {
            action: "admin-secret.refused".to_owned(),
            status: Some(StatusCode::UNAUTHORIZED.as_u16()),
            ..audit_record(app, call, "wrong")
        };
        app.control.record_audit(&refused).await?;
    }
    Ok(found)
}

/// Whether the secret that began this session is still accepted.
pub(in crate::api) async fn still_bound(app: &App, session: &str, proof: &str) -> ApiResult<bool> {
    Ok(usable(app.is_bound(session, proof).await)?.unwrap_or(false))
}

/// Returns the result; `None` if the admin secrets are unusable, so nobody is an administrator.
///
/// # Errors
/// 503 if the secrets cannot be read at the moment.
fn usable<T>(asked: Result<T, app::Error>) -> ApiResult<Option<T>> {
    match asked {
        Ok(answer) => Ok(Some(answer)),
        Err(error @ app::Error::Control(control::Error::Unavailable { .. })) => Err(error.into()),
        Err(error) => {
            tracing::error!(%error, "the admin secrets are unusable; every admin secret is rejected");
            Ok(None)
        }
    }
}

/// Audits an administrator's call without an audited change: a read or a rejected change.
///
/// If the record cannot be written, returns the error to send instead of the response.
pub(in crate::api) async fn audit_answer(
    app: &App,
    call: &Call,
    method: &str,
    route: &str,
    status: u16,
) -> Option<ApiError> {
    let used = call.0.admin.get().filter(|used| !used.audited.load(Ordering::Relaxed))?;
    let record = AuditRecord {
        action: format!("{method} {route}"),
        target: used.target.get().cloned(),
        status: Some(status),
        ..audit_record(app, call, used.credential)
    };
    let written = app.control.record_audit(&record);
    if status != StatusCode::SERVICE_UNAVAILABLE.as_u16() {
        return written.await.err().map(ApiError::from);
    }
    // The call probably failed because this store is down; do not make the caller wait twice.
    match tokio::time::timeout(app.config.timeouts.audit_of_a_failure, written).await {
        Ok(result) => result.err().map(ApiError::from),
        Err(elapsed) => Some(ApiError::unavailable(&elapsed)),
    }
}

/// Creates the audit record of a change that this call makes with this credential.
pub fn audit_change(app: &App, call: &Call, credential: &str, change: Change<'_>) -> AuditRecord {
    AuditRecord {
        action: change.action.to_owned(),
        target: Some(change.target.to_owned()),
        fields: change.fields.iter().map(ToString::to_string).collect(),
        changes: change.values.to_vec(),
        status: Some(change.status.as_u16()),
        ..audit_record(app, call, credential)
    }
}

/// Creates an audit record with the values that all records of this call share.
fn audit_record(app: &App, call: &Call, credential: &str) -> AuditRecord {
    AuditRecord {
        id: format!("aud_{}", URL_SAFE_NO_PAD.encode(app.random.bytes::<16>())),
        time: call.now(),
        action: String::new(),
        target: None,
        fields: Vec::new(),
        changes: Vec::new(),
        credential: credential.to_owned(),
        status: None,
        ip: call.address().map(|it| it.to_string()),
        request_id: call.request_id().to_owned(),
        recovered_at: None,
    }
}

#[cfg(test)]
mod tests {
    use super::is_an_id;
    use crate::domain::ids::{AccessRequestId, PartnerId};

    #[test]
    fn the_audit_log_accepts_every_id_that_can_be_assigned() {
        for byte in 0..=u8::MAX {
            assert!(is_an_id(PartnerId::from_random([byte; 16]).as_str()));
            assert!(is_an_id(AccessRequestId::from_random([byte; 16]).as_str()));
        }
        assert!(is_an_id("Ab3dEf6hIj9k") && is_an_id("1234567890"));
        for text in ["prt_a b", "op_live_secret", "ada@example.com", "12345678901234567"] {
            assert!(!is_an_id(text), "{text}");
        }
    }
}
