//! `POST /v1/webhooks/test`

use axum::http::StatusCode;
use serde::Serialize;
use shared::{
    api::{ApiError, ApiResult, Done, JsonAnswer, MayBeEmpty, Message, Once, Partner, Problem, once},
    body,
    domain::{EventScope, RequestId, delivery::Payload, ids::DeliveryId},
    webhook_delivery::send_manual,
    webhook_operations::{require_access, require_active},
};
use utoipa::ToSchema;

use crate::{subscriber::Subscriber, subscription::load};

body! {
    pub struct TestEvent {
        /// One of your subscription's scopes, which the test event then has; `Test` if omitted.
        "event" => event: Option<EventScope>,
    }
}

/// The result of the test.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tested {
    delivery_id: DeliveryId,
    event_id: String,
    success: bool,
    /// Null if there was no response.
    status_code: Option<u16>,
    duration_ms: Option<u64>,
    error_message: Option<String>,
}

/// Send a test event to your endpoint and return its response.
///
/// The event is `Test` or the given scope, with the action `test`. It is signed and formatted like
/// any other event, with `logId` and `recordId` 0 and its own `eventId`. It is sent once,
/// immediately, and a failure does not affect your subscription. If you repeat the request with the
/// same `Idempotency-Key`, an accepted event is not sent again; a failed one is. Any webhook event
/// scope allows this.
#[utoipa::path(
    post,
    path = "/v1/webhooks/test",
    tag = "Webhooks",
    params(("Idempotency-Key" = Option<String>, Header,
        description = "1 to 255 visible ASCII characters. For 24 hours, a retry with the same key \
            returns the first successful response.")),
    request_body = Option<TestEvent>,
    responses(
        (status = 200, body = Message<Tested>,
            description = "The event was sent; `success` says whether your endpoint accepted it"),
        (status = 403, body = Problem,
            description = "`INSUFFICIENT_SCOPE`: your key has no webhook event scope"),
        (status = 404, body = Problem, description = "`NOT_FOUND`: you have no subscription"),
        (status = 409, body = Problem, description = "`SUBSCRIPTION_DISABLED`, `SUBSCRIPTION_PAUSED`, \
            `SUBSCRIPTION_SUSPENDED`, `IDEMPOTENCY_IN_PROGRESS`"),
        (status = 422, body = Problem, description = "`INVALID_FIELDS`: your subscription has no such scope"),
    ),
)]
pub(crate) async fn send_test(
    Subscriber(partner): Subscriber,
    Once { key, body }: Once<MayBeEmpty<TestEvent>>,
) -> ApiResult<JsonAnswer> {
    let event = body.0.and_then(|body| body.event);
    once(&partner.app, key.of(&partner.caller), partner.now(), Box::pin(send(&partner, event))).await
}

async fn send(partner: &Partner, event: Option<EventScope>) -> ApiResult<Done> {
    let subscription = load(partner).await?;
    require_active(&subscription)?;
    if event.is_some_and(|event| !subscription.scopes.contains(&event)) {
        return Err(ApiError::field("event", "INVALID_VALUE", "must be one of your subscription's scopes"));
    }
    let id = partner.app.control.next_delivery_id().await?;
    let payload = Payload::test(&subscription.practicepass, event, id.0, partner.now());
    require_access(&partner.app, &subscription, &payload).await?;
    let request_id = RequestId::parse(partner.call.request_id());
    let delivery = send_manual(&partner.app, &subscription, payload, request_id, id, None).await?;
    let succeeded = delivery.succeeded();
    let message = if succeeded { "Test event delivered" } else { "Test event could not be delivered" };
    let data = Tested {
        delivery_id: delivery.id,
        success: succeeded,
        event_id: delivery.payload.event_id,
        status_code: delivery.status_code,
        duration_ms: delivery.duration_ms,
        error_message: delivery.error_message,
    };
    let answer = JsonAnswer::new(StatusCode::OK, &Message { message, data })?;
    Ok(if succeeded { Done::Succeeded(answer) } else { Done::Failed(answer) })
}
