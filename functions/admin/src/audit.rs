//! `GET /v1/admin/audit`

use serde::Serialize;
use shared::{
    api::{Admin, ApiResult, CursorPage, CursorParam, Limit, Problem, Query},
    control::audit::{AuditRecord, FieldChange},
    params,
};
use utoipa::ToSchema;

params! {
    pub(crate) struct ListAudit {
        "limit" => limit: Option<Limit>,
        /// `nextCursor` of the page before.
        "cursor" => cursor: Option<CursorParam>,
    }
}

/// One act of an administrator.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuditRow {
    id: String,
    /// RFC 3339.
    time: String,
    /// A change, e.g. `keys.rotate`; `admin-secret.refused` for a wrong secret; otherwise the method and route that were called.
    #[schema(example = "keys.rotate")]
    action: String,
    /// The id of what was changed or read, or that somebody tried to change; null for a list.
    target: Option<String>,
    /// The fields that were changed.
    fields: Vec<String>,
    /// Old and new values of a partner's company, e-mail and status, and of a practice's time zone; the request for access (`accessRequest`)
    /// that a key was claimed for; the ids that a reconciliation passed over; empty for other changes.
    changes: Vec<FieldChange>,
    /// `current` or `previous` admin secret, `session`, `wrong` for a secret that is none, `claim` for a key minted through its claim link, `partner` for a change of a partner's own profile, or `operator` for a command.
    credential: String,
    /// The answer's status; null in records made before it was kept for changes.
    status: Option<u16>,
    ip: Option<String>,
    request_id: String,
}

impl From<AuditRecord> for AuditRow {
    fn from(record: AuditRecord) -> Self {
        Self {
            id: record.id,
            time: record.time.to_string(),
            action: record.action,
            target: record.target,
            fields: record.fields,
            changes: record.changes,
            credential: record.credential,
            status: record.status,
            ip: record.ip,
            request_id: record.request_id,
        }
    }
}

/// List what administrators did, the newest first.
///
/// Every use of the admin secret or of an administrator's session is here, reads and refused changes too. A wrong admin
/// secret is here once for its address and minute. Partners' changes of their own company and e-mail are here with old and new value. A change and its record are written together or not at all.
#[utoipa::path(
    get,
    path = "/v1/admin/audit",
    tag = "Administration",
    params(ListAudit),
    responses(
        (status = 200, body = CursorPage<AuditRow>),
        (status = 400, body = Problem, description = "`INVALID_QUERY`"),
        (status = 401, body = Problem, description = "`INVALID_ADMIN_SECRET`"),
    ),
)]
pub(crate) async fn list_audit(
    admin: Admin,
    Query(query): Query<ListAudit>,
) -> ApiResult<CursorPage<AuditRow>> {
    let limit = Limit::or_default(query.limit);
    let after = query.cursor.map(|cursor| cursor.0);
    let slice = admin.app.control.audit_log(limit.items(), after.as_ref()).await?;
    Ok(CursorPage::new(slice, limit))
}
