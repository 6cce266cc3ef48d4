//! `POST /v1/webhooks/deliveries/{id}/retry`

use shared::{
    api::{ApiResult, Done, JsonAnswer, Message, NoBody, Once, Partner, PathId, Problem, once},
    domain::ids::DeliveryId,
    webhook_operations::{Retried, resend, subscription_of},
};

use crate::{delivery::own_delivery, subscriber::Subscriber};

/// Retry a delivery now.
///
/// The event keeps its `eventId`. The retry is a new delivery with its own id and a single attempt.
/// Any delivery of your subscription can be retried, even a successful one or a retry. If you
/// repeat the request with the same `Idempotency-Key`, an accepted event is not sent again; a
/// failed one is. Any webhook event scope allows this.
#[utoipa::path(
    post,
    path = "/v1/webhooks/deliveries/{id}/retry",
    tag = "Webhooks",
    params(
        ("id" = DeliveryId, Path, description = "The delivery's id"),
        ("Idempotency-Key" = Option<String>, Header,
            description = "1 to 255 visible ASCII characters. For 24 hours, a retry with the same key \
            returns the first successful response."),
    ),
    responses(
        (status = 200, body = Message<Retried>,
            description = "The event was sent; `success` says whether your endpoint accepted it"),
        (status = 403, body = Problem,
            description = "`INSUFFICIENT_SCOPE`: your key has no webhook event scope"),
        (status = 404, body = Problem, description = "`NOT_FOUND`: you have no such delivery"),
        (status = 409, body = Problem, description = "`SUBSCRIPTION_DISABLED`, `SUBSCRIPTION_DELETED`, \
            `SUBSCRIPTION_PAUSED`, `SUBSCRIPTION_SUSPENDED`: none of your valid keys grants its scope, \
            `IDEMPOTENCY_IN_PROGRESS`"),
    ),
)]
pub(crate) async fn retry_delivery(
    Subscriber(partner): Subscriber,
    PathId(source_id): PathId<DeliveryId>,
    Once { key, body: NoBody }: Once<NoBody>,
) -> ApiResult<JsonAnswer> {
    once(&partner.app, key.of(&partner.caller), partner.now(), Box::pin(send(&partner, source_id))).await
}

async fn send(partner: &Partner, source_id: DeliveryId) -> ApiResult<Done> {
    let source = own_delivery(partner, source_id).await?;
    let subscription = subscription_of(&partner.app, &source).await?;
    resend(&partner.app, &subscription, source).await
}
