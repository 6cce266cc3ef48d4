//! Handles `GET /v1/admin/audit`.

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
        /// The `nextCursor` of the previous page.
        "cursor" => cursor: Option<CursorParam>,
    }
}

/// A recorded action.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuditRow {
    id: String,
    /// RFC 3339.
    time: String,
    /// A change, such as `keys.rotate`; otherwise the method and route of the call.
    ///
    /// `admin-secret.refused` for a wrong admin secret.
    #[schema(example = "keys.rotate")]
    action: String,
    /// The id of what the call changed, tried to change, or read; null for a list.
    target: Option<String>,
    /// Names of the changed fields.
    fields: Vec<String>,
    /// Old and new values of a partner's company, e-mail and status, and of a practice's time zone;
    /// the access request (`accessRequest`) that a key was claimed for; the ids that a
    /// reconciliation skipped. Empty for other changes.
    changes: Vec<FieldChange>,
    /// `current` or `previous` for the admin secret, `session`, `wrong` for a wrong secret, `claim`
    /// for a key created through a claim link, `partner` for a change to a partner's own profile,
    /// or `operator` for a command.
    credential: String,
    /// The status of the response; null in old records of changes, which did not store it.
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

/// List the actions of administrators, newest first.
///
/// Lists every use of the admin secret or of an administrator's session, including reads and
/// rejected changes. A wrong admin secret is listed once per address and minute. Partners'
/// changes to their own company and e-mail are listed with the old and the new value. A change and
/// its record are written in one transaction.
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
