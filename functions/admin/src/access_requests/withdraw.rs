//! Handles `POST /v1/admin/access-requests/{id}/withdraw`.

use shared::{
    api::{Admin, ApiResult, Change, Data, NoBody, PathText, Problem},
    control::{self, access_requests::AccessStatus},
    domain::ids::AccessRequestId,
};

use super::{AccessRequestRow, load_unclaimed, not_approved};

/// Withdraw an approval whose claim link has not been used.
///
/// The claim link ends at once. If the key was already claimed, revoke the key instead.
#[utoipa::path(
    post,
    path = "/v1/admin/access-requests/{id}/withdraw",
    tag = "Administration",
    params(("id" = AccessRequestId, Path, description = "The id of the access request")),
    responses(
        (status = 200, body = Data<AccessRequestRow>),
        (status = 404, body = Problem, description = "`NOT_FOUND`"),
        (status = 409, body = Problem, description = "`NOT_APPROVED`; `CLAIM_USED`"),
    ),
)]
pub(crate) async fn withdraw_access_request(
    admin: Admin,
    PathText(id): PathText,
    _: NoBody,
) -> ApiResult<Data<AccessRequestRow>> {
    let (mut request, _) = load_unclaimed(&admin, id).await?;
    request.decide(AccessStatus::Withdrawn, admin.now());
    let write = admin.app.control.access_request_write(&request)?;
    let change = Change::new("access-requests.withdraw", request.id.as_str());
    admin.commit(change, vec![write]).await.map_err(|error| match error {
        control::Error::ConditionFailed => not_approved(),
        error => error.into(),
    })?;
    Ok(Data { data: request.into() })
}
