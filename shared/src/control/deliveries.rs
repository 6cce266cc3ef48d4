//! Webhook deliveries: one for each event and subscription, and one for each test and retry by
//! hand.

mod claims;
mod due;
mod feed;
mod outcomes;
mod queries;
mod replay;
mod source;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use claims::{Claimed, busy_until};
pub use feed::FeedPage;
pub(super) use outcomes::Outcomes;
pub use outcomes::{CountChange, DeliveryCounts};
pub use queries::{DeliveryPage, DeliveryPosition};

use super::{
    Result, instant,
    store::{Item, to_item},
    subscriptions::Subscription,
};
use crate::domain::{
    PracticePass, RequestId,
    delivery::{DeliveryStatus, Payload, WithheldReason},
    ids::{DeliveryId, PartnerId, SubscriptionId},
    webhook_event::{EventMessage, EventNumber},
};

/// A delivery is kept for 30 days.
const RETENTION: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Keys of deliveries made by hand begin so; no practice has this name.
const BY_HAND: &str = "D#*#";
/// So many attempts are remembered with their answers: all of the schedule.
const ATTEMPTS_KEPT: usize = crate::domain::delivery::SCHEDULE.len() + 1;

/// What partners are told of an attempt whose process died.
const CUT_OFF: &str =
    "the attempt was cut off before its outcome was known; the endpoint may have received it";

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// One attempt and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_code: Option<u16>,
    /// `None`: it was cut off, nobody knows when.
    pub duration_ms: Option<u64>,
    /// Why there was no answer, or none that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// The beginning of the answer to an attempt that failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub answer: String,
}

/// Table Deliveries; `byPractice`: practice / partner, outcome, id; `feed`: `FEED#<shard>` /
/// outcome, id; `due`, only while an attempt is to come or, by hand, under way: `DUE#<shard>` / its
/// time. Shards go by the id. A delivery is in no list before its first attempt has ended or been
/// put off: what is written once in each index is paid for once. The indexes hold all but
/// `history`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// `D#<PPass>#<subscription>#<log id>`, with `<epoch>.` before the id after the log began anew:
    /// an event goes to a subscription once. `…#<replay>`: once more in each replay. `D#*#<id>`: a
    /// test or a retry by hand.
    #[serde(rename = "pk")]
    pub key: String,
    pub id: DeliveryId,
    pub subscription_id: SubscriptionId,
    pub generation: i64,
    pub partner_id: PartnerId,
    pub practicepass: PracticePass,
    pub payload: Payload,
    /// The replay that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<String>,
    /// Of the call that the event comes from, or of the poll that found it in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    pub status: DeliveryStatus,
    /// Why it was withheld, with status `cancelled`. As long as it has a next attempt, that checks
    /// access anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withheld: Option<WithheldReason>,
    /// Attempts that have ended and count in the schedule.
    pub attempts: u32,
    /// Further attempts: the endpoint answered 429, or they were cut off.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unscheduled: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_code: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    #[serde(with = "instant")]
    pub created_at: Timestamp,
    #[serde(default, with = "instant::optional", skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Timestamp>,
    /// The process that attempts it has until then (Unix milliseconds); the value also fences its
    /// outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) claimed_until: Option<i64>,
    /// The newest last; only the newest of those that failed has the endpoint's answer.
    #[serde(default)]
    pub history: Vec<Attempt>,
}

impl Delivery {
    /// The delivery of an event that is to be sent now.
    pub fn of_event(message: &EventMessage, id: DeliveryId, now: Timestamp) -> Self {
        let event = message.event();
        let new = Self::new(
            Self::key_of_message(message),
            id,
            (message.subscription, message.generation, message.partner.clone()),
            Payload::from(&event),
            now,
        );
        Self { replay: message.replay.clone(), request_id: message.request_id.clone(), ..new }
    }

    /// The message of the delivery's next attempt; `None` for what is no event, which never waits.
    pub fn next_message(&self) -> Option<EventMessage> {
        let event = self.payload.event()?;
        let (subscription, generation, partner) =
            (self.subscription_id, self.generation, self.partner_id.clone());
        let mut message = EventMessage::new(event, subscription, generation, partner, self.attempts + 1);
        message.replay.clone_from(&self.replay);
        message.request_id.clone_from(&self.request_id);
        Some(message)
    }

    /// A delivery made by hand.
    pub fn manual(
        id: DeliveryId,
        subscription: &Subscription,
        payload: Payload,
        request_id: Option<RequestId>,
        now: Timestamp,
    ) -> Self {
        let to = (subscription.id, subscription.generation, subscription.partner_id.clone());
        Self { request_id, ..Self::new(format!("{BY_HAND}{id}"), id, to, payload, now) }
    }

    /// Whether it was made by hand: no message of the queue stands behind it.
    pub fn is_manual(&self) -> bool {
        self.key.starts_with(BY_HAND)
    }

    fn new(
        key: String,
        id: DeliveryId,
        (subscription_id, generation, partner_id): (SubscriptionId, i64, PartnerId),
        payload: Payload,
        now: Timestamp,
    ) -> Self {
        Self {
            key,
            id,
            subscription_id,
            generation,
            partner_id,
            practicepass: payload.practicepass.clone(),
            payload,
            replay: None,
            request_id: None,
            status: DeliveryStatus::Pending,
            withheld: None,
            attempts: 0,
            unscheduled: 0,
            status_code: None,
            error_message: None,
            duration_ms: None,
            created_at: now,
            next_attempt_at: None,
            claimed_until: None,
            history: Vec::new(),
        }
    }

    pub fn key_of(
        practicepass: &PracticePass,
        subscription: SubscriptionId,
        event: impl Into<EventNumber>,
    ) -> String {
        format!("D#{practicepass}#{subscription}#{}", event.into())
    }

    pub fn key_of_message(message: &EventMessage) -> String {
        let key = Self::key_of(message.practicepass(), message.subscription, message.event().number());
        match &message.replay {
            Some(replay) => format!("{key}#{replay}"),
            None => key,
        }
    }

    pub fn succeeded(&self) -> bool {
        self.status == DeliveryStatus::Delivered
    }

    /// Whether an attempt may still follow; for a withheld one, if access returns in time.
    pub fn awaits_attempt(&self) -> bool {
        self.status.is_open() || (self.withheld.is_some() && self.next_attempt_at.is_some())
    }

    /// Cancels it without an attempt. At `next`, if any, access is checked anew.
    pub fn withhold(&mut self, reason: WithheldReason, next: Option<Timestamp>) {
        self.status = DeliveryStatus::Cancelled;
        self.withheld = Some(reason);
        self.error_message = Some(reason.explain().to_owned());
        self.next_attempt_at = next;
    }

    /// All attempts so far.
    pub fn attempts_made(&self) -> u32 {
        self.attempts + self.unscheduled
    }

    /// Cancels it because the retry with this id brought the event to the endpoint.
    pub fn supersede(&mut self, retry: DeliveryId) {
        self.withhold(WithheldReason::DeliveredByRetry, None);
        self.error_message = Some(format!("not sent again: retry {retry} was delivered"));
    }

    /// Takes up what came of an attempt of the schedule.
    pub fn record(&mut self, attempt: Attempt, status: DeliveryStatus, next_attempt_at: Option<Timestamp>) {
        self.attempts += 1;
        self.take_up(attempt, status, next_attempt_at);
    }

    /// Takes up an attempt that the schedule doesn't count: the endpoint answered 429. The next one
    /// is at `next_attempt_at`.
    pub fn record_rejected(&mut self, attempt: Attempt, next_attempt_at: Timestamp) {
        self.unscheduled += 1;
        self.take_up(attempt, DeliveryStatus::Retrying, Some(next_attempt_at));
    }

    /// Takes up that the process died whose claim ended at `claimed_until` (Unix milliseconds).
    fn record_cut_off(&mut self, claimed_until: i64) {
        self.unscheduled += 1;
        let at = Timestamp::from_millisecond(claimed_until).unwrap_or(self.created_at);
        self.remember(Attempt {
            at: at.saturating_sub(claims::CLAIMED_FOR).unwrap_or(self.created_at),
            status_code: None,
            duration_ms: None,
            error_message: Some(CUT_OFF.to_owned()),
            answer: String::new(),
        });
    }

    fn take_up(&mut self, attempt: Attempt, status: DeliveryStatus, next_attempt_at: Option<Timestamp>) {
        self.status = status;
        self.withheld = None;
        self.status_code = attempt.status_code;
        self.error_message.clone_from(&attempt.error_message);
        self.duration_ms = attempt.duration_ms;
        self.next_attempt_at = next_attempt_at;
        self.remember(attempt);
    }

    fn remember(&mut self, attempt: Attempt) {
        if !attempt.answer.is_empty() {
            // It is the largest thing in a record, and each write of the record pays for it again.
            self.history.iter_mut().for_each(|earlier| earlier.answer.clear());
        }
        self.history.push(attempt);
        let surplus = self.history.len().saturating_sub(ATTEMPTS_KEPT);
        self.history.drain(..surplus);
    }

    /// As it is kept. `listed`: its lists have it, too.
    fn item(&self, shards: i64, listed: bool) -> Result<Item> {
        let mut place = Vec::new();
        if listed {
            place.extend(self.places(self.status, shards));
        }
        if self.next_attempt_at.is_some() {
            place.push((due::PARTITION, due::partition(due::shard(self.id, shards))));
        }
        let mut item = to_item(self, &place)?;
        let expiry = self.created_at.saturating_add(RETENTION).unwrap_or(Timestamp::MAX).as_second();
        item.insert("expiresAt".to_owned(), AttributeValue::N(expiry.to_string()));
        Ok(item)
    }

    /// Where the lists have it, with this status.
    fn places(&self, status: DeliveryStatus, shards: i64) -> [(&'static str, String); 3] {
        [
            (feed::PARTITION, feed::partition(feed::shard(self.id, shards))),
            (feed::PLACE, feed::place(status, self.id)),
            (feed::PLACE_OF_PARTNER, feed::place_of_partner(&self.partner_id, status, self.id)),
        ]
    }
}
