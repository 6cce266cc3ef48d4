//! Carrying deliveries to partners' endpoints: one signed POST, and what follows from its answer.

use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use jiff::{SignedDuration, Timestamp};

use crate::{
    app::App,
    auth::{DeliveryGrant, webhook_signature::signatures},
    control::{
        Error, Result,
        deliveries::{Attempt, Claimed, CountChange, Delivery},
        subscriptions::{DisabledReason, Failed, LastError, Subscription},
    },
    domain::{
        RequestId,
        delivery::{DeliveryStatus, Payload, WithheldReason, recheck_after, wait_after},
        ids::DeliveryId,
    },
    egress::Failure,
    telemetry::metrics,
};

/// A subscription whose every attempt failed for so long is disabled.
const FAILING_LIMIT: SignedDuration = SignedDuration::from_hours(5 * 24);

/// Only failures for so long park the endpoint.
const PARKED_AFTER: SignedDuration = SignedDuration::from_secs(10);

/// Whether a failed attempt is followed by others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retries {
    /// On the schedule.
    Scheduled,
    /// Tests and retries by hand: their caller sees the outcome.
    None,
}

/// Sends `payload` once more or for a test, at once and only once, as the delivery with this new id. `request_id`: of the
/// call that the event comes from, or for a test of the one that asks for it.
pub async fn send_by_hand(
    app: &App,
    grant: DeliveryGrant,
    subscription: &Subscription,
    payload: Payload,
    request_id: Option<RequestId>,
    id: DeliveryId,
) -> Result<Delivery> {
    let now = app.clock.now();
    let delivery = Delivery::by_hand(id, subscription, payload, request_id, now);
    match app.control.claim_first(delivery, now).await? {
        Claimed::Yes(delivery) => {
            let outcome = post(app, grant, subscription, &delivery).await;
            let mut subscription = subscription.clone();
            let ended = conclude(app, &mut subscription, delivery, outcome, Retries::None).await?;
            Ok(*ended)
        }
        // Ids are given out once.
        Claimed::Done(_) | Claimed::Busy(_) => Err(Error::ConditionFailed),
    }
}

/// What came of a POST.
struct Outcome {
    attempt: Attempt,
    verdict: Verdict,
}

#[derive(Clone, Copy)]
enum Verdict {
    Success,
    /// 410: the partner wants no more.
    Gone,
    Failure {
        retry_after: Option<SignedDuration>,
    },
}

/// What became of an attempt within a limit.
pub enum Attempted {
    /// It has an outcome, which is written: the delivery as it stands now.
    Ended(Box<Delivery>),
    /// The limit came first: nothing is written, the delivery is still the caller's.
    Unanswered(Box<Delivery>),
}

/// Attempts a scheduled delivery that the caller has claimed, for as long as `limit` allows, and writes the outcome.
/// `subscription` becomes what its record is afterwards.
///
/// Whatever the endpoint does is an outcome; an error is a failure of our own stores.
pub async fn attempt(
    app: &App,
    grant: DeliveryGrant,
    subscription: &mut Subscription,
    delivery: Box<Delivery>,
    limit: Option<Duration>,
) -> Result<Attempted> {
    let posting = post(app, grant, subscription, &delivery);
    let outcome = match limit {
        None => posting.await,
        Some(limit) => match tokio::time::timeout(limit, posting).await {
            Ok(outcome) => outcome,
            Err(_) => return Ok(Attempted::Unanswered(delivery)),
        },
    };
    conclude(app, subscription, delivery, outcome, Retries::Scheduled).await.map(Attempted::Ended)
}

/// Cancels a scheduled delivery that the caller has claimed, because its partner has no access to the event now. It is checked
/// again within the time of its schedule, and goes on if access has returned.
pub async fn withhold(app: &App, mut delivery: Box<Delivery>, reason: WithheldReason) -> Result<()> {
    let now = app.clock.now();
    let wait = recheck_after(&app.config.webhook_retries, now.duration_since(delivery.created_at));
    delivery.withhold(reason, wait.and_then(|wait| now.checked_add(wait).ok()));
    tracing::info!(deliveryId = delivery.id.0, reason = reason.as_str(), "delivery withheld");
    let [random] = app.random.bytes();
    app.control.conclude(*delivery, CountChange::default(), random).await.map(drop)
}

async fn conclude(
    app: &App,
    subscription: &mut Subscription,
    mut delivery: Box<Delivery>,
    outcome: Outcome,
    retries: Retries,
) -> Result<Box<Delivery>> {
    let now = app.clock.now();
    let status = match (outcome.verdict, retries) {
        (Verdict::Success, _) => (DeliveryStatus::Delivered, None),
        (_, Retries::None) => (DeliveryStatus::Failed, None),
        (Verdict::Gone, Retries::Scheduled) => (DeliveryStatus::Cancelled, None),
        (Verdict::Failure { retry_after }, Retries::Scheduled) => {
            let schedule = &app.config.webhook_retries;
            match wait_after(schedule, delivery.attempts + 1, retry_after, chance(app)) {
                Some(wait) => (DeliveryStatus::Retrying, now.checked_add(wait).ok()),
                None => (DeliveryStatus::Exhausted, None),
            }
        }
    };
    let count = count_of(&delivery, status.0);
    let took = Duration::from_millis(outcome.attempt.duration_ms);
    delivery.record(outcome.attempt, status.0, status.1);
    report(&delivery, now);
    // The verdict before the outcome: should one of them not be written, the delivery is still open, is attempted again and
    // judged again. What is sent by hand may show that the endpoint works again, but counts as no failure.
    if retries == Retries::Scheduled || matches!(outcome.verdict, Verdict::Success) {
        let error =
            LastError { at: now, status_code: delivery.status_code, message: delivery.error_message.clone() };
        judge(app, subscription, outcome.verdict, took, error).await?;
    }
    let [random] = app.random.bytes();
    app.control.conclude(*delivery, count, random).await.map(Box::new)
}

/// Of an attempt that has ended. What goes through a lane says so by its context; a test or a retry by hand is no metric.
fn report(delivery: &Delivery, now: Timestamp) {
    let delivered = delivery.succeeded();
    // What a replay brings has been delivered before, or was given up.
    let first = delivered && delivery.replay.is_none();
    let lag = first.then(|| now.duration_since(delivery.payload.occurred_at).as_millis().max(0));
    tracing::info!(
        target: metrics::DELIVERIES,
        Delivered = u8::from(delivered),
        DeliveryFailures = u8::from(!delivered),
        DeliveryLag = lag.and_then(|it| u64::try_from(it).ok()),
        deliveryId = delivery.id.0,
        subscriptionId = delivery.subscription_id.0,
        eventId = delivery.payload.event_id,
        attempt = delivery.attempts,
        status = delivery.status_code,
        outcome = %delivery.status,
        durationMs = delivery.duration_ms,
        "delivery attempted"
    );
}

/// What a subscription's record learns from an attempt. Written only when it changes; `subscription` may be older than the
/// record, so each write holds only for what the record says by then.
async fn judge(
    app: &App,
    subscription: &mut Subscription,
    verdict: Verdict,
    took: Duration,
    error: LastError,
) -> Result<()> {
    let now = error.at;
    let breaker = &subscription.breaker;
    let failing_for = subscription.failing_since.map(|since| now.duration_since(since));
    match (verdict, failing_for) {
        (Verdict::Success, failing) => {
            let quick = took < app.config.timeouts.quick_answer;
            if failing.is_some() || breaker.is_parked() || (quick && breaker.is_slow()) {
                app.control.note_success(subscription, quick, now).await?;
            } else if subscription.last.is_success_due(now) {
                app.control.touch_success(subscription, now).await?;
            }
            Ok(())
        }
        (Verdict::Gone, _) => {
            app.control.disable_subscription(subscription, DisabledReason::EndpointGone, now).await
        }
        (Verdict::Failure { .. }, Some(failing)) if failing >= FAILING_LIMIT => {
            app.control.disable_subscription(subscription, DisabledReason::OnlyFailures, now).await
        }
        (Verdict::Failure { .. }, failing) => {
            // One whose probe fails is parked again, however quickly it failed.
            let hangs = took >= app.config.timeouts.hanging_answer;
            let park = hangs || breaker.is_parked() || failing.is_some_and(|it| it >= PARKED_AFTER);
            if park || failing.is_none() {
                let failed = if park { Failed::Park } else { Failed::Note };
                app.control.note_failure(subscription, failed, error).await?;
            }
            Ok(())
        }
    }
}

/// Counted once when its first attempt has ended; as failed until it succeeds. Tests don't count.
fn count_of(before: &Delivery, status: DeliveryStatus) -> CountChange {
    let succeeded = status == DeliveryStatus::Delivered;
    match (before.payload.is_test(), before.attempts) {
        (true, _) => CountChange::default(),
        (false, 0) => CountChange { total: 1, failed: i64::from(!succeeded) },
        (false, _) => CountChange { total: 0, failed: -i64::from(succeeded) },
    }
}

async fn post(app: &App, grant: DeliveryGrant, subscription: &Subscription, delivery: &Delivery) -> Outcome {
    let at = app.clock.now();
    let started = Instant::now();
    let answer = match request(&grant, subscription, delivery, at) {
        Some((headers, body)) => app.hooks.post(&subscription.hook_url, headers, body.into(), at).await,
        None => Err(Failure::Url),
    };
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut attempt =
        Attempt { at, status_code: None, duration_ms, error_message: None, answer: String::new() };
    let answer = match answer {
        Ok(answer) => answer,
        Err(failure) => {
            attempt.error_message = Some(failure.to_string());
            return Outcome { attempt, verdict: Verdict::Failure { retry_after: None } };
        }
    };
    attempt.status_code = Some(answer.status.as_u16());
    let verdict = match answer.status {
        status if status.is_success() => Verdict::Success,
        StatusCode::GONE => Verdict::Gone,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            Verdict::Failure { retry_after: answer.retry_after }
        }
        _ => Verdict::Failure { retry_after: None },
    };
    if !matches!(verdict, Verdict::Success) {
        let redirect = answer.status.is_redirection();
        let note = if redirect { "; redirects are not followed" } else { "" };
        attempt.error_message = Some(format!("the endpoint answered {}{note}", answer.status.as_u16()));
        // Only where it may say what went wrong: nobody knows what an endpoint puts into its answers.
        attempt.answer = answer.body;
    }
    Outcome { attempt, verdict }
}

/// Headers and body; `None` when they can't be made, which no stored subscription causes, or when the permission is for another
/// delivery, which no caller causes.
fn request(
    grant: &DeliveryGrant,
    subscription: &Subscription,
    delivery: &Delivery,
    at: Timestamp,
) -> Option<(HeaderMap, Vec<u8>)> {
    let event = delivery.payload.event().map(|it| it.event);
    if !grant.covers(&subscription.practicepass, &subscription.partner_id, event) {
        return None;
    }
    let body = serde_json::to_vec(&delivery.payload).ok()?;
    let id = &delivery.payload.event_id;
    let signature = signatures(subscription.secrets(at), id, at, &body)?;
    let request_id = delivery.request_id.as_ref().map(|it| ("x-request-id", it.as_str()));
    let headers = [
        ("content-type", "application/json"),
        ("user-agent", concat!("OfficePro-Webhooks/", env!("CARGO_PKG_VERSION"))),
        ("x-officepro-event", &delivery.payload.event),
        ("x-officepro-event-id", id),
        ("x-officepro-delivery-id", &delivery.id.to_string()),
        ("webhook-id", id),
        ("webhook-timestamp", &at.as_second().to_string()),
        ("webhook-signature", &signature),
    ];
    let mut map = HeaderMap::with_capacity(headers.len() + 2);
    for (name, value) in headers.into_iter().chain(request_id) {
        map.insert(HeaderName::from_static(name), HeaderValue::from_str(value).ok()?);
    }
    map.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
    Some((map, body))
}

/// 0..1
fn chance(app: &App) -> f64 {
    f64::from(u16::from_be_bytes(app.random.bytes())) / 65_536.0
}
