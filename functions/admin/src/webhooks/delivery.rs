//! Handles `GET /v1/admin/webhooks/deliveries/{id}`.

use shared::{
    api::{Admin, ApiError, ApiResult, Data, PathId, Problem},
    domain::ids::DeliveryId,
    webhook_operations::DeliveryDetail,
};

/// Get a webhook delivery of any partner with all of its attempts.
///
/// Each attempt shows its time, its duration and its result.
#[utoipa::path(
    get,
    path = "/v1/admin/webhooks/deliveries/{id}",
    tag = "Administration",
    params(("id" = DeliveryId, Path, description = "The delivery's id", example = 10)),
    responses(
        (status = 200, body = Data<DeliveryDetail>),
        (status = 401, body = Problem, description = "`INVALID_ADMIN_SECRET`"),
        (status = 404, body = Problem, description = "`NOT_FOUND`: no such delivery"),
    ),
)]
pub(crate) async fn get_webhook_delivery(
    admin: Admin,
    PathId(id): PathId<DeliveryId>,
) -> ApiResult<Data<DeliveryDetail>> {
    let found = admin.app.control.delivery_by_id(id).await?;
    Ok(Data { data: found.ok_or_else(ApiError::not_found)?.into() })
}
