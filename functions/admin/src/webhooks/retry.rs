//! Handles `POST /v1/admin/webhooks/retry/{id}`.

use shared::{
    api::{
        Admin, ApiError, ApiResult, Change, Done, JsonAnswer, Message, NoBody, Once, PathId, Problem, once,
    },
    domain::ids::DeliveryId,
    webhook_operations::{Retried, resend, subscription_of},
};

/// Retry a webhook delivery now.
///
/// The event keeps its `eventId`. The retry is a new delivery with its own id and a single attempt.
/// Any delivery of the last 30 days can be retried, even a successful one or a retry. The status is
/// 200 even if the endpoint did not accept the event: see `success` and `message`. If you repeat
/// the request with the same `Idempotency-Key`, an accepted event is not sent again; a failed one
/// is.
#[utoipa::path(
    post,
    path = "/v1/admin/webhooks/retry/{id}",
    tag = "Administration",
    params(
        ("id" = DeliveryId, Path, description = "The delivery's id", example = 10),
        (
            "Idempotency-Key" = Option<String>, Header,
            description = "1 to 255 visible ASCII characters. For 24 hours, a retry with the same key \
                returns the first successful response."
        ),
    ),
    responses(
        (status = 200, body = Message<Retried>,
            description = "The event was sent; `success` says whether the endpoint accepted it",
         example = json!({
             "message": "Webhook delivery retried successfully",
             "data": {
                 "sourceDeliveryId": 10, "retryDeliveryId": 11, "success": true, "statusCode": 200,
                     "attempts": 1,
                 "errorMessage": null,
             },
         })),
        (status = 401, body = Problem, description = "`INVALID_ADMIN_SECRET`"),
        (status = 404, body = Problem, description = "`NOT_FOUND`: no such delivery"),
        (status = 409, body = Problem, description = "`SUBSCRIPTION_DISABLED`, `SUBSCRIPTION_DELETED`, \
            `SUBSCRIPTION_PAUSED`, `SUBSCRIPTION_SUSPENDED`: the partner has no access to the event, \
            `IDEMPOTENCY_IN_PROGRESS`"),
    ),
)]
pub(crate) async fn retry_webhook_delivery(
    admin: Admin,
    PathId(source_id): PathId<DeliveryId>,
    Once { key, body: NoBody }: Once<NoBody>,
) -> ApiResult<JsonAnswer> {
    once(&admin.app, key.of_owner("admin"), admin.now(), Box::pin(send(&admin, source_id))).await
}

async fn send(admin: &Admin, source_id: DeliveryId) -> ApiResult<Done> {
    let source = admin.app.control.delivery_by_id(source_id).await?.ok_or_else(ApiError::not_found)?;
    let subscription = subscription_of(&admin.app, &source).await?;
    admin.record(Change::new("webhooks.retry", &source_id.to_string())).await?;
    resend(&admin.app, &subscription, source).await
}
