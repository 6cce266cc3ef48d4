//! Messages whose delivery is not attempted now: returned to a queue, or removed.

use std::time::Duration;

use jiff::Timestamp;
use shared::{
    app::App,
    control::{
        self,
        deliveries::{Claimed, Delivery, busy_until},
        queue::Message,
    },
    domain::{
        delivery::{DeliveryStatus, WithheldReason},
        pace::Slot,
        webhook_event::EventMessage,
    },
    webhook_delivery::{self, Attempted},
};

use crate::Fault;

/// The longest delay of SQS. The log poller sends retries with longer waits when they are due.
const LONGEST_DELAY_SECONDS: i64 = 900;
/// Deliveries that wait for the same endpoint return spread over this share of the wait.
const SPREAD: f64 = 0.25;
/// The longest wait for an open circuit whose endpoint requested none, spread included.
const LONGEST_OPEN_SECONDS: f64 = 750.0;
/// The wait of deliveries that found no slot, including the hold. No slot is further ahead.
const LINE_SECONDS: f64 = 600.0;

pub(crate) async fn claim(app: &App, message: &EventMessage) -> control::Result<Claimed> {
    if message.attempt > 1 {
        return claim_again(app, message).await;
    }
    let id = app.control.next_delivery_id().await?;
    let now = app.clock.now();
    app.control.claim_first(Delivery::of_event(message, id, now), now).await
}

async fn claim_again(app: &App, message: &EventMessage) -> control::Result<Claimed> {
    let (key, claimant) = (Delivery::key_of_message(message), i64::from_be_bytes(app.random.bytes()));
    app.control.claim_again(&key, message.attempt, claimant, app.clock.now()).await
}

pub(crate) async fn hand_over(app: &App, message: &EventMessage) -> Result<(), Fault> {
    let accepted = app.queue.send_slowly(Message::of_event(message, 0)?).await?;
    if accepted { Ok(()) } else { Err(Fault::NotTaken) }
}

/// Records the delivery as canceled for lack of access, in every lane and before every attempt.
pub(crate) async fn withhold(app: &App, message: &EventMessage, reason: WithheldReason) -> Result<(), Fault> {
    match claim(app, message).await? {
        Claimed::Yes(delivery) => Ok(webhook_delivery::withhold(app, delivery, reason).await?),
        Claimed::Done(_) => Ok(()),
        Claimed::Busy(until) => redeliver_later(app, message, until).await,
    }
}

/// Ends the delivery, even before a second attempt: the first may have died with its process.
pub(crate) async fn cancel(app: &App, message: &EventMessage) -> Result<(), Fault> {
    let (status, now) = (DeliveryStatus::Cancelled, app.clock.now());
    let ended = app.control.give_up_delivery(&Delivery::key_of_message(message), status, now).await?;
    if ended { Ok(()) } else { redeliver_later(app, message, busy_until(now)).await }
}

/// Records that the delivery waits, and returns its message to the queue.
pub(crate) async fn wait_until(app: &App, message: &EventMessage, until: Timestamp) -> Result<(), Fault> {
    let now = app.clock.now();
    let wait = until.duration_since(now).as_secs_f64().max(1.0);
    let after = |share: f64| now.saturating_add(Duration::from_secs_f64(wait * share)).unwrap_or(until);
    // A delivery that is due later than any message waits for an open circuit was postponed by the
    // log poller, for this message. Longer waits have no message.
    let longest = now.saturating_add(Duration::from_secs_f64(LONGEST_OPEN_SECONDS)).unwrap_or(until);
    let latest = after(1.0 + SPREAD).min(longest);
    let until = after(SPREAD.mul_add(random_share(app), 1.0));
    let Some(delivery) = postpone(app, message, until, latest).await? else { return Ok(()) };
    let soon = seconds_until(app, until) <= LONGEST_DELAY_SECONDS;
    if soon && !send_at(app, message, until).await {
        tracing::warn!(
            deliveryId = delivery.id.0,
            "a waiting delivery is not in the queue; the poller sends it when it is due"
        );
    }
    Ok(())
}

/// Records that the delivery waits for its slot, and sends its message to the slow lane.
pub(crate) async fn wait_for_slot(app: &App, message: &EventMessage, slot: Slot) -> Result<(), Fault> {
    let now = app.clock.now();
    let longest = now.saturating_add(Duration::from_secs_f64(LINE_SECONDS)).unwrap_or(now);
    let Some(delivery) = postpone(app, message, slot.instant(), longest).await? else { return Ok(()) };
    send_in_slot(app, &message.in_slot(Some(slot)), &slot, &delivery).await;
    Ok(())
}

/// Records that the delivery waits for free slots. The log poller sends it when it is due.
pub(crate) async fn wait_in_line(app: &App, message: &EventMessage) -> Result<(), Fault> {
    let now = app.clock.now();
    let partner = (message.practicepass(), &message.partner);
    let subscription = app.control.subscription(partner.0, partner.1).await?;
    let held = subscription.and_then(|it| it.breaker.held_until(now)).unwrap_or(now);
    let longest = now.saturating_add(Duration::from_secs_f64(LINE_SECONDS)).unwrap_or(now);
    // Spread the returns over the last quarter of the line, so that its end is never empty.
    let ahead = LINE_SECONDS * SPREAD.mul_add(-random_share(app), 1.0);
    let turn = now.saturating_add(Duration::from_secs_f64(ahead)).unwrap_or(held);
    postpone(app, message, turn.max(held), longest).await.map(drop)
}

/// Records that the delivery waits until `until`, unless another message exists for the same
/// attempt.
///
/// One message is enough: otherwise they would multiply while the endpoint is not called. The other
/// message is due at `latest` or earlier.
async fn postpone(
    app: &App,
    message: &EventMessage,
    until: Timestamp,
    latest: Timestamp,
) -> Result<Option<Box<Delivery>>, Fault> {
    let now = app.clock.now();
    if message.attempt == 1 {
        let id = app.control.next_delivery_id().await?;
        let new = Delivery::of_event(message, id, now);
        if let Some(created) = app.control.create_waiting(new, until).await? {
            return Ok(Some(Box::new(created)));
        }
    }
    let delivery = match claim_again(app, message).await? {
        Claimed::Yes(delivery) => delivery,
        Claimed::Done(_) => return Ok(None),
        Claimed::Busy(until) => {
            redeliver_later(app, message, until).await?;
            return Ok(None);
        }
    };
    let own = message.slot.map(|slot| slot.instant());
    let by_another = |next: &Timestamp| (now..=latest).contains(next) && own != Some(*next);
    let put_off = delivery.next_attempt_at.filter(by_another);
    app.control.put_back(&delivery, put_off.unwrap_or(until)).await?;
    Ok(put_off.is_none().then_some(delivery))
}

/// Sends the message again, to arrive when another process's claim has ended.
///
/// If that process dies, the attempt is due then. A message left in the queue would return sooner,
/// and often enough to become a dead letter.
pub(crate) async fn redeliver_later(
    app: &App,
    message: &EventMessage,
    until: Timestamp,
) -> Result<(), Fault> {
    if send_at(app, message, until).await { Ok(()) } else { Err(Fault::NotTaken) }
}

/// Sends the next attempt's message if the attempt is near.
///
/// If sending fails, the log poller sends it when it is due.
pub(crate) async fn resume(app: &App, message: &EventMessage, attempted: Attempted) {
    let Attempted { delivery, slot } = attempted;
    let Some(next) = delivery.next_attempt_at else { return };
    let retry = message.again(delivery.attempts + 1);
    if let Some(slot) = slot {
        return send_in_slot(app, &retry.in_slot(Some(slot)), &slot, &delivery).await;
    }
    if seconds_until(app, next) <= LONGEST_DELAY_SECONDS && !send_at(app, &retry, next).await {
        tracing::warn!(
            deliveryId = delivery.id.0,
            "a retry is not in the queue; the poller sends it when it is due"
        );
    }
}

/// Sends a message to the slow lane, to arrive shortly before its slot.
///
/// A process waits for the rest of the time.
async fn send_in_slot(app: &App, message: &EventMessage, slot: &Slot, delivery: &Delivery) {
    let delay = slot.instant().duration_since(app.clock.now()).as_secs().clamp(0, LONGEST_DELAY_SECONDS);
    let message = Message::of_event(message, i32::try_from(delay).unwrap_or_default());
    let accepted = match message {
        Ok(message) => app.queue.send_slowly(message).await.is_ok_and(|accepted| accepted),
        Err(_) => false,
    };
    if !accepted {
        tracing::warn!(
            deliveryId = delivery.id.0,
            "a slot is not in the queue; the poller sends it when it is due"
        );
    }
}

/// Sends a message to arrive at `at`, but within 15 minutes; returns whether it was accepted.
async fn send_at(app: &App, message: &EventMessage, at: Timestamp) -> bool {
    let delay = seconds_until(app, at).min(LONGEST_DELAY_SECONDS);
    let message = Message::of_event(message, i32::try_from(delay).unwrap_or_default());
    match message {
        Ok(message) => app.queue.send_one(message).await.is_ok_and(|accepted| accepted),
        Err(_) => false,
    }
}

fn seconds_until(app: &App, at: Timestamp) -> i64 {
    let wait = at.duration_since(app.clock.now()).as_secs_f64().ceil().max(0.0);
    #[allow(clippy::cast_possible_truncation)] // a schedule's waits are hours at most
    let wait = wait as i64;
    wait
}

/// Returns a random number in 0..1.
fn random_share(app: &App) -> f64 {
    let [random] = app.random.bytes();
    f64::from(random) / 256.0
}
