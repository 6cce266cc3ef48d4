//! Webhook deliveries as the API shows them, and their retries, for partners and administrators.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::{ApiError, ApiResult, Code, Done, JsonAnswer, Message};
use crate::{
    app::App,
    control::{
        self,
        deliveries::{Attempt, Claimed, CountChange, Delivery},
        subscriptions::Subscription,
    },
    domain::{
        EventScope, PracticePass, RequestId,
        delivery::{DeliveryStatus, Payload, WithheldReason},
        ids::{DeliveryId, SubscriptionId},
    },
    webhook_delivery::send_manual,
};

/// The longest that an attempt in progress takes to record its outcome, unless DynamoDB throttles;
/// API Gateway waits longer.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(17);
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// One event on its way to a partner's endpoint.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryBody {
    id: DeliveryId,
    subscription_id: SubscriptionId,
    practicepass: PracticePass,
    event: String,
    event_id: String,
    /// The `X-Request-Id` of each POST.
    ///
    /// The request id of the call that caused the event or requested the test, or of the poll that
    /// found the event in the EMR's log. Null for deliveries from before request ids were stored.
    #[schema(value_type = Option<String>)]
    request_id: Option<RequestId>,
    /// The replay that created the delivery; null otherwise.
    replay: Option<String>,
    status: DeliveryStatus,
    /// Why the delivery was withheld; null otherwise.
    ///
    /// A delivery withheld for lack of access resumes automatically if access returns within the
    /// time of its retry schedule, and can be retried manually.
    cancel_reason: Option<WithheldReason>,
    success: bool,
    /// The HTTP status of the last attempt; null if there was no response.
    status_code: Option<u16>,
    /// Number of attempts so far.
    ///
    /// Includes those that your endpoint answered with 429 and those that were interrupted.
    attempts: u32,
    error_message: Option<String>,
    /// Duration of the last attempt.
    duration_ms: Option<u64>,
    /// RFC 3339.
    created_at: String,
    /// RFC 3339; null if no attempt is scheduled.
    next_attempt_at: Option<String>,
}

impl From<Delivery> for DeliveryBody {
    fn from(delivery: Delivery) -> Self {
        let scheduled = delivery.status.is_open() && !delivery.is_manual();
        let waits = delivery.next_attempt_at.filter(|_| scheduled);
        Self {
            id: delivery.id,
            subscription_id: delivery.subscription_id,
            success: delivery.succeeded(),
            attempts: delivery.attempts_made(),
            practicepass: delivery.practicepass,
            event: delivery.payload.event,
            event_id: delivery.payload.event_id,
            request_id: delivery.request_id,
            replay: delivery.replay,
            status: delivery.status,
            cancel_reason: delivery.withheld,
            status_code: delivery.status_code,
            error_message: delivery.error_message,
            duration_ms: delivery.duration_ms,
            created_at: delivery.created_at.to_string(),
            next_attempt_at: waits.map(|at| at.to_string()),
        }
    }
}

/// A delivery with all of its attempts.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryDetail {
    #[serde(flatten)]
    delivery: DeliveryBody,
    /// Oldest first.
    attempt_log: Vec<AttemptBody>,
}

/// One POST to the endpoint and its result.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AttemptBody {
    /// RFC 3339: when the attempt started.
    at: String,
    /// Null if there was no response.
    status_code: Option<u16>,
    /// Null if the attempt was interrupted.
    duration_ms: Option<u64>,
    error_message: Option<String>,
    /// The first 2 KiB of the endpoint's response.
    ///
    /// Stored only for the most recent failed attempt.
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

/// The result of a retry.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retried {
    #[schema(example = 10)]
    source_delivery_id: DeliveryId,
    #[schema(example = 11)]
    retry_delivery_id: DeliveryId,
    #[schema(example = true)]
    success: bool,
    /// Null if there was no response.
    #[schema(example = 200)]
    status_code: Option<u16>,
    #[schema(example = 1)]
    attempts: u32,
    #[schema(example = json!(null))]
    error_message: Option<String>,
}

/// Checks that the subscription is active.
///
/// # Errors
/// 409 if the subscription is disabled.
pub fn require_active(subscription: &Subscription) -> ApiResult<()> {
    if subscription.is_active() {
        return Ok(());
    }
    Err(ApiError::new(Code::SubscriptionDisabled, "Sign up again to activate the subscription."))
}

/// Checks that `payload` may be sent to the subscription now.
///
/// # Errors
/// 409 if the partner has no access to the event, or the subscription is paused.
pub async fn require_access(app: &App, subscription: &Subscription, payload: &Payload) -> ApiResult<()> {
    app.permit_now(subscription, payload.scope()).await?.map(drop).map_err(withheld)
}

fn withheld(reason: WithheldReason) -> ApiError {
    let code = match reason {
        WithheldReason::SubscriptionPaused => Code::SubscriptionPaused,
        WithheldReason::PartnerSuspended
        | WithheldReason::NoLiveKey
        | WithheldReason::ScopeNotGranted
        | WithheldReason::DeliveredByRetry => Code::SubscriptionSuspended,
    };
    let detail = format!("Nothing was sent: {}.", reason.explain().trim_start_matches("not sent: "));
    ApiError::new(code, detail).with("reason", reason.as_str())
}

/// Returns the subscription's scopes whose events may be sent to it now; at least one.
///
/// # Errors
/// 409 if there are none.
pub async fn permit_any(app: &App, subscription: &Subscription) -> ApiResult<Vec<EventScope>> {
    let (mut scopes, mut refused) = (Vec::new(), None);
    for scope in &subscription.scopes {
        match app.permit_now(subscription, Some(*scope)).await? {
            Ok(_) => scopes.push(*scope),
            Err(reason) => refused = Some(reason),
        }
    }
    match refused {
        Some(reason) if scopes.is_empty() => Err(withheld(reason)),
        _ => Ok(scopes),
    }
}

/// Waits until no delivery can start with an outdated copy of a changed subscription.
///
/// When the caller receives the response, the old endpoint can be switched off.
pub async fn drain_in_flight(app: &App) {
    tokio::time::sleep(app.config.timeouts.subscription_change).await;
}

/// Returns the delivery's subscription if the delivery may be sent to it again.
///
/// # Errors
/// 409 if the subscription was deleted, is disabled or paused, or its partner has no access to the
/// event.
pub async fn subscription_of(app: &App, delivery: &Delivery) -> ApiResult<Subscription> {
    let found = app.control.subscription(&delivery.practicepass, &delivery.partner_id).await?;
    let subscription = found.filter(|it| it.generation == delivery.generation).ok_or_else(|| {
        ApiError::new(Code::SubscriptionDeleted, "The delivery's subscription was deleted.")
    })?;
    require_active(&subscription)?;
    require_access(app, &subscription, &delivery.payload).await?;
    Ok(subscription)
}

/// Claims the delivery if it awaits an attempt and no process is attempting it; `None` otherwise.
async fn claim(app: &App, source: &Delivery) -> control::Result<Option<Box<Delivery>>> {
    let current = app.control.delivery(&source.key).await?;
    let Some(current) = current.filter(|it| it.awaits_attempt() && !it.is_manual()) else { return Ok(None) };
    let (attempt, claimant) = (current.attempts + 1, i64::from_be_bytes(app.random.bytes()));
    match app.control.claim_again(&current.key, attempt, claimant, app.clock.now()).await? {
        Claimed::Yes(delivery) => Ok(Some(delivery)),
        Claimed::Done(_) | Claimed::Busy(_) => Ok(None),
    }
}

/// Ends a claimed delivery, because the retry with this id was delivered.
async fn supersede(app: &App, mut delivery: Box<Delivery>, retry: DeliveryId) -> control::Result<()> {
    delivery.supersede(retry);
    let [random] = app.random.bytes();
    app.control.record_outcome(*delivery, CountChange::default(), random, app.clock.now()).await?;
    Ok(())
}

/// The same as [`supersede`], after an attempt that was in progress at `began` has ended.
async fn supersede_after_attempt(
    app: &App,
    source: &Delivery,
    retry: DeliveryId,
    began: Instant,
) -> control::Result<()> {
    loop {
        if let Some(claimed) = claim(app, source).await? {
            return supersede(app, claimed, retry).await;
        }
        let current = app.control.delivery(&source.key).await?;
        if !current.is_some_and(|it| it.awaits_attempt() && !it.is_manual()) {
            return Ok(());
        }
        if began.elapsed() >= LONGEST_ATTEMPT {
            tracing::warn!(deliveryId = source.id.0, "an event that a retry delivered may be sent again");
            return Ok(());
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

/// Sends the event of `source` again immediately, as a delivery with its own id.
///
/// If that succeeds, `source` is not attempted again.
pub async fn resend(app: &App, subscription: &Subscription, source: Delivery) -> ApiResult<Done> {
    let began = Instant::now();
    let id = app.control.next_delivery_id().await?;
    let claimed = claim(app, &source).await?;
    let (payload, request_id) = (source.payload.clone(), source.request_id.clone());
    let sent = send_manual(app, subscription, payload, request_id, id, claimed.as_deref()).await;
    let succeeded = sent.as_ref().is_ok_and(Delivery::succeeded);
    let settled = match claimed {
        Some(claimed) if succeeded => supersede(app, claimed, id).await,
        Some(claimed) => {
            let next = claimed.next_attempt_at.unwrap_or_else(|| app.clock.now());
            app.control.put_back(&claimed, next).await
        }
        // Another process was attempting it. Unless that attempt succeeds, it would be sent again.
        None if succeeded => supersede_after_attempt(app, &source, id, began).await,
        None => Ok(()),
    };
    // An error would make the caller repeat what the endpoint has accepted.
    if let Err(error) = settled {
        tracing::warn!(%error, deliveryId = source.id.0, "an event that was sent manually may be sent again");
    }
    let retry = sent?;
    let message =
        if succeeded { "Webhook delivery retried successfully" } else { "Webhook delivery retry failed" };
    let data = Retried {
        source_delivery_id: source.id,
        retry_delivery_id: retry.id,
        success: succeeded,
        status_code: retry.status_code,
        attempts: retry.attempts_made(),
        error_message: retry.error_message,
    };
    let answer = JsonAnswer::new(StatusCode::OK, &Message { message, data })?;
    Ok(if succeeded { Done::Succeeded(answer) } else { Done::Failed(answer) })
}
