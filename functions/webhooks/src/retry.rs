//! `POST /v1/webhooks/deliveries/{id}/retry`

use shared::{
    api::{ApiResult, Done, JsonAnswer, Message, NoBody, Once, Partner, PathId, Problem, once},
    domain::ids::DeliveryId,
    webhook_operations::{Retried, resend, subscription_of},
};

use crate::{delivery::own_delivery, subscriber::Subscriber};

/// Send a delivery once more, now.
///
/// The event keeps its `eventId`; the retry is a delivery with an id of its own, attempted once.
/// Any delivery of your subscription can be retried, also one that succeeded and one that is a
/// retry. A key makes a repetition harmless once your endpoint took the event; one that failed is
/// sent again. Any webhook event scope allows this.
#[utoipa::path(
    post,
    path = "/v1/webhooks/deliveries/{id}/retry",
    tag = "Webhooks",
    params(
        ("id" = DeliveryId, Path, description = "The delivery's id"),
        ("Idempotency-Key" = Option<String>, Header,
            description = "Makes a repetition harmless for 24 hours"),
    ),
    responses(
        (status = 200, body = Message<Retried>,
            description = "Sent; `success` tells whether your endpoint took it"),
        (status = 403, body = Problem,
            description = "`INSUFFICIENT_SCOPE`: your key has no webhook event scope"),
        (status = 404, body = Problem, description = "`NOT_FOUND`: no delivery of yours"),
        (status = 409, body = Problem, description = "`SUBSCRIPTION_DISABLED`, `SUBSCRIPTION_DELETED`, \
            `SUBSCRIPTION_PAUSED`, `SUBSCRIPTION_SUSPENDED`: no live key of yours grants the event's scope, \
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
    let (subscription, grant) = subscription_of(&partner.app, &source).await?;
    resend(&partner.app, grant, &subscription, source).await
}
