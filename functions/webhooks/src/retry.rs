//! `POST /v1/webhooks/deliveries/{id}/retry`

use axum::http::StatusCode;
use serde::Serialize;
use shared::{
    api::{Answer, ApiError, ApiResult, Code, Done, IdempotencyKey, Message, Partner, PathId, Problem, once},
    control::deliveries::Delivery,
    courier::send_by_hand,
    domain::ids::DeliveryId,
};
use utoipa::ToSchema;

use crate::{subscriber::Subscriber, test::require_active};

/// What came of the retry.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Retried {
    source_delivery_id: DeliveryId,
    retry_delivery_id: DeliveryId,
    success: bool,
    /// Null when there was no answer.
    status_code: Option<u16>,
    attempts: u32,
    error_message: Option<String>,
}

/// Send a delivery once more, now.
///
/// The event keeps its `eventId`; the retry is a delivery with an id of its own, attempted once. Any delivery of your
/// subscription can be retried, also one that succeeded and one that is a retry. A key makes a repetition harmless once your endpoint took the
/// event; one that failed is sent again. Any webhook event scope allows this.
#[utoipa::path(
    post,
    path = "/v1/webhooks/deliveries/{id}/retry",
    tag = "Webhooks",
    params(
        ("id" = DeliveryId, Path, description = "The delivery's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a repetition harmless for 24 hours"),
    ),
    responses(
        (status = 200, body = Message<Retried>, description = "Sent; `success` tells whether your endpoint took it"),
        (status = 403, body = Problem, description = "`INSUFFICIENT_SCOPE`: your key has no webhook event scope"),
        (status = 404, body = Problem, description = "`NOT_FOUND`: no delivery of yours"),
        (status = 409, body = Problem, description = "`SUBSCRIPTION_DISABLED`, also when it was deleted; `IDEMPOTENCY_IN_PROGRESS`"),
    ),
)]
pub(crate) async fn retry_delivery(
    Subscriber(partner): Subscriber,
    PathId(source_id): PathId<DeliveryId>,
    key: IdempotencyKey,
) -> ApiResult<Answer> {
    once(&partner.app, key.of(&partner.caller), partner.now(), send(&partner, source_id)).await
}

async fn send(partner: &Partner, source_id: DeliveryId) -> ApiResult<Done> {
    let source = own_delivery(partner, source_id).await?;
    let caller = &partner.caller;
    let subscription = partner.app.control.subscription(&caller.practicepass, &caller.partner_id).await?;
    let subscription = subscription.filter(|it| it.generation == source.generation).ok_or_else(|| {
        ApiError::new(Code::SubscriptionDisabled, "The delivery's subscription was deleted.")
    })?;
    require_active(&subscription)?;
    let id = partner.app.control.next_delivery_id().await?;
    let retry = send_by_hand(&partner.app, &subscription, source.payload, id).await?;
    let succeeded = retry.succeeded();
    let message =
        if succeeded { "Webhook delivery retried successfully" } else { "Webhook delivery retry failed" };
    let data = Retried {
        source_delivery_id: source_id,
        retry_delivery_id: retry.id,
        success: succeeded,
        status_code: retry.status_code,
        attempts: retry.attempts,
        error_message: retry.error_message,
    };
    let answer = Answer::new(StatusCode::OK, &Message { message, data })?;
    Ok(if succeeded { Done::Succeeded(answer) } else { Done::Failed(answer) })
}

/// Another partner's delivery is answered like one that doesn't exist.
async fn own_delivery(partner: &Partner, id: DeliveryId) -> ApiResult<Delivery> {
    let caller = &partner.caller;
    let found = partner.app.control.delivery_by_id(id).await?;
    let own = found.filter(|it| it.partner_id == caller.partner_id && it.practicepass == caller.practicepass);
    own.ok_or_else(ApiError::not_found)
}
