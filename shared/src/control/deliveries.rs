//! Webhook deliveries: one per event and subscription, and one per test and manual retry.

mod claims;
mod due;
mod feed;
mod keys;
mod outcomes;
mod queries;
mod replay;
mod source;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use super::pending_outcomes::CountChange;
pub use claims::{Claimed, busy_until};
pub use feed::FeedPage;
pub use outcomes::{DeliveryCounts, LONGEST_OUTCOME};
pub use queries::DeliveryPage;

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

/// Deliveries are stored for 30 days.
const RETENTION: SignedDuration = SignedDuration::from_hours(30 * 24);
/// The prefix of the keys of manual deliveries; no practice has this name.
const MANUAL: &str = "D#*#";
/// The maximum number of attempts in a history: the whole schedule.
const MOST_ATTEMPTS: usize = crate::domain::delivery::SCHEDULE.len() + 1;

/// The error message that partners see for an attempt whose process died.
const CUT_OFF: &str =
    "the attempt was interrupted before its outcome was known; the endpoint may have received it";

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// One attempt and its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_code: Option<u16>,
    /// `None` if the attempt was interrupted.
    pub duration_ms: Option<u64>,
    /// Why there was no response, or why it was not a success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// The beginning of the response to a failed attempt.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub answer: String,
}

/// A delivery, in the table Deliveries.
///
/// Indexes: `byPractice`, by practice / partner, outcome, id; `feed`, by `FEED#<shard>` / outcome,
/// id; `due`, by `DUE#<shard>` / the time of the next attempt. An item is in `due` only while an
/// attempt is scheduled or, for a manual delivery, in progress. The id determines the shard.
///
/// A delivery enters the lists when its first attempt has ended or was postponed, so each index is
/// usually written only once. The indexes contain all attributes except `history`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// The key, which ensures that an event is sent to a subscription once.
    ///
    /// `D#<PPass>#<subscription>#<log id>`, with `<epoch>.` before the id after the log has started
    /// over. `…#<replay>` for each replay; `D#*#<id>` for a test or a manual retry.
    #[serde(rename = "pk")]
    pub key: String,
    pub id: DeliveryId,
    pub subscription_id: SubscriptionId,
    pub generation: i64,
    pub partner_id: PartnerId,
    pub practicepass: PracticePass,
    pub payload: Payload,
    /// The replay that created the delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<String>,
    /// The request id of the call that caused the event, or of the poll that found it in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    pub status: DeliveryStatus,
    /// Why it was withheld, with status `cancelled`.
    ///
    /// As long as a next attempt is scheduled, that attempt checks access again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withheld: Option<WithheldReason>,
    /// The number of ended attempts that count in the schedule.
    pub attempts: u32,
    /// The number of other attempts: answered with 429, or interrupted.
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
    /// The end of the current claim, in Unix milliseconds.
    ///
    /// The value also fences the outcome: a process that lost its claim cannot write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) claimed_until: Option<i64>,
    /// The number that its process chose for the claim of a retry, to recognize it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) claimed_by: Option<i64>,
    /// Newest last. Only the most recent failed attempt includes the endpoint's response.
    #[serde(default)]
    pub history: Vec<Attempt>,
}

impl Delivery {
    /// Creates the delivery of an event.
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

    /// Returns the message of the next attempt; `None` for tests, which are not retried.
    pub fn next_message(&self) -> Option<EventMessage> {
        let event = self.payload.event()?;
        let (subscription, generation, partner) =
            (self.subscription_id, self.generation, self.partner_id.clone());
        let mut message = EventMessage::new(event, subscription, generation, partner, self.attempts + 1);
        message.replay.clone_from(&self.replay);
        message.request_id.clone_from(&self.request_id);
        Some(message)
    }

    /// Creates a manual delivery.
    pub fn manual(
        id: DeliveryId,
        subscription: &Subscription,
        payload: Payload,
        request_id: Option<RequestId>,
        now: Timestamp,
    ) -> Self {
        let to = (subscription.id, subscription.generation, subscription.partner_id.clone());
        Self { request_id, ..Self::new(format!("{MANUAL}{id}"), id, to, payload, now) }
    }

    /// Whether it is a manual delivery, which has no queue message.
    pub fn is_manual(&self) -> bool {
        self.key.starts_with(MANUAL)
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
            claimed_by: None,
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

    /// Whether an attempt may still follow.
    ///
    /// A withheld delivery may be attempted if access returns in time.
    pub fn awaits_attempt(&self) -> bool {
        self.status.is_open() || (self.withheld.is_some() && self.next_attempt_at.is_some())
    }

    /// Cancels the delivery without an attempt. At `next`, if any, access is checked again.
    pub fn withhold(&mut self, reason: WithheldReason, next: Option<Timestamp>) {
        self.status = DeliveryStatus::Cancelled;
        self.withheld = Some(reason);
        self.error_message = Some(reason.explain().to_owned());
        self.next_attempt_at = next;
    }

    /// Returns the time since its creation.
    ///
    /// A creation far ahead is from a clock that was ahead, and counts as long ago: what ends with
    /// age may not last until then.
    pub fn age(&self, now: Timestamp) -> SignedDuration {
        now.duration_since(self.created_at).abs()
    }

    /// Returns the number of all attempts so far.
    pub fn attempts_made(&self) -> u32 {
        self.attempts + self.unscheduled
    }

    /// Ends a manual delivery without an attempt.
    pub fn fail_unsent(&mut self, why: &str) {
        self.status = DeliveryStatus::Failed;
        self.error_message = Some(why.to_owned());
        self.next_attempt_at = None;
    }

    /// Cancels the delivery because the retry with this id was delivered.
    pub fn supersede(&mut self, retry: DeliveryId) {
        self.withhold(WithheldReason::DeliveredByRetry, None);
        self.error_message = Some(format!("not sent again: retry {retry} was delivered"));
    }

    /// Records an attempt that counts in the schedule.
    pub fn record(&mut self, attempt: Attempt, status: DeliveryStatus, next_attempt_at: Option<Timestamp>) {
        self.attempts += 1;
        self.take_up(attempt, status, next_attempt_at);
    }

    /// Records an attempt that was answered with 429 and does not count in the schedule.
    pub fn record_rejected(&mut self, attempt: Attempt, next_attempt_at: Timestamp) {
        self.unscheduled += 1;
        self.take_up(attempt, DeliveryStatus::Retrying, Some(next_attempt_at));
    }

    /// Records an attempt whose process died. Its claim ended at `claimed_until`, in Unix ms.
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
            // The response is the largest attribute, and every write of the record pays for it.
            self.history.iter_mut().for_each(|earlier| earlier.answer.clear());
        }
        self.history.push(attempt);
        let surplus = self.history.len().saturating_sub(MOST_ATTEMPTS);
        self.history.drain(..surplus);
    }

    /// Builds the stored item; `listed` adds the attributes that put it in the lists.
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

    /// Returns the list attributes for this status.
    fn places(&self, status: DeliveryStatus, shards: i64) -> [(&'static str, String); 3] {
        [
            (keys::PARTITION, keys::partition(keys::shard(self.id, shards))),
            (keys::PLACE, keys::place(status, self.id)),
            (keys::PLACE_OF_PARTNER, keys::place_of_partner(&self.partner_id, status, self.id)),
        ]
    }
}
