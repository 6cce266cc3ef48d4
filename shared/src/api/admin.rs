//! Administrators, and the audit of all they do.

use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_dynamodb::types::TransactWriteItem;
use axum::{extract::FromRequestParts, http::request::Parts};
use jiff::Timestamp;

use super::{ApiError, Call, Code};
use crate::{
    app::{self, App},
    auth::AdminSecret,
    control::{self, audit::AuditRecord},
};

const HEADER: &str = "x-admin-secret";

/// An authenticated administrator. Every use is audited before it is answered: a change by [`Admin::commit`] or
/// [`Admin::record`], anything else by the edge.
pub struct Admin {
    pub app: App,
    pub call: Call,
}

/// What an administrator changes, for the audit log.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// E.g. `keys.rotate`.
    pub action: &'static str,
    /// The id of what is changed.
    pub target: &'a str,
    /// The names of the fields that change.
    pub fields: &'a [&'static str],
}

/// How this call's administrator was known, and whether its audit record is written.
pub(super) struct AdminUse {
    credential: &'static str,
    audited: AtomicBool,
}

impl AdminUse {
    fn new(credential: &'static str) -> Self {
        Self { credential, audited: AtomicBool::new(false) }
    }
}

impl Admin {
    pub fn now(&self) -> Timestamp {
        self.call.now()
    }

    /// Makes a change in the control plane with its audit record, all or nothing.
    ///
    /// # Errors
    /// [`control::Error::ConditionFailed`] when a condition of one of the writes fails.
    pub async fn commit(
        &self,
        change: Change<'_>,
        mut writes: Vec<TransactWriteItem>,
    ) -> Result<(), control::Error> {
        writes.push(self.app.control.audit(&self.record_of(change))?);
        self.app.control.transact(writes).await?;
        self.mark_audited();
        Ok(())
    }

    /// Writes the audit record of a change that no transaction of the control plane can hold, before it is made.
    pub async fn record(&self, change: Change<'_>) -> Result<(), control::Error> {
        self.app.control.record_audit(&self.record_of(change)).await?;
        self.mark_audited();
        Ok(())
    }

    fn record_of(&self, change: Change<'_>) -> AuditRecord {
        let credential = self.call.0.admin.get().map_or("none", |it| it.credential);
        AuditRecord {
            action: change.action.to_owned(),
            target: Some(change.target.to_owned()),
            fields: change.fields.iter().map(ToString::to_string).collect(),
            ..audit_record(&self.app, &self.call, credential)
        }
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
        let offered = parts.headers.get(HEADER).and_then(|value| value.to_str().ok()).ok_or_else(refused)?;
        let credential = match recognise(app, offered).await?.ok_or_else(refused)? {
            AdminSecret::Current => "current",
            AdminSecret::Previous => "previous",
        };
        let _ = call.0.admin.set(AdminUse::new(credential));
        Ok(Self { app: app.clone(), call })
    }
}

fn refused() -> ApiError {
    ApiError::new(Code::InvalidAdminSecret, "Send the admin secret as 'X-Admin-Secret: …'.")
}

/// Which of the accepted secrets `offered` is. Without a usable secret nobody is an administrator.
async fn recognise(app: &App, offered: &str) -> Result<Option<AdminSecret>, ApiError> {
    match app.admin_secrets().await {
        Ok(secrets) => Ok(secrets.recognise(offered)),
        Err(error @ app::Error::Control(control::Error::Unavailable { .. })) => Err(error.into()),
        Err(error) => {
            tracing::error!(%error, "no admin secret can be accepted");
            Ok(None)
        }
    }
}

/// Audits an administrator's call that made no audited change: reads and refused changes. An answer whose record can't be
/// written is not given.
pub(super) async fn audit_answer(
    app: &App,
    call: &Call,
    method: &str,
    route: &str,
    status: u16,
) -> Option<ApiError> {
    let used = call.0.admin.get().filter(|used| !used.audited.load(Ordering::Relaxed))?;
    let record = AuditRecord {
        action: format!("{method} {route}"),
        status: Some(status),
        ..audit_record(app, call, used.credential)
    };
    app.control.record_audit(&record).await.err().map(ApiError::from)
}

/// What every record of this call holds.
fn audit_record(app: &App, call: &Call, credential: &str) -> AuditRecord {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    AuditRecord {
        id: format!("aud_{}", URL_SAFE_NO_PAD.encode(app.random.bytes::<16>())),
        time: call.now(),
        action: String::new(),
        target: None,
        fields: Vec::new(),
        credential: credential.to_owned(),
        status: None,
        ip: call.address().map(|it| it.to_string()),
        request_id: call.request_id().to_owned(),
    }
}
