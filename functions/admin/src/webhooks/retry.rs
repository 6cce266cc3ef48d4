//! `POST /v1/admin/webhooks/retry/{id}`

use shared::{
    api::{
        Admin, Answer, ApiError, ApiResult, Change, Done, Message, NoBody, Once, PathId, Problem, Retried,
        once, resend, subscription_of,
    },
    domain::ids::DeliveryId,
};

/// Send a delivery once more, now.
///
/// The event keeps its `eventId`; the retry is a delivery with an id of its own, attempted once. Any delivery of the last 30
/// days can be retried, also one that succeeded and one that is a retry itself. The answer is 200 also when the endpoint
/// didn't take the event; `success` and `message` tell. A key makes a repetition harmless once the endpoint took the event;
/// one that failed is sent again.
#[utoipa::path(
    post,
    path = "/v1/admin/webhooks/retry/{id}",
    tag = "Administration",
    params(
        ("id" = DeliveryId, Path, description = "The delivery's id", example = 10),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a repetition harmless for 24 hours"),
    ),
    responses(
        (status = 200, body = Message<Retried>, description = "Sent; `success` tells whether the endpoint took it",
         example = json!({
             "message": "Webhook delivery retried successfully",
             "data": {
                 "sourceDeliveryId": 10, "retryDeliveryId": 11, "success": true, "statusCode": 200, "attempts": 1,
                 "errorMessage": null,
             },
         })),
        (status = 401, body = Problem, description = "`INVALID_ADMIN_SECRET`"),
        (status = 404, body = Problem, description = "`NOT_FOUND`: no such delivery"),
        (status = 409, body = Problem, description = "`SUBSCRIPTION_DISABLED`, `SUBSCRIPTION_DELETED`, `SUBSCRIPTION_PAUSED`, `SUBSCRIPTION_SUSPENDED`: the partner has no access to the event, `IDEMPOTENCY_IN_PROGRESS`"),
    ),
)]
pub(crate) async fn retry_webhook_delivery(
    admin: Admin,
    PathId(source_id): PathId<DeliveryId>,
    Once { key, body: NoBody }: Once<NoBody>,
) -> ApiResult<Answer> {
    once(&admin.app, key.of_owner("admin"), admin.now(), Box::pin(send(&admin, source_id))).await
}

async fn send(admin: &Admin, source_id: DeliveryId) -> ApiResult<Done> {
    let source = admin.app.control.delivery_by_id(source_id).await?.ok_or_else(ApiError::not_found)?;
    let (subscription, grant) = subscription_of(&admin.app, &source).await?;
    admin.record(Change::new("webhooks.retry", &source_id.to_string())).await?;
    resend(&admin.app, grant, &subscription, source).await
}
