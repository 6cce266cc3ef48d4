//! Delivers queued events to their subscriptions' endpoints.
//!
//! A message is deleted from the queue when its attempt has an outcome, whatever the endpoint's
//! response. It stays in the queue only if our own stores fail. Retries wait in the queue if they
//! can; otherwise the log poller sends them again when they are due.
//!
//! There are two lanes. Each is a function with its own queue, and runs this program with another
//! `WEBHOOK_LANE`. The fast lane waits one second for an endpoint. A slower call continues after
//! the invocation's response, and the slow lane serves the endpoint until it is quick again. If an
//! endpoint hangs or keeps failing, its circuit opens and is probed. If it answers 429, the slow
//! lane calls it in the slots that its pace allows.

mod program;
mod recipients;
mod requeue;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::join_all;
pub use program::main;
use recipients::{Disposition, Recipient, Recipients};
use requeue::{
    cancel, claim, hand_over, redeliver_later, resume, wait_for_slot, wait_in_line, wait_until, withhold,
};
pub use shared::domain::Lane;
use shared::{
    app::App,
    auth::DeliveryGrant,
    control::{
        self,
        deliveries::{Claimed, Delivery},
        subscriptions::{Slots, Subscription},
    },
    domain::{RequestId, pace::Slot, webhook_event::EventMessage},
    function::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage},
    telemetry::CONTEXT,
    webhook_delivery::{self, LONGEST_CLAIM, is_unchanged, outlasts_attempt},
};
use tokio::sync::OwnedSemaphorePermit;
use tracing::{Instrument, Span};

/// The longest that a process waits for a slot; messages with later slots wait in the queue.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Returns the context of all log lines about the message.
fn context_of(lane: Lane, message: &EventMessage) -> Span {
    tracing::error_span!(
        target: CONTEXT,
        "delivery",
        Lane = lane.as_str(),
        requestId = message.request_id.as_ref().map(RequestId::as_str),
        eventId = message.event().event_id(),
        subscriptionId = message.subscription.0,
        attempt = message.attempt,
    )
}

/// Why a message stays in the queue.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("the message cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error("the queue did not accept the message")]
    NotTaken,
    #[error(transparent)]
    Control(#[from] control::Error),
}

/// Attempts the deliveries of all messages concurrently; returns those that stay in the queue.
///
/// Slow calls continue in the background of `app`.
pub async fn deliver(app: &App, lane: Lane, batch: SqsEvent) -> SqsBatchResponse {
    let parsed: Vec<(String, Result<EventMessage, Fault>)> = batch.records.into_iter().map(parse).collect();
    let recipients =
        Recipients::load(app, parsed.iter().filter_map(|(_, message)| message.as_ref().ok())).await;
    let outcomes = join_all(parsed.into_iter().map(async |(id, message)| {
        let (context, result) = match message {
            Ok(message) => {
                let context = context_of(lane, &message);
                let delivering = deliver_one(app, lane, &recipients, &message).instrument(context.clone());
                (context, delivering.await)
            }
            Err(fault) => (Span::current(), Err(fault)),
        };
        let fault = result.err()?;
        context.in_scope(|| tracing::error!(messageId = id, %fault, "a message stays in the queue"));
        Some(BatchItemFailure { item_identifier: id })
    }));
    SqsBatchResponse { batch_item_failures: outcomes.await.into_iter().flatten().collect() }
}

fn parse(record: SqsMessage) -> (String, Result<EventMessage, Fault>) {
    (record.message_id, serde_json::from_str(&record.body).map_err(Fault::from))
}

async fn deliver_one(
    app: &App,
    lane: Lane,
    recipients: &Recipients,
    message: &EventMessage,
) -> Result<(), Fault> {
    let Some(recipient) = recipients.of(message) else { return Ok(()) };
    let started = Instant::now();
    let mut slot = message.slot;
    loop {
        if let Some(slot) = slot {
            let wait = wait_of(app, &slot);
            if wait > LONGEST_WAIT || started.elapsed() > app.config.timeouts.slot_search {
                recipient.decided();
                return wait_for_slot(app, message, slot).await;
            }
            tokio::time::sleep(wait).await;
        }
        let Some(place) = recipient.place().await else {
            // A call of the batch is slow; do not wait for it.
            recipient.decided();
            return hand_over(app, message).await;
        };
        let since = Instant::now();
        let disposition = recipient.disposition(app, lane, message, slot.as_ref()).await?;
        if let Disposition::Attempt(subscription, grant) = disposition {
            recipient.decided();
            let place = Some(place);
            let begun = Begun { app: app.clone(), message: message.clone(), recipient, place, since };
            return attempt(lane, begun, subscription, grant, slot).await;
        }
        // The others are not called, so they need not take turns.
        drop(place);
        match disposition {
            Disposition::SlowLane => return hand_over(app, message).await,
            Disposition::Wait(until) => return wait_until(app, message, until).await,
            Disposition::Withhold(reason) => return withhold(app, message, reason).await,
            Disposition::Unwanted => return cancel(app, message).await,
            Disposition::Attempt(..) | Disposition::NeedsSlot => (),
        }
        slot = match recipient.slot(app).await? {
            Slots::Taken(slots) => slots.first().copied(),
            Slots::Full => {
                recipient.decided();
                return wait_in_line(app, message).await;
            }
            Slots::NotPaced => None,
        };
    }
}

fn wait_of(app: &App, slot: &Slot) -> Duration {
    let wait = slot.instant().duration_since(app.clock.now());
    Duration::try_from(wait).unwrap_or_default()
}

/// The state of an attempt, which may outlive its batch.
struct Begun {
    app: App,
    message: EventMessage,
    recipient: Arc<Recipient>,
    /// Held until the endpoint has responded.
    place: Option<OwnedSemaphorePermit>,
    /// When the subscription was known to ask for the event.
    since: Instant,
}

async fn attempt(
    lane: Lane,
    begun: Begun,
    mut subscription: Box<Subscription>,
    grant: DeliveryGrant,
    slot: Option<Slot>,
) -> Result<(), Fault> {
    let (app, message) = (begun.app.clone(), begun.message.clone());
    let delivery = match claim(&app, &message).await? {
        Claimed::Yes(delivery) => delivery,
        Claimed::Done(_) => return Ok(()),
        Claimed::Busy(until) => return redeliver_later(&app, &message, until).await,
    };
    let known = begun.since.elapsed() <= LONGEST_CLAIM
        || is_unchanged(&app, &subscription).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "a subscription could not be read again");
            false
        });
    let now = app.clock.now();
    if !known || !outlasts_attempt(&delivery, now) {
        app.control.put_back(&delivery, now).await?;
        return redeliver_later(&app, &message, now).await;
    }
    let called = Arc::new(AtomicBool::new(false));
    if lane == Lane::Slow {
        return begun.finish(&mut subscription, grant, delivery, slot, &called).await;
    }
    let (claimed, recipient, mut known) = (delivery.clone(), begun.recipient.clone(), subscription.clone());
    let until_answered = called.clone();
    let mut finishing =
        Box::pin(async move { begun.finish(&mut subscription, grant, delivery, slot, &called).await });
    if let Ok(result) = tokio::time::timeout(app.config.timeouts.quick_answer, &mut finishing).await {
        return result;
    }
    if until_answered.load(Ordering::Relaxed) {
        // Our own stores are slow, not the endpoint.
        return finishing.await;
    }
    recipient.close();
    // Do not abandon the call: it would be sent again, although the endpoint may be about to
    // respond.
    let now = app.clock.now();
    tracing::info!(deliveryId = claimed.id.0, "the endpoint is slow; it moves to the slow lane");
    let finished = async move {
        if let Err(fault) = finishing.await {
            tracing::error!(%fault, "an outcome was not recorded; the poller will retry the delivery");
        }
    };
    app.background.spawn(finished.in_current_span());
    match app.control.outlive_message(&claimed).await {
        // The outcome was already recorded.
        Ok(()) | Err(control::Error::ConditionFailed) => (),
        Err(error) => return Err(error.into()),
    }
    app.control.note_slow(&mut known, now).await?;
    recipient.learn(&known);
    Ok(())
}

impl Begun {
    /// Calls the endpoint and records the outcome.
    async fn finish(
        self,
        subscription: &mut Subscription,
        grant: DeliveryGrant,
        delivery: Box<Delivery>,
        slot: Option<Slot>,
        called: &AtomicBool,
    ) -> Result<(), Fault> {
        let Self { app, message, recipient, place, since: _ } = self;
        let attempted = webhook_delivery::attempt(&app, grant, subscription, delivery, slot, called).await?;
        recipient.learn(subscription);
        drop(place);
        resume(&app, &message, attempted).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use shared::{config::Timeouts, control::deliveries::busy_until};

    use super::*;

    #[test]
    fn an_attempt_that_found_its_slot_late_ends_before_the_function_times_out() {
        // The template's `Timeout`.
        let function = Duration::from_mins(1);
        let begins = Timeouts::default().slot_search + LONGEST_WAIT;
        // An attempt ends before its claim.
        let now = Timestamp::UNIX_EPOCH;
        let ends = begins + busy_until(now).duration_since(now).unsigned_abs();
        assert!(ends + Duration::from_secs(5) <= function, "{ends:?}");
    }
}
