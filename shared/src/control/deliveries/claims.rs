//! Claims of deliveries: one process at a time makes each attempt, and makes it once.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};

use super::{
    super::{
        Error, Result, Store, Table, instant,
        store::{SERVICE, pk},
    },
    Delivery, due,
};

/// How long a claim lasts: longer than an attempt. Afterwards another process may claim it.
pub(super) const CLAIMED_FOR: SignedDuration = SignedDuration::from_secs(30);

/// The result of claiming an attempt.
#[derive(Clone, Debug)]
pub enum Claimed {
    /// The caller must make the attempt and record its outcome.
    Yes(Box<Delivery>),
    /// This attempt was already made, or the delivery awaits none.
    Done(Option<Box<Delivery>>),
    /// Another process has the claim, at most until this time.
    Busy(Timestamp),
}

impl Store {
    /// Claims the first attempt, and creates the delivery if it does not exist.
    pub async fn claim_first(&self, mut delivery: Delivery, now: Timestamp) -> Result<Claimed> {
        delivery.claimed_until = Some(until(now));
        if delivery.is_manual() {
            // A manual delivery has no message. If its process dies, this lets the poller end it.
            delivery.next_attempt_at = now.checked_add(CLAIMED_FOR).ok();
        }
        match self.put_new(Table::Deliveries, delivery.item(self.delivery_shards(), false)?).await {
            Ok(()) => Ok(Claimed::Yes(Box::new(delivery))),
            Err(Error::ConditionFailed) => {
                let found = self.delivery(&delivery.key).await?;
                // The SDK repeats a write whose response was lost. Ids are assigned once.
                if found.is_some_and(|it| {
                    (it.id, it.claimed_until, it.attempts_made())
                        == (delivery.id, delivery.claimed_until, delivery.attempts_made())
                }) {
                    return Ok(Claimed::Yes(Box::new(delivery)));
                }
                self.claim_again(&delivery.key, 1, delivery.id.0, now).await
            }
            Err(error) => Err(error),
        }
    }

    /// Creates a delivery whose first attempt is due at `until`; `None` if it exists.
    pub async fn create_waiting(&self, mut delivery: Delivery, until: Timestamp) -> Result<Option<Delivery>> {
        delivery.next_attempt_at = Some(until);
        match self.put_new(Table::Deliveries, delivery.item(self.delivery_shards(), true)?).await {
            Ok(()) => Ok(Some(delivery)),
            // The SDK repeats a write whose response was lost. Ids are assigned once.
            Err(Error::ConditionFailed) => {
                let found = self.delivery(&delivery.key).await?;
                Ok(found.is_some_and(|it| it.id == delivery.id).then_some(delivery))
            }
            Err(error) => Err(error),
        }
    }

    /// Claims attempt number `attempt` of an existing delivery. `claimant` is a new random number.
    pub async fn claim_again(
        &self,
        key: &str,
        attempt: u32,
        claimant: i64,
        now: Timestamp,
    ) -> Result<Claimed> {
        let Some(mut delivery) = self.delivery(key).await? else { return Ok(Claimed::Done(None)) };
        if !delivery.awaits_attempt() || delivery.attempts + 1 != attempt {
            return Ok(Claimed::Done(Some(Box::new(delivery))));
        }
        let before = delivery.claimed_until;
        if let Some(end) = before.filter(|end| is_live(*end, now)) {
            return Ok(Claimed::Busy(Timestamp::from_millisecond(end).unwrap_or(now)));
        }
        (delivery.claimed_until, delivery.claimed_by) = (Some(until(now)), Some(claimant));
        let mut update = self
            .client()
            .update_item()
            .table_name(self.name(Table::Deliveries)?)
            .set_key(Some(pk(key)))
            .expression_attribute_values(":until", AttributeValue::N(until(now).to_string()))
            .expression_attribute_values(":claimant", AttributeValue::N(claimant.to_string()))
            .expression_attribute_values(":attempts", AttributeValue::N(delivery.attempts.to_string()));
        update = if let Some(before) = before {
            // The previous process died. Record its attempt, whatever the result of the next one.
            delivery.record_cut_off(before);
            let history: AttributeValue = serde_dynamo::to_attribute_value(&delivery.history)
                .map_err(|error| Error::Malformed(error.to_string()))?;
            update
                .update_expression(
                    "SET claimedUntil = :until, claimedBy = :claimant, unscheduled = :unscheduled, \
                        #history = :history",
                )
                .condition_expression("attempts = :attempts AND claimedUntil = :before")
                .expression_attribute_names("#history", "history")
                .expression_attribute_values(":history", history)
                .expression_attribute_values(
                    ":unscheduled",
                    AttributeValue::N(delivery.unscheduled.to_string()),
                )
                .expression_attribute_values(":before", AttributeValue::N(before.to_string()))
        } else {
            update
                .update_expression("SET claimedUntil = :until, claimedBy = :claimant")
                .condition_expression("attempts = :attempts AND attribute_not_exists(claimedUntil)")
        };
        match update.send().await.map_err(|error| Error::from_sdk(SERVICE, &error)) {
            Ok(_) => Ok(Claimed::Yes(Box::new(delivery))),
            Err(Error::ConditionFailed) => {
                // The SDK repeats a write whose response was lost.
                let found = self.delivery(key).await?;
                let own = found.is_some_and(|it| it.claimed_by == Some(claimant));
                Ok(if own { Claimed::Yes(Box::new(delivery)) } else { Claimed::Busy(busy_until(now)) })
            }
            Err(error) => Err(error),
        }
    }

    /// Makes a claimed delivery due when its claim ends.
    ///
    /// For an attempt that outlives its queue message: if the process dies, nothing else retries
    /// the delivery.
    ///
    /// # Errors
    /// [`Error::ConditionFailed`] if the claim has ended.
    pub async fn outlive_message(&self, delivery: &Delivery) -> Result<()> {
        let claim = delivery.claimed_until.unwrap_or_default();
        let until = Timestamp::from_millisecond(claim).unwrap_or(Timestamp::MAX);
        self.make_due(delivery, until, "").await
    }

    /// Releases a claim without an attempt; the next attempt is due at `until`.
    ///
    /// # Errors
    /// [`Error::ConditionFailed`] if the claim has ended and another process has claimed the
    /// delivery.
    pub async fn put_back(&self, delivery: &Delivery, until: Timestamp) -> Result<()> {
        self.make_due(delivery, until, " REMOVE claimedUntil, claimedBy").await
    }

    /// Lists a claimed delivery among those that are due at `until`, and makes `change` with it.
    async fn make_due(&self, delivery: &Delivery, until: Timestamp, change: &str) -> Result<()> {
        let claim = delivery.claimed_until.unwrap_or_default();
        let due = due::partition(due::shard(delivery.id, self.delivery_shards()));
        let [feed, place, of_partner] = delivery
            .places(delivery.status, self.delivery_shards())
            .map(|(_, value)| AttributeValue::S(value));
        self.client()
            .update_item()
            .table_name(self.name(Table::Deliveries)?)
            .set_key(Some(pk(&delivery.key)))
            .update_expression(format!(
                "SET nextAttemptAt = :until, duePk = :due, feedPk = :feed, feedPlace = :place, \
                    partnerPlace = :of_partner{change}"
            ))
            .condition_expression("claimedUntil = :claim")
            .expression_attribute_values(":until", AttributeValue::S(instant::text(until)))
            .expression_attribute_values(":due", AttributeValue::S(due))
            .expression_attribute_values(":feed", feed)
            .expression_attribute_values(":place", place)
            .expression_attribute_values(":of_partner", of_partner)
            .expression_attribute_values(":claim", AttributeValue::N(claim.to_string()))
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error))?;
        Ok(())
    }
}

impl Delivery {
    /// Returns how long the claim lasts after `now`; zero if it has ended.
    pub fn claim_left(&self, now: Timestamp) -> Duration {
        let left = self.claimed_until.unwrap_or_default().saturating_sub(now.as_millisecond());
        Duration::from_millis(u64::try_from(left).unwrap_or_default())
    }
}

/// Returns the end of a claim made at `now`.
pub fn busy_until(now: Timestamp) -> Timestamp {
    now.saturating_add(CLAIMED_FOR).unwrap_or(Timestamp::MAX)
}

/// Whether a claim that ends at `end`, in Unix milliseconds, is in force.
pub(super) fn is_live(end: i64, now: Timestamp) -> bool {
    (now.as_millisecond() + 1..=latest(now)).contains(&end)
}

/// Returns the latest end of a claim in force, in Unix milliseconds, for clocks that differ a
/// little. A later end is from a clock that was ahead.
pub(super) fn latest(now: Timestamp) -> i64 {
    until(now).saturating_add(CLAIMED_FOR.as_secs() * 1000)
}

fn until(now: Timestamp) -> i64 {
    now.as_millisecond().saturating_add(CLAIMED_FOR.as_secs() * 1000)
}
