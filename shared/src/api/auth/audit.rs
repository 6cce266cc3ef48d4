//! The audit of administrators' calls.

use std::sync::{
    OnceLock,
    atomic::{AtomicBool, Ordering},
};

use axum::http::StatusCode;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::api::{ApiError, Call, call::AdminUse};
use crate::{
    app::App,
    control::audit::{AuditRecord, FieldChange},
};

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

/// Marks a call as an administrator's: its response is not sent without an audit record.
pub(in crate::api) fn note_use(call: &Call, credential: &'static str) {
    let used = AdminUse { credential, target: OnceLock::new(), audited: AtomicBool::new(false) };
    let _ = call.0.admin.set(used);
}

pub(super) fn note_target(call: &Call, id: &str) {
    if let Some(used) = call.0.admin.get() {
        let _ = used.target.set(id.to_owned());
    }
}

/// Whether a text has the form of the id of a key, partner, access request or delivery.
///
/// Callers can send anything in place of an id, so no other text is stored.
pub(super) fn is_an_id(text: &str) -> bool {
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
pub(super) fn audit_record(app: &App, call: &Call, credential: &str) -> AuditRecord {
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
