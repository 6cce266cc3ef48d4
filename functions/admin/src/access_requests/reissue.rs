//! Handles `POST /v1/admin/access-requests/{id}/reissue`.

use axum::http::{HeaderMap, StatusCode};
use shared::{
    api::{Admin, ApiError, ApiResult, Change, Code, Data, JsonAnswer, NoBody, Once, PathText, Problem},
    control::{
        access_requests::{AccessStatus, CLAIM_VALID, ClaimToken},
        partners::PartnerStatus,
    },
    domain::ids::AccessRequestId,
};

use super::{
    approve::{Approved, claim_url, suspended},
    load_unclaimed,
};

/// Create a new claim link for an approved access request.
///
/// Works even if the old link has expired; otherwise the old link ends at once. The new link is
/// valid for 72 hours and is only in this response.
#[utoipa::path(
    post,
    path = "/v1/admin/access-requests/{id}/reissue",
    tag = "Administration",
    params(
        ("id" = AccessRequestId, Path, description = "The id of the access request"),
        (
            "Idempotency-Key" = Option<String>, Header,
            description = "1 to 255 visible ASCII characters. For 24 hours, a retry with the same key \
                returns the first successful response."
        ),
    ),
    responses(
        (status = 200, body = Data<Approved>),
        (status = 404, body = Problem, description = "`NOT_FOUND`"),
        (status = 409, body = Problem, description = "`NOT_APPROVED`; `CLAIM_USED`; `PARTNER_SUSPENDED`"),
        (status = 422, body = Problem, description = "`IDEMPOTENCY_KEY_REUSED`"),
    ),
)]
pub(crate) async fn reissue_claim_link(
    admin: Admin,
    PathText(id): PathText,
    headers: HeaderMap,
    Once { body: NoBody, key }: Once<NoBody>,
) -> ApiResult<JsonAnswer> {
    if let Some(answer) = admin.stored_response(&key).await? {
        return Ok(answer);
    }
    let (mut request, mut approval) = load_unclaimed(&admin, id).await?;
    let partner = admin.app.control.partner(&approval.partner_id).await?.ok_or_else(ApiError::not_found)?;
    if partner.status == PartnerStatus::Suspended {
        return Err(suspended());
    }
    if approval.expires_at.is_some_and(|at| at <= admin.now()) {
        let detail = "The expiry of the approved key has passed. Withdraw the approval.";
        return Err(ApiError::new(Code::NotApproved, detail));
    }
    let token = ClaimToken::from_random(&request.id, admin.app.random.bytes());
    approval.claim_hash = token.hash();
    approval.claim_until = admin.now() + CLAIM_VALID;
    let url = claim_url(&admin, &headers, &token)?;
    let approved = Approved::new(&approval, url);
    request.approval = Some(approval);
    request.decide(AccessStatus::Approved, admin.now());
    let write = admin.app.control.access_request_write(&request)?;
    let answer = JsonAnswer::new(StatusCode::OK, &Data { data: approved })?;
    let change = Change::new("access-requests.reissue", request.id.as_str());
    admin.commit_once(&key, change, vec![write], answer).await
}
