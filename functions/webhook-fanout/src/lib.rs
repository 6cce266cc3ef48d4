//! Takes events from the queue and carries each to its subscription's endpoint.
//!
//! A message is taken off the queue when its attempt has an outcome, whatever the endpoint answered; only what our own
//! stores could not do is left in the queue. A retry waits in the queue if it can, else the log poller brings it back.

use std::collections::HashMap;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use futures::future::join_all;
use shared::{
    app::App,
    control::{
        self,
        deliveries::{Claimed, Delivery},
        queue::Message,
        subscriptions::Subscription,
    },
    courier::{self, Retries},
    domain::{
        PracticePass,
        delivery::DeliveryStatus,
        ids::{PartnerId, SubscriptionId},
        webhook_event::EventMessage,
    },
};

/// SQS holds a message back for no longer; a retry that waits longer is found by its time.
const LONGEST_DELAY_SECONDS: i64 = 900;

/// Why a message is left in the queue.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("the message can't be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error("another process is at this delivery")]
    Busy,
    #[error(transparent)]
    Control(#[from] control::Error),
}

/// The subscriptions of a batch, read once each.
type Subscriptions = HashMap<(PracticePass, PartnerId), Result<Option<Subscription>, String>>;

/// Attempts every message's delivery, all at the same time; names those that are to stay in the queue.
pub async fn deliver(app: &App, batch: SqsEvent) -> SqsBatchResponse {
    let parsed: Vec<(String, Result<EventMessage, Fault>)> = batch.records.into_iter().map(parse).collect();
    let subscriptions = load(app, parsed.iter().filter_map(|(_, message)| message.as_ref().ok())).await;
    let outcomes = join_all(parsed.into_iter().map(async |(id, message)| {
        let result = match message {
            Ok(message) => deliver_one(app, &subscriptions, &message).await,
            Err(fault) => Err(fault),
        };
        (id, result)
    }));
    let mut failures = Vec::new();
    for (id, result) in outcomes.await {
        if let Err(fault) = result {
            tracing::error!(message = id, %fault, "a message stays in the queue");
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = id;
            failures.push(failure);
        }
    }
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = failures;
    response
}

fn parse(record: SqsMessage) -> (String, Result<EventMessage, Fault>) {
    let message = serde_json::from_str(record.body.as_deref().unwrap_or_default());
    (record.message_id.unwrap_or_default(), message.map_err(Fault::from))
}

async fn load<'a>(app: &App, messages: impl Iterator<Item = &'a EventMessage>) -> Subscriptions {
    let keys: std::collections::HashSet<_> =
        messages.map(|message| (message.practicepass().clone(), message.partner.clone())).collect();
    let loaded = keys.into_iter().map(async |key| {
        let found = app.control.subscription(&key.0, &key.1).await.map_err(|error| error.to_string());
        (key, found)
    });
    join_all(loaded).await.into_iter().collect()
}

async fn deliver_one(app: &App, subscriptions: &Subscriptions, message: &EventMessage) -> Result<(), Fault> {
    let key = (message.practicepass().clone(), message.partner.clone());
    let subscription = match subscriptions.get(&key) {
        Some(Ok(found)) => found.as_ref().filter(|it| wants(it, message)),
        Some(Err(reason)) => {
            return Err(control::Error::Unavailable { service: "DynamoDB", reason: reason.clone() }.into());
        }
        None => None,
    };
    let event = message.event();
    let Some(subscription) = subscription else {
        // Also before the second attempt: the first may have died with its process.
        let key = Delivery::key_of(message.practicepass(), message.subscription, event.log_id);
        let (status, now) = (DeliveryStatus::Cancelled, app.clock.now());
        let ended = app.control.give_up_delivery(&key, status, now).await?;
        return if ended { Ok(()) } else { Err(Fault::Busy) };
    };
    let claimed = claim(app, message).await?;
    let delivery = match claimed {
        Claimed::Yes(delivery) => delivery,
        Claimed::Done(_) => return Ok(()),
        Claimed::Busy => return Err(Fault::Busy),
    };
    let delivery = courier::attempt(app, subscription, delivery, Retries::Scheduled).await?;
    retry_soon(app, message, &delivery).await;
    Ok(())
}

/// Whether the subscription is still the one the message was made for, and still asks for such events.
fn wants(subscription: &Subscription, message: &EventMessage) -> bool {
    let SubscriptionId(id) = message.subscription;
    subscription.is_active()
        && subscription.id.0 == id
        && subscription.generation == message.generation
        && subscription.scopes.contains(&message.event().event)
}

async fn claim(app: &App, message: &EventMessage) -> control::Result<Claimed> {
    let now = app.clock.now();
    if message.attempt > 1 {
        let key = Delivery::key_of(message.practicepass(), message.subscription, message.event().log_id);
        return app.control.claim_again(&key, message.attempt, now).await;
    }
    let id = app.control.next_delivery_id().await?;
    app.control.claim_first(Delivery::of_event(message, id, now), now).await
}

/// Puts the next attempt into the queue when it is near. Should that fail, the attempt is found by its time instead.
async fn retry_soon(app: &App, message: &EventMessage, delivery: &Delivery) {
    let Some(next) = delivery.next_attempt_at else { return };
    let wait = next.duration_since(app.clock.now()).as_secs_f64().ceil().max(0.0);
    #[allow(clippy::cast_possible_truncation)] // a schedule's waits are hours at most
    let wait = wait as i64;
    if wait > LONGEST_DELAY_SECONDS {
        return;
    }
    let retry = message.again(delivery.attempts + 1);
    let delay = i32::try_from(wait).unwrap_or_default();
    let sent = match Message::of_event(&retry, delay) {
        Ok(retry) => app.queue.send(&[retry]).await.is_ok_and(|accepted| accepted == [true]),
        Err(_) => false,
    };
    if !sent {
        tracing::warn!(delivery = delivery.id.0, "a retry is not in the queue; it is found by its time");
    }
}
