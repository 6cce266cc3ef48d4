//! Handles `POST /v1/admin/access-requests/{id}/deny`.

use shared::{
    api::{Admin, ApiResult, Body, Change, Data, PathText, Problem},
    body, control,
    control::access_requests::AccessStatus,
    domain::ids::AccessRequestId,
    text_field,
};

use super::{AccessRequestRow, already_decided, load_pending};

text_field! {
    /// Why the request is denied, for administrators.
    lines DenialReason, 1, 1000
}

body! {
    pub struct DenyAccess {
        "reason" => reason: Option<DenialReason>,
    }
}

/// Deny an access request.
///
/// The reason is stored for administrators; the applicant is not notified. A request can be decided
/// only once.
#[utoipa::path(
    post,
    path = "/v1/admin/access-requests/{id}/deny",
    tag = "Administration",
    params(("id" = AccessRequestId, Path, description = "The id of the access request")),
    request_body = DenyAccess,
    responses(
        (status = 200, body = Data<AccessRequestRow>),
        (status = 404, body = Problem, description = "`NOT_FOUND`"),
        (status = 409, body = Problem, description = "`ALREADY_DECIDED`"),
        (status = 422, body = Problem, description = "`INVALID_FIELDS`"),
    ),
)]
pub(crate) async fn deny_access_request(
    admin: Admin,
    PathText(id): PathText,
    Body(body): Body<DenyAccess>,
) -> ApiResult<Data<AccessRequestRow>> {
    let mut request = load_pending(&admin, id).await?;
    request.reason = body.reason.map(String::from);
    request.decide(AccessStatus::Denied, admin.now());
    let write = admin.app.control.access_request_write(&request)?;
    let change = Change::new("access-requests.deny", request.id.as_str());
    admin.commit(change, vec![write]).await.map_err(|error| match error {
        control::Error::ConditionFailed => already_decided(),
        error => error.into(),
    })?;
    Ok(Data { data: request.into() })
}
