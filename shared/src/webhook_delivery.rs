//! Deliveries to partners' endpoints: one signed POST, and what follows from its answer.

mod classify;
mod health;
mod report;
mod request;

use std::time::{Duration, Instant};

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
use classify::{Outcome, Verdict, classify};
use health::update_health;

/// What became of an attempt, which is on record.
pub struct Attempted {
    /// As it stands now.
    pub delivery: Box<Delivery>,
    /// The endpoint's pace allows the next attempt then.
    pub slot: Option<Slot>,
}

/// Sends `payload` once more or for a test, at once and only once, as the delivery with this new
/// id. `request_id`: of the call that the event comes from, or for a test of the one that asks for
/// it.
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
        // Ids are given out once.
        Claimed::Done(_) | Claimed::Busy(_) => Err(Error::ConditionFailed),
    }
}

/// Attempts a scheduled delivery that the caller has claimed, and records the outcome. `slot`: when
/// the endpoint's pace allows the call, if it is paced. `subscription` becomes what its record is
/// afterwards.
///
/// Whatever the endpoint does is an outcome; an error is a failure of our own stores.
pub async fn attempt(
    app: &App,
    grant: DeliveryGrant,
    subscription: &mut Subscription,
    delivery: Box<Delivery>,
    slot: Option<Slot>,
) -> Result<Attempted> {
    let outcome = post(app, grant, subscription, &delivery).await;
    match outcome.verdict {
        Verdict::Rejected { asked } => {
            record_rejection(app, subscription, delivery, outcome, asked, slot.as_ref()).await
        }
        _ => record_outcome(app, subscription, delivery, outcome, slot.as_ref()).await,
    }
}

/// Cancels a scheduled delivery that the caller has claimed, because its partner has no access to
/// the event now. It is checked again within the time of its schedule, and goes on if access has
/// returned.
pub async fn withhold(app: &App, mut delivery: Box<Delivery>, reason: WithheldReason) -> Result<()> {
    let now = app.clock.now();
    let wait = recheck_after(&app.config.webhook_retries, now.duration_since(delivery.created_at));
    delivery.withhold(reason, wait.and_then(|wait| now.checked_add(wait).ok()));
    tracing::info!(deliveryId = delivery.id.0, reason = reason.as_str(), "delivery withheld");
    let [random] = app.random.bytes();
    app.control.record_outcome(*delivery, CountChange::default(), random).await.map(drop)
}

async fn post(app: &App, grant: DeliveryGrant, subscription: &Subscription, delivery: &Delivery) -> Outcome {
    let at = app.clock.now();
    let started = Instant::now();
    let answer = match request::build(&grant, subscription, delivery, at) {
        Some((headers, body)) => app.hooks.post(&subscription.hook_url, headers, body.into(), at).await,
        None => Err(Failure::Url),
    };
    classify(answer, at, started.elapsed())
}

/// Whether its schedule would be over by now: an event that only ever meets 429 fails in the end.
fn is_old(app: &App, delivery: &Delivery) -> bool {
    let schedule = SignedDuration::from_secs(app.config.webhook_retries.iter().sum());
    app.clock.now().duration_since(delivery.created_at) >= schedule
}

async fn record_manual(
    app: &App,
    subscription: &mut Subscription,
    mut delivery: Box<Delivery>,
    outcome: Outcome,
) -> Result<Delivery> {
    let now = app.clock.now();
    let succeeded = matches!(outcome.verdict, Verdict::Success);
    let status = if succeeded { DeliveryStatus::Delivered } else { DeliveryStatus::Failed };
    let count = report::count_of(&delivery, status);
    let (verdict, took) = (outcome.verdict, outcome.took);
    delivery.record(outcome.attempt, status, None);
    report::log(&delivery, now);
    // It may show that the endpoint works again, but counts as no failure.
    if succeeded {
        update_health(app, subscription, verdict, took, None, last_error(&delivery, now)).await?;
    }
    let [random] = app.random.bytes();
    app.control.record_outcome(*delivery, count, random).await
}

async fn record_outcome(
    app: &App,
    subscription: &mut Subscription,
    mut delivery: Box<Delivery>,
    outcome: Outcome,
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
    // Before the outcome: should one of them not be written, the delivery is still open, is
    // attempted again and classified again.
    update_health(app, subscription, verdict, took, slot, last_error(&delivery, now)).await?;
    let [random] = app.random.bytes();
    let delivery = app.control.record_outcome(*delivery, count, random).await.map(Box::new)?;
    Ok(Attempted { delivery, slot: None })
}

/// A 429 holds the endpoint; the delivery waits in line with the others, and its schedule doesn't
/// go on.
async fn record_rejection(
    app: &App,
    subscription: &mut Subscription,
    mut delivery: Box<Delivery>,
    outcome: Outcome,
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
    let slot = match app.control.take_slots(subscription, 1, now).await? {
        Slots::Taken(slots) => slots.first().copied(),
        Slots::Full | Slots::NotPaced => None,
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

/// 0..1
fn chance(app: &App) -> f64 {
    f64::from(u16::from_be_bytes(app.random.bytes())) / 65_536.0
}
