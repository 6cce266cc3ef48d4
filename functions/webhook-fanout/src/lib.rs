//! Takes events from the queue and carries each to its subscription's endpoint.
//!
//! A message is taken off the queue when its attempt has an outcome, whatever the endpoint answered; only what our own
//! stores could not do is left in the queue. A retry waits in the queue if it can, else the log poller brings it back.
//!
//! There are two lanes, each a function with a queue of its own. An endpoint that doesn't answer the fast lane in time is
//! served by the slow one until it is quick again; one that hangs or only fails is parked and probed.

mod recipients;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use futures::future::join_all;
use jiff::Timestamp;
use recipients::{Course, Recipients};
use shared::{
    app::App,
    control::{
        self,
        deliveries::{Claimed, Delivery, busy_until},
        queue::Message,
    },
    courier::{self, Attempted},
    domain::{
        RequestId,
        delivery::{DeliveryStatus, WithheldReason},
        webhook_event::EventMessage,
    },
    telemetry::CONTEXT,
};
use std::time::Duration;
use tracing::{Instrument, Span};

/// SQS holds a message back for no longer; a retry that waits longer is found by its time.
const LONGEST_DELAY_SECONDS: i64 = 900;
/// What waits for the same endpoint comes back spread over this share of its wait.
const SPREAD: f64 = 0.25;

/// How long an endpoint may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// No longer than a quick endpoint: whatever else is in the batch waits at most so long.
    Fast,
    /// As long as partners are promised.
    Slow,
}

impl Lane {
    fn limit(self, app: &App) -> Option<Duration> {
        (self == Self::Fast).then_some(app.config.timeouts.quick_answer)
    }

    /// What every line about the message tells.
    fn context(self, message: &EventMessage) -> Span {
        tracing::error_span!(
            target: CONTEXT,
            "delivery",
            Lane = match self {
                Self::Fast => "fast",
                Self::Slow => "slow",
            },
            requestId = message.request_id.as_ref().map(RequestId::as_str),
            eventId = message.event().event_id(),
            subscriptionId = message.subscription.0,
            attempt = message.attempt,
        )
    }
}

/// Why a message is left in the queue.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("the message can't be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error("the queue didn't take the message back")]
    NotTaken,
    #[error(transparent)]
    Control(#[from] control::Error),
}

/// Attempts every message's delivery, all at the same time; names those that are to stay in the queue.
pub async fn deliver(app: &App, lane: Lane, batch: SqsEvent) -> SqsBatchResponse {
    let parsed: Vec<(String, Result<EventMessage, Fault>)> = batch.records.into_iter().map(parse).collect();
    let recipients =
        Recipients::load(app, parsed.iter().filter_map(|(_, message)| message.as_ref().ok())).await;
    let outcomes = join_all(parsed.into_iter().map(async |(id, message)| {
        let (context, result) = match message {
            Ok(message) => {
                let context = lane.context(&message);
                let delivering = deliver_one(app, lane, &recipients, &message).instrument(context.clone());
                (context, delivering.await)
            }
            Err(fault) => (Span::current(), Err(fault)),
        };
        let fault = result.err()?;
        context.in_scope(|| tracing::error!(messageId = id, %fault, "a message stays in the queue"));
        let mut failure = BatchItemFailure::default();
        failure.item_identifier = id;
        Some(failure)
    }));
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = outcomes.await.into_iter().flatten().collect();
    response
}

fn parse(record: SqsMessage) -> (String, Result<EventMessage, Fault>) {
    let message = serde_json::from_str(record.body.as_deref().unwrap_or_default());
    (record.message_id.unwrap_or_default(), message.map_err(Fault::from))
}

async fn deliver_one(
    app: &App,
    lane: Lane,
    recipients: &Recipients,
    message: &EventMessage,
) -> Result<(), Fault> {
    let Some(recipient) = recipients.of(message) else { return Ok(()) };
    let _place = recipient.place().await;
    let (mut subscription, grant) = match recipient.course(app, lane, message).await? {
        Course::Attempt(subscription, grant) => (subscription, grant),
        Course::SlowLane => return hand_over(app, message).await,
        Course::Wait(until) => return park(app, message, until).await,
        Course::Withhold(reason) => return withhold(app, message, reason).await,
        Course::Unwanted => return cancel(app, message).await,
    };
    let delivery = match claim(app, message).await? {
        Claimed::Yes(delivery) => delivery,
        Claimed::Done(_) => return Ok(()),
        Claimed::Busy(until) => return come_back(app, message, until).await,
    };
    match courier::attempt(app, grant, &mut subscription, delivery, lane.limit(app)).await? {
        Attempted::Ended(delivery) => {
            recipient.learn(&subscription);
            retry_soon(app, message, &delivery).await;
            Ok(())
        }
        Attempted::Unanswered(delivery) => {
            let now = app.clock.now();
            tracing::info!(deliveryId = delivery.id.0, "moved to the slow lane");
            app.control.note_slow(&mut subscription, now).await?;
            recipient.learn(&subscription);
            // Should the message be lost on its way, the delivery is found by its time.
            app.control.put_back(&delivery, now).await?;
            hand_over(app, message).await
        }
    }
}

async fn claim(app: &App, message: &EventMessage) -> control::Result<Claimed> {
    let now = app.clock.now();
    if message.attempt > 1 {
        return app.control.claim_again(&Delivery::key_of_message(message), message.attempt, now).await;
    }
    let id = app.control.next_delivery_id().await?;
    app.control.claim_first(Delivery::of_event(message, id, now), now).await
}

async fn hand_over(app: &App, message: &EventMessage) -> Result<(), Fault> {
    let accepted = app.queue.send_slowly(Message::of_event(message, 0)?).await?;
    if accepted { Ok(()) } else { Err(Fault::NotTaken) }
}

/// Puts the delivery on record as cancelled for want of access, in every lane and before every attempt.
async fn withhold(app: &App, message: &EventMessage, reason: WithheldReason) -> Result<(), Fault> {
    match claim(app, message).await? {
        Claimed::Yes(delivery) => Ok(courier::withhold(app, delivery, reason).await?),
        Claimed::Done(_) => Ok(()),
        Claimed::Busy(until) => come_back(app, message, until).await,
    }
}

/// Ends the delivery, also before the second attempt: the first may have died with its process.
async fn cancel(app: &App, message: &EventMessage) -> Result<(), Fault> {
    let (status, now) = (DeliveryStatus::Cancelled, app.clock.now());
    let ended = app.control.give_up_delivery(&Delivery::key_of_message(message), status, now).await?;
    if ended { Ok(()) } else { come_back(app, message, busy_until(now)).await }
}

/// Puts the delivery on record as one that waits, and its message back into the queue.
async fn park(app: &App, message: &EventMessage, until: Timestamp) -> Result<(), Fault> {
    let delivery = match claim(app, message).await? {
        Claimed::Yes(delivery) => delivery,
        Claimed::Done(_) => return Ok(()),
        Claimed::Busy(until) => return come_back(app, message, until).await,
    };
    let now = app.clock.now();
    let wait = until.duration_since(now).as_secs_f64().max(1.0);
    let after = |share: f64| now.saturating_add(Duration::from_secs_f64(wait * share)).unwrap_or(until);
    // Later than any message waits for a parked endpoint is what the log poller put off: it did so for this message.
    let by_another = |next: &Timestamp| (now..=after(1.0 + SPREAD)).contains(next);
    if let Some(put_off) = delivery.next_attempt_at.filter(by_another) {
        // By another message of this attempt: one is enough, or they would grow in number as long as the endpoint is parked.
        return Ok(app.control.put_back(&delivery, put_off).await?);
    }
    let [random] = app.random.bytes();
    let until = after(SPREAD.mul_add(f64::from(random) / 256.0, 1.0));
    app.control.put_back(&delivery, until).await?;
    if !send_at(app, message, until).await {
        tracing::warn!(
            deliveryId = delivery.id.0,
            "what is parked is not in the queue; it is found by its time"
        );
    }
    Ok(())
}

/// Another process is at the delivery; should it die, the attempt is due after its claim. Left in the queue the message would
/// come back sooner than that, and often enough to be given up.
async fn come_back(app: &App, message: &EventMessage, until: Timestamp) -> Result<(), Fault> {
    if send_at(app, message, until).await { Ok(()) } else { Err(Fault::NotTaken) }
}

/// Puts the next attempt into the queue when it is near. Should that fail, the attempt is found by its time instead.
async fn retry_soon(app: &App, message: &EventMessage, delivery: &Delivery) {
    let Some(next) = delivery.next_attempt_at else { return };
    let retry = message.again(delivery.attempts + 1);
    if seconds_until(app, next) <= LONGEST_DELAY_SECONDS && !send_at(app, &retry, next).await {
        tracing::warn!(deliveryId = delivery.id.0, "a retry is not in the queue; it is found by its time");
    }
}

/// Whether the queue took the message, to be received at `at` or in a quarter of an hour.
async fn send_at(app: &App, message: &EventMessage, at: Timestamp) -> bool {
    let delay = seconds_until(app, at).min(LONGEST_DELAY_SECONDS);
    let message = Message::of_event(message, i32::try_from(delay).unwrap_or_default());
    match message {
        Ok(message) => app.queue.send(&[message]).await.is_ok_and(|accepted| accepted == [true]),
        Err(_) => false,
    }
}

fn seconds_until(app: &App, at: Timestamp) -> i64 {
    let wait = at.duration_since(app.clock.now()).as_secs_f64().ceil().max(0.0);
    #[allow(clippy::cast_possible_truncation)] // a schedule's waits are hours at most
    let wait = wait as i64;
    wait
}
