//! Handles `/v1/admin/access-requests`.

pub(crate) mod approve;
pub(crate) mod deny;
pub(crate) mod reissue;
pub(crate) mod withdraw;

use jiff::Timestamp;
use serde::Serialize;
use shared::{
    api::{
        Admin, ApiError, ApiResult, Code, CursorPage, CursorParam, FieldProblem, FieldValue, Limit, Problem,
        Query, Source,
    },
    control::access_requests::{AccessRequest, AccessStatus, Approval},
    domain::{
        PracticePass, Scope,
        ids::{AccessRequestId, KeyId, PartnerId},
    },
    params,
};
use utoipa::ToSchema;

/// The status of a request: `pending`, `approved`, `denied` or `withdrawn`.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(value_type = AccessStatus)]
pub(crate) struct StatusFilter(AccessStatus);

impl FieldValue for StatusFilter {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        match source.text()? {
            "pending" => Ok(Self(AccessStatus::Pending)),
            "approved" => Ok(Self(AccessStatus::Approved)),
            "denied" => Ok(Self(AccessStatus::Denied)),
            "withdrawn" => Ok(Self(AccessStatus::Withdrawn)),
            _ => Err(FieldProblem::invalid("must be pending, approved, denied or withdrawn")),
        }
    }
}

params! {
    pub(crate) struct ListAccessRequests {
        /// Lists only requests with this status.
        "status" => status: Option<StatusFilter>,
        "limit" => limit: Option<Limit>,
        /// The `nextCursor` of the previous page.
        "cursor" => cursor: Option<CursorParam>,
    }
}

/// An access request and its outcome.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccessRequestRow {
    id: AccessRequestId,
    company: String,
    practice: String,
    contact: String,
    email: String,
    requested_scopes: Vec<Scope>,
    message: Option<String>,
    status: AccessStatus,
    /// RFC 3339, like all times.
    created_at: String,
    decided_at: Option<String>,
    /// Why the request was denied.
    reason: Option<String>,
    /// RFC 3339: when the request is deleted.
    expires_at: String,
    /// The granted scopes. Like the fields below, null unless the request was approved.
    scopes: Option<Vec<Scope>>,
    practicepass: Option<PracticePass>,
    partner_id: Option<PartnerId>,
    /// When the claim link expires.
    claim_until: Option<String>,
    /// When the key expires; null if never.
    key_expires_at: Option<String>,
    /// The networks from which the key can be used; empty for no restriction.
    allowed_cidrs: Option<Vec<String>>,
    /// The key's calls per minute.
    rate_limit: Option<u32>,
    /// The key that was created through the claim link; null until the link is used.
    key_id: Option<KeyId>,
}

impl From<AccessRequest> for AccessRequestRow {
    fn from(request: AccessRequest) -> Self {
        let approval = request.approval;
        Self {
            id: request.id,
            company: request.company,
            practice: request.practice,
            contact: request.contact,
            email: request.email,
            requested_scopes: request.requested_scopes,
            message: request.message,
            status: request.status,
            created_at: request.created_at.to_string(),
            decided_at: request.decided_at.map(|it| it.to_string()),
            reason: request.reason,
            scopes: approval.as_ref().map(|it| it.scopes.clone()),
            practicepass: approval.as_ref().map(|it| it.practicepass.clone()),
            partner_id: approval.as_ref().map(|it| it.partner_id.clone()),
            claim_until: approval.as_ref().map(|it| it.claim_until.to_string()),
            key_expires_at: approval.as_ref().and_then(|it| it.expires_at).map(|it| it.to_string()),
            allowed_cidrs: approval
                .as_ref()
                .map(|it| it.allowed_cidrs.iter().map(ToString::to_string).collect()),
            rate_limit: approval.as_ref().map(|it| it.rate_limit),
            expires_at: Timestamp::from_second(request.expires_at).unwrap_or_default().to_string(),
            key_id: approval.and_then(|it| it.key_id),
        }
    }
}

/// List access requests, newest first.
///
/// A request is `pending` until an administrator decides. A decided request shows the granted
/// access or the reason for the denial. Undecided requests expire after 30 days, decided ones after
/// a year.
#[utoipa::path(
    get,
    path = "/v1/admin/access-requests",
    tag = "Administration",
    params(ListAccessRequests),
    responses(
        (status = 200, body = CursorPage<AccessRequestRow>),
        (status = 400, body = Problem, description = "`INVALID_QUERY`"),
    ),
)]
pub(crate) async fn list_access_requests(
    admin: Admin,
    Query(query): Query<ListAccessRequests>,
) -> ApiResult<CursorPage<AccessRequestRow>> {
    let limit = Limit::or_default(query.limit);
    let status = query.status.map(|status| status.0);
    let after = query.cursor.map(|cursor| cursor.0);
    let slice = admin.app.control.access_requests(status, limit.items(), after.as_ref(), admin.now()).await?;
    Ok(CursorPage::new(slice, limit))
}

/// Loads the request.
///
/// # Errors
/// 404 if the request does not exist, 409 if it is already decided.
async fn load_pending(admin: &Admin, id: String) -> ApiResult<AccessRequest> {
    let found = admin.app.control.access_request(&AccessRequestId(id), admin.now()).await?;
    let request = found.ok_or_else(ApiError::not_found)?;
    if request.status == AccessStatus::Pending { Ok(request) } else { Err(already_decided()) }
}

fn already_decided() -> ApiError {
    ApiError::new(Code::AlreadyDecided, "Read the request again to see the decision.")
}

/// Loads the approved request and its approval.
///
/// # Errors
/// 404 if the request does not exist, 409 if it is not approved or its claim link was used.
async fn load_unclaimed(admin: &Admin, id: String) -> ApiResult<(AccessRequest, Approval)> {
    let found = admin.app.control.access_request(&AccessRequestId(id), admin.now()).await?;
    let request = found.ok_or_else(ApiError::not_found)?;
    let approval = match &request.approval {
        Some(approval) if request.status == AccessStatus::Approved => approval.clone(),
        _ => return Err(not_approved()),
    };
    if approval.key_id.is_some() {
        let detail = "The claim link was used. To end the access, revoke the key.";
        return Err(ApiError::new(Code::ClaimUsed, detail));
    }
    Ok((request, approval))
}

fn not_approved() -> ApiError {
    ApiError::new(Code::NotApproved, "Read the request again to see its status.")
}
