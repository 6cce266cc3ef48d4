//! Deliveries to partners' endpoints: one signed POST, and the handling of its response.

mod classify;
mod health;
mod report;
mod request;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use jiff::SignedDuration;

use crate::{
    app::App,
    auth::DeliveryGrant,
    control::{
        Error, Result,
        deliveries::{Claimed, CountChange, Delivery},
        subscriptions::{LastError, Slots, Subscription},
    },
    domain::{
        RequestId,
        delivery::{DeliveryStatus, Payload, WithheldReason, recheck_after, wait_after},
        ids::DeliveryId,
        pace::Slot,
    },
    egress::Failure,
};
use classify::{PostOutcome, Verdict, classify};
use health::update_health;

/// The result of an attempt, after it was recorded.
pub struct Attempted {
    /// The delivery with this attempt.
    pub delivery: Box<Delivery>,
    /// The slot of the next attempt, if the endpoint is paced.
    pub slot: Option<Slot>,
}

/// Sends a test or a manual retry: once, immediately, as a new delivery with this id.
///
/// `request_id` is that of the call that caused the event or, for a test, of the call that
/// requested it.
pub async fn send_manual(
    app: &App,
    grant: DeliveryGrant,
    subscription: &Subscription,
    payload: Payload,
    request_id: Option<RequestId>,
    id: DeliveryId,
) -> Result<Delivery> {
    let now = app.clock.now();
    let delivery = Delivery::manual(id, subscription, payload, request_id, now);
    match app.control.claim_first(delivery, now).await? {
        Claimed::Yes(delivery) => {
            let outcome = post(app, grant, subscription, &delivery).await;
            record_manual(app, &mut subscription.clone(), delivery, outcome).await
        }
        // Each id is assigned once.
        Claimed::Done(_) | Claimed::Busy(_) => Err(Error::ConditionFailed),
    }
}

/// Attempts a scheduled delivery that the caller has claimed, and records the outcome.
///
/// `slot` is the slot of this call if the endpoint is paced. Afterwards `subscription` matches its
/// stored record. `called` becomes true when the call has ended; what remains is our own stores'.
///
/// # Errors
/// Errors of our own stores. A failure of the endpoint is an outcome, not an error.
pub async fn attempt(
    app: &App,
    grant: DeliveryGrant,
    subscription: &mut Subscription,
    delivery: Box<Delivery>,
    slot: Option<Slot>,
    called: &AtomicBool,
) -> Result<Attempted> {
    let outcome = post(app, grant, subscription, &delivery).await;
    called.store(true, Ordering::Relaxed);
    match outcome.verdict {
        Verdict::Rejected { asked } => {
            record_rejection(app, subscription, delivery, outcome, asked, slot.as_ref()).await
        }
        _ => record_outcome(app, subscription, delivery, outcome, slot.as_ref()).await,
    }
}

/// Cancels a claimed delivery because its partner currently has no access to the event.
///
/// Access is checked again until the delivery's schedule ends. The delivery resumes if access
/// returns.
pub async fn withhold(app: &App, mut delivery: Box<Delivery>, reason: WithheldReason) -> Result<()> {
    let now = app.clock.now();
    let wait = recheck_after(&app.config.webhook_retries, now.duration_since(delivery.created_at));
    delivery.withhold(reason, wait.and_then(|wait| now.checked_add(wait).ok()));
    tracing::info!(deliveryId = delivery.id.0, reason = reason.as_str(), "delivery withheld");
    let [random] = app.random.bytes();
    app.control.record_outcome(*delivery, CountChange::default(), random).await.map(drop)
}

async fn post(
    app: &App,
    grant: DeliveryGrant,
    subscription: &Subscription,
    delivery: &Delivery,
) -> PostOutcome {
    let at = app.clock.now();
    let started = Instant::now();
    let answer = match request::build(&grant, subscription, delivery, at) {
        Some((headers, body)) => app.hooks.post(&subscription.hook_url, headers, body.into(), at).await,
        None => Err(Failure::Url),
    };
    classify(answer, at, started.elapsed())
}

/// Whether the delivery's schedule would be over by now.
///
/// This limits how often a delivery that receives only 429 is attempted.
fn is_old(app: &App, delivery: &Delivery) -> bool {
    let schedule = SignedDuration::from_secs(app.config.webhook_retries.iter().sum());
    app.clock.now().duration_since(delivery.created_at) >= schedule
}

async fn record_manual(
    app: &App,
    subscription: &mut Subscription,
    mut delivery: Box<Delivery>,
    outcome: PostOutcome,
) -> Result<Delivery> {
    let now = app.clock.now();
    let succeeded = matches!(outcome.verdict, Verdict::Success);
    let status = if succeeded { DeliveryStatus::Delivered } else { DeliveryStatus::Failed };
    let count = report::count_of(&delivery, status);
    let (verdict, took) = (outcome.verdict, outcome.took);
    delivery.record(outcome.attempt, status, None);
    report::log(&delivery, now);
    // A manual success can show that the endpoint has recovered; a manual failure does not count.
    if succeeded
        && let Err(error) =
            update_health(app, subscription, verdict, took, None, last_error(&delivery, now)).await
    {
        tracing::warn!(%error, deliveryId = delivery.id.0, "a success was not recorded");
    }
    let [random] = app.random.bytes();
    app.control.record_outcome(*delivery, count, random).await
}

async fn record_outcome(
    app: &App,
    subscription: &mut Subscription,
    mut delivery: Box<Delivery>,
    outcome: PostOutcome,
    slot: Option<&Slot>,
) -> Result<Attempted> {
    let now = app.clock.now();
    let retry = |asked: Option<Duration>| {
        let wait = wait_after(&app.config.webhook_retries, delivery.attempts + 1, asked, chance(app));
        match wait {
            Some(wait) => (DeliveryStatus::Retrying, now.checked_add(wait).ok()),
            None => (DeliveryStatus::Exhausted, None),
        }
    };
    let (status, next) = match outcome.verdict {
        Verdict::Success => (DeliveryStatus::Delivered, None),
        Verdict::Gone => (DeliveryStatus::Cancelled, None),
        Verdict::Rejected { asked } | Verdict::Failure { asked } => retry(asked),
    };
    let count = report::count_of(&delivery, status);
    let (verdict, took) = (outcome.verdict, outcome.took);
    delivery.record(outcome.attempt, status, next);
    report::log(&delivery, now);
    // Update health before recording the outcome: if either write fails, the delivery stays open
    // and is attempted and classified again. A delivered event is not sent again because of it.
    match update_health(app, subscription, verdict, took, slot, last_error(&delivery, now)).await {
        Err(error) if matches!(verdict, Verdict::Success) => {
            tracing::warn!(%error, deliveryId = delivery.id.0, "a success was not recorded");
        }
        result => result?,
    }
    let [random] = app.random.bytes();
    let delivery = app.control.record_outcome(*delivery, count, random).await.map(Box::new)?;
    Ok(Attempted { delivery, slot: None })
}

/// Records a 429, which holds the endpoint.
///
/// The delivery waits for a slot like the others. The attempt does not count in its schedule.
async fn record_rejection(
    app: &App,
    subscription: &mut Subscription,
    mut delivery: Box<Delivery>,
    outcome: PostOutcome,
    asked: Option<Duration>,
    slot: Option<&Slot>,
) -> Result<Attempted> {
    let now = app.clock.now();
    let error = LastError {
        at: now,
        status_code: outcome.attempt.status_code,
        message: outcome.attempt.error_message.clone(),
    };
    app.control.note_rejection(subscription, slot, asked, error.clone()).await?;
    if is_old(app, &delivery) {
        return record_outcome(app, subscription, delivery, outcome, slot).await;
    }
    update_health(app, subscription, outcome.verdict, outcome.took, slot, error).await?;
    let slot = match app.control.take_slots(subscription, 1, now).await {
        Ok(Slots::Taken(slots)) => slots.first().copied(),
        Ok(Slots::Full | Slots::NotPaced) => None,
        // A burst of rejected calls competes for slots. The 429 is recorded all the same, and the
        // slow lane takes a slot when the hold is over.
        Err(error) => {
            tracing::warn!(%error, deliveryId = delivery.id.0, "no slot was taken after a 429");
            None
        }
    };
    let held = subscription.breaker.held_until(now).unwrap_or(now);
    delivery.record_rejected(outcome.attempt, slot.map_or(held, |slot| slot.instant()));
    report::log(&delivery, now);
    let [random] = app.random.bytes();
    let delivery =
        app.control.record_outcome(*delivery, CountChange::default(), random).await.map(Box::new)?;
    Ok(Attempted { delivery, slot })
}

fn last_error(delivery: &Delivery, at: jiff::Timestamp) -> LastError {
    LastError { at, status_code: delivery.status_code, message: delivery.error_message.clone() }
}

/// Returns a random number in 0..1.
fn chance(app: &App) -> f64 {
    f64::from(u16::from_be_bytes(app.random.bytes())) / 65_536.0
}
