//! Deliveries to partners' endpoints: one signed POST, and the handling of its response.

mod begin;
mod classify;
mod health;
mod report;
mod request;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use jiff::{SignedDuration, Timestamp};

use crate::{
    app::App,
    auth::DeliveryGrant,
    control::{
        Error, Result,
        deliveries::{Claimed, CountChange, Delivery},
        subscriptions::{Slots, Subscription},
    },
    domain::{
        RequestId,
        delivery::{DeliveryStatus, Payload, WithheldReason, recheck_after, wait_after},
        ids::DeliveryId,
        pace::Slot,
    },
    egress::Failure,
};
pub use begin::{LONGEST_CLAIM, is_unchanged, outlasts_attempt};
use classify::{PostOutcome, Verdict, classify};
use health::update_health;

/// The result of an attempt, after it was recorded.
pub struct Attempted {
    /// The delivery with this attempt.
    pub delivery: Box<Delivery>,
    /// The slot of the next attempt, if the endpoint is paced.
    pub slot: Option<Slot>,
}

/// Why a manual delivery was not sent.
const CHANGED: &str = "not sent: the subscription has changed, or could not be checked in time; try again";

/// Sends a test or a manual retry: once, immediately, as a new delivery with this id.
///
/// `request_id` is that of the call that caused the event or, for a test, of the call that
/// requested it. Nothing is sent if the subscription or its partner's access has changed by the
/// time of the call; the delivery then says why. `source` is the claimed delivery that it replaces.
pub async fn send_manual(
    app: &App,
    subscription: &Subscription,
    payload: Payload,
    request_id: Option<RequestId>,
    id: DeliveryId,
    source: Option<&Delivery>,
) -> Result<Delivery> {
    let now = app.clock.now();
    let delivery = Delivery::manual(id, subscription, payload, request_id, now);
    let Claimed::Yes(mut delivery) = app.control.claim_first(delivery, now).await? else {
        // Each id is assigned once.
        return Err(Error::ConditionFailed);
    };
    // The claim may have taken long.
    let access = app.partner_access(&subscription.practicepass, &subscription.partner_id).await;
    let unchanged = is_unchanged(app, subscription).await;
    let now = app.clock.now();
    let may_begin = matches!(unchanged, Ok(true))
        && [Some(&*delivery), source].into_iter().flatten().all(|it| outlasts_attempt(it, now));
    match access.map(|access| subscription.permit(&access, delivery.payload.scope(), now)) {
        Ok(Ok(grant)) if may_begin => {
            let outcome = post(app, grant, subscription, &delivery).await;
            return record_manual(app, &mut subscription.clone(), delivery, outcome).await;
        }
        Ok(Err(reason)) => delivery.withhold(reason, None),
        Ok(Ok(_)) | Err(_) => delivery.fail_unsent(CHANGED),
    }
    let [random] = app.random.bytes();
    app.control.record_outcome(*delivery, CountChange::default(), random, now).await
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
    mut delivery: Box<Delivery>,
    slot: Option<Slot>,
    called: &AtomicBool,
) -> Result<Attempted> {
    let outcome = post(app, grant, subscription, &delivery).await;
    called.store(true, Ordering::Relaxed);
    let now = app.clock.now();
    let until = tokio::time::Instant::now() + app.config.timeouts.endpoint_health;
    // Update health before recording the outcome: if either write fails, the delivery stays open
    // and is attempted and classified again. A delivered event is not sent again because of it.
    match by(until, Box::pin(update_health(app, subscription, &outcome, slot.as_ref(), now))).await {
        Err(error) if outcome.verdict == Verdict::Success => {
            tracing::warn!(%error, deliveryId = delivery.id.0, "a success was not recorded");
        }
        result => result?,
    }
    let waits = matches!(outcome.verdict, Verdict::Rejected { .. }) && !is_old(app, &delivery, now);
    let (count, slot) = if waits {
        let slot = next_slot(app, subscription, &delivery, until, now).await;
        let held = subscription.breaker.held_until(now).unwrap_or(now);
        delivery.record_rejected(outcome.attempt, slot.map_or(held, |slot| slot.instant()));
        (CountChange::default(), slot)
    } else {
        let (status, next) = next_step(app, &delivery, outcome.verdict, now);
        let count = report::count_of(&delivery, status);
        delivery.record(outcome.attempt, status, next);
        (count, None)
    };
    report::log(&delivery, now);
    let [random] = app.random.bytes();
    let recorded = app.control.record_outcome(*delivery, count, random, app.clock.now()).await;
    Ok(Attempted { delivery: recorded.map(Box::new)?, slot })
}

/// Cancels a claimed delivery because its partner currently has no access to the event.
///
/// Access is checked again until the delivery's schedule ends. The delivery resumes if access
/// returns.
pub async fn withhold(app: &App, mut delivery: Box<Delivery>, reason: WithheldReason) -> Result<()> {
    let now = app.clock.now();
    let wait = recheck_after(&app.config.webhook_retries, delivery.age(now));
    delivery.withhold(reason, wait.and_then(|wait| now.checked_add(wait).ok()));
    tracing::info!(deliveryId = delivery.id.0, reason = reason.as_str(), "delivery withheld");
    let [random] = app.random.bytes();
    app.control.record_outcome(*delivery, CountChange::default(), random, now).await.map(drop)
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
fn is_old(app: &App, delivery: &Delivery, now: Timestamp) -> bool {
    let schedule = SignedDuration::from_secs(app.config.webhook_retries.iter().sum());
    delivery.age(now) >= schedule
}

/// Stops waiting for our own stores at `until`, so that the outcome is recorded before the claim
/// ends.
async fn by<T>(until: tokio::time::Instant, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout_at(until, work).await.unwrap_or_else(|_| {
        let reason = "the endpoint's health was not updated in time".to_owned();
        Err(Error::Unavailable { service: "DynamoDB", reason })
    })
}

/// Returns the slot of the next attempt after a 429.
async fn next_slot(
    app: &App,
    subscription: &mut Subscription,
    delivery: &Delivery,
    until: tokio::time::Instant,
    now: Timestamp,
) -> Option<Slot> {
    match by(until, app.control.take_slots(subscription, 1, now)).await {
        Ok(Slots::Taken(slots)) => slots.first().copied(),
        Ok(Slots::Full | Slots::NotPaced) => None,
        // A burst of rejected calls competes for slots. The 429 is recorded all the same, and the
        // slow lane takes a slot when the hold is over.
        Err(error) => {
            tracing::warn!(%error, deliveryId = delivery.id.0, "no slot was taken after a 429");
            None
        }
    }
}

/// Returns the status after an attempt that counts in the schedule, and when the next one follows.
fn next_step(
    app: &App,
    delivery: &Delivery,
    verdict: Verdict,
    now: Timestamp,
) -> (DeliveryStatus, Option<Timestamp>) {
    let asked = match verdict {
        Verdict::Success => return (DeliveryStatus::Delivered, None),
        Verdict::Gone => return (DeliveryStatus::Cancelled, None),
        Verdict::Rejected { asked } | Verdict::Failure { asked } => asked,
    };
    match wait_after(&app.config.webhook_retries, delivery.attempts + 1, asked, chance(app)) {
        Some(wait) => (DeliveryStatus::Retrying, now.checked_add(wait).ok()),
        None => (DeliveryStatus::Exhausted, None),
    }
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
    // A manual success can show that the endpoint has recovered; a manual failure does not count.
    if succeeded {
        let until = tokio::time::Instant::now() + app.config.timeouts.endpoint_health;
        if let Err(error) = by(until, Box::pin(update_health(app, subscription, &outcome, None, now))).await {
            tracing::warn!(%error, deliveryId = delivery.id.0, "a success was not recorded");
        }
    }
    delivery.record(outcome.attempt, status, None);
    report::log(&delivery, now);
    let [random] = app.random.bytes();
    app.control.record_outcome(*delivery, count, random, app.clock.now()).await
}

/// Returns a random number in 0..1.
fn chance(app: &App) -> f64 {
    f64::from(u16::from_be_bytes(app.random.bytes())) / 65_536.0
}
