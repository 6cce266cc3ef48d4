//! Webhook deliveries as the API tells of them, and sending one once more: partners and administrators alike.

use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Answer, ApiError, ApiResult, Code, Done, Message};
use crate::{
    app::App,
    auth::DeliveryGrant,
    control::{
        deliveries::{Attempt, Delivery},
        subscriptions::Subscription,
    },
    courier::send_by_hand,
    domain::{
        PracticePass, RequestId,
        delivery::{DeliveryStatus, Payload, WithheldReason},
        ids::{DeliveryId, SubscriptionId},
    },
};

/// One event on its way to a partner's endpoint.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryBody {
    id: DeliveryId,
    subscription_id: SubscriptionId,
    practicepass: PracticePass,
    event: String,
    event_id: String,
    /// `X-Request-Id` of each POST: of the call that the event comes from or that asked for the test, or of the poll that
    /// found the event in the EMR's log. Null in records of before it was kept.
    #[schema(value_type = Option<String>)]
    request_id: Option<RequestId>,
    status: DeliveryStatus,
    /// Why a delivery was cancelled without being sent; null otherwise. It goes on by itself if access returns within the time of
    /// its schedule, and can be retried by hand.
    cancel_reason: Option<WithheldReason>,
    success: bool,
    /// Of the last attempt; null when it had no answer.
    status_code: Option<u16>,
    /// Attempts that have ended.
    attempts: u32,
    error_message: Option<String>,
    /// Of the last attempt.
    duration_ms: Option<u64>,
    /// RFC 3339.
    created_at: String,
    /// RFC 3339; null when none is to come.
    next_attempt_at: Option<String>,
}

impl From<Delivery> for DeliveryBody {
    fn from(delivery: Delivery) -> Self {
        let scheduled = delivery.status.is_open() && !delivery.is_by_hand();
        let waits = delivery.next_attempt_at.filter(|_| scheduled);
        Self {
            id: delivery.id,
            subscription_id: delivery.subscription_id,
            success: delivery.succeeded(),
            practicepass: delivery.practicepass,
            event: delivery.payload.event,
            event_id: delivery.payload.event_id,
            request_id: delivery.request_id,
            status: delivery.status,
            cancel_reason: delivery.withheld,
            status_code: delivery.status_code,
            attempts: delivery.attempts,
            error_message: delivery.error_message,
            duration_ms: delivery.duration_ms,
            created_at: delivery.created_at.to_string(),
            next_attempt_at: waits.map(|at| at.to_string()),
        }
    }
}

/// A delivery with each of its attempts.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryDetail {
    #[serde(flatten)]
    delivery: DeliveryBody,
    /// The oldest first.
    attempt_log: Vec<AttemptBody>,
}

/// One POST to the endpoint and what came of it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AttemptBody {
    /// RFC 3339: when it began.
    at: String,
    /// Null when there was no answer.
    status_code: Option<u16>,
    duration_ms: u64,
    error_message: Option<String>,
    /// The first 2 KiB of the endpoint's answer to the newest attempt that failed; of other attempts it is not kept.
    answer: String,
}

impl From<Delivery> for DeliveryDetail {
    fn from(mut delivery: Delivery) -> Self {
        let attempt_log = std::mem::take(&mut delivery.history).into_iter().map(AttemptBody::from).collect();
        Self { delivery: delivery.into(), attempt_log }
    }
}

impl From<Attempt> for AttemptBody {
    fn from(attempt: Attempt) -> Self {
        Self {
            at: attempt.at.to_string(),
            status_code: attempt.status_code,
            duration_ms: attempt.duration_ms,
            error_message: attempt.error_message,
            answer: attempt.answer,
        }
    }
}

/// What came of a retry.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retried {
    #[schema(example = 10)]
    source_delivery_id: DeliveryId,
    #[schema(example = 11)]
    retry_delivery_id: DeliveryId,
    #[schema(example = true)]
    success: bool,
    /// Null when there was no answer.
    #[schema(example = 200)]
    status_code: Option<u16>,
    #[schema(example = 1)]
    attempts: u32,
    #[schema(example = json!(null))]
    error_message: Option<String>,
}

/// # Errors
/// 409 when nothing is sent to the subscription.
pub fn require_active(subscription: &Subscription) -> ApiResult<()> {
    if subscription.is_active() {
        return Ok(());
    }
    Err(ApiError::new(Code::SubscriptionDisabled, "Signing up again activates the subscription."))
}

/// Permission to send `payload` to the subscription now.
///
/// # Errors
/// 409 when the partner has no access to the event, or the subscription is paused.
pub async fn permit(app: &App, subscription: &Subscription, payload: &Payload) -> ApiResult<DeliveryGrant> {
    let event = payload.event().map(|it| it.event);
    app.permit_now(subscription, event).await?.map_err(|reason| {
        let code = match reason {
            WithheldReason::SubscriptionPaused => Code::SubscriptionPaused,
            WithheldReason::PartnerSuspended
            | WithheldReason::NoLiveKey
            | WithheldReason::ScopeNotGranted => Code::SubscriptionSuspended,
        };
        ApiError::new(
            code,
            format!("Nothing was sent: {}.", reason.explain().trim_start_matches("not sent: ")),
        )
        .with("reason", reason.as_str())
    })
}

/// Waits until no delivery begins any more that had not seen a change of a subscription: when the caller has the answer, the
/// old endpoint can be switched off.
pub async fn drain_in_flight(app: &App) {
    tokio::time::sleep(app.config.timeouts.subscription_change).await;
}

/// The subscription that a delivery can be sent to once more, with the permission to do so.
///
/// # Errors
/// 409 when it was deleted, is disabled or paused, or its partner has no access to the event.
pub async fn subscription_of(app: &App, delivery: &Delivery) -> ApiResult<(Subscription, DeliveryGrant)> {
    let found = app.control.subscription(&delivery.practicepass, &delivery.partner_id).await?;
    let subscription = found.filter(|it| it.generation == delivery.generation).ok_or_else(|| {
        ApiError::new(Code::SubscriptionDeleted, "The delivery's subscription was deleted.")
    })?;
    require_active(&subscription)?;
    let grant = permit(app, &subscription, &delivery.payload).await?;
    Ok((subscription, grant))
}

/// Sends the event of `source` once more, now, as a delivery with an id of its own.
pub async fn resend(
    app: &App,
    grant: DeliveryGrant,
    subscription: &Subscription,
    source: Delivery,
) -> ApiResult<Done> {
    let id = app.control.next_delivery_id().await?;
    let retry = send_by_hand(app, grant, subscription, source.payload, source.request_id, id).await?;
    let succeeded = retry.succeeded();
    let message =
        if succeeded { "Webhook delivery retried successfully" } else { "Webhook delivery retry failed" };
    let data = Retried {
        source_delivery_id: source.id,
        retry_delivery_id: retry.id,
        success: succeeded,
        status_code: retry.status_code,
        attempts: retry.attempts,
        error_message: retry.error_message,
    };
    let answer = Answer::new(StatusCode::OK, &Message { message, data })?;
    Ok(if succeeded { Done::Succeeded(answer) } else { Done::Failed(answer) })
}
