//! `GET /v1/webhooks/deliveries/{id}`

use shared::{
    api::{ApiError, ApiResult, Data, Partner, PathId, Problem},
    control::deliveries::Delivery,
    domain::ids::DeliveryId,
    webhook_operations::DeliveryDetail,
};

use crate::subscriber::Subscriber;

/// Get a delivery with all of its attempts.
///
/// The first 2 KiB of your endpoint's response are stored for the most recent failed attempt. Any
/// webhook event scope allows this.
#[utoipa::path(
    get,
    path = "/v1/webhooks/deliveries/{id}",
    tag = "Webhooks",
    params(("id" = DeliveryId, Path, description = "The delivery's id")),
    responses(
        (status = 200, body = Data<DeliveryDetail>),
        (status = 403, body = Problem,
            description = "`INSUFFICIENT_SCOPE`: your key has no webhook event scope"),
        (status = 404, body = Problem, description = "`NOT_FOUND`: you have no such delivery"),
    ),
)]
pub(crate) async fn get_delivery(
    Subscriber(partner): Subscriber,
    PathId(id): PathId<DeliveryId>,
) -> ApiResult<Data<DeliveryDetail>> {
    Ok(Data { data: own_delivery(&partner, id).await?.into() })
}

/// Returns a delivery of the partner; `NOT_FOUND` for another partner's.
pub(crate) async fn own_delivery(partner: &Partner, id: DeliveryId) -> ApiResult<Delivery> {
    let caller = &partner.caller;
    let found = partner.app.control.own_delivery(&caller.practicepass, &caller.partner_id, id).await?;
    found.ok_or_else(ApiError::not_found)
}
