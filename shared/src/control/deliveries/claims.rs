//! Who attempts a delivery: one process at a time, each attempt once.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};

use super::{
    super::{
        Error, Result, Store, Table, instant,
        store::{SERVICE, pk},
    },
    Delivery, due,
};

/// Longer than an attempt takes; a process that died loses its claim after it.
pub(super) const CLAIMED_FOR: SignedDuration = SignedDuration::from_secs(30);

/// What became of the wish to attempt a delivery.
#[derive(Clone, Debug)]
pub enum Claimed {
    /// It is the caller's to attempt and to conclude.
    Yes(Box<Delivery>),
    /// This attempt has been made, or none is wanted any more.
    Done(Option<Box<Delivery>>),
    /// Another process is at it, until then at the latest.
    Busy(Timestamp),
}

impl Store {
    /// Claims the first attempt of a delivery that need not exist yet.
    pub async fn claim_first(&self, mut delivery: Delivery, now: Timestamp) -> Result<Claimed> {
        delivery.claimed_until = Some(until(now));
        if delivery.is_manual() {
            // Nothing but this would bring it to an end if its process died.
            delivery.next_attempt_at = now.checked_add(CLAIMED_FOR).ok();
        }
        match self.put_new(Table::Deliveries, delivery.item(self.delivery_shards(), false)?).await {
            Ok(()) => Ok(Claimed::Yes(Box::new(delivery))),
            Err(Error::ConditionFailed) => self.claim_again(&delivery.key, 1, now).await,
            Err(error) => Err(error),
        }
    }

    /// Claims attempt number `attempt` of a delivery that exists.
    pub async fn claim_again(&self, key: &str, attempt: u32, now: Timestamp) -> Result<Claimed> {
        let Some(mut delivery) = self.delivery(key).await? else { return Ok(Claimed::Done(None)) };
        if !delivery.awaits_attempt() || delivery.attempts + 1 != attempt {
            return Ok(Claimed::Done(Some(Box::new(delivery))));
        }
        let before = delivery.claimed_until;
        if let Some(end) = before.filter(|end| now.as_millisecond() < *end) {
            return Ok(Claimed::Busy(Timestamp::from_millisecond(end).unwrap_or(now)));
        }
        delivery.claimed_until = Some(until(now));
        let mut update = self
            .client()
            .update_item()
            .table_name(self.name(Table::Deliveries)?)
            .set_key(Some(pk(key)))
            .expression_attribute_values(":until", AttributeValue::N(until(now).to_string()))
            .expression_attribute_values(":attempts", AttributeValue::N(delivery.attempts.to_string()));
        update = if let Some(before) = before {
            // Its process died: the attempt is on record, whatever becomes of the next one.
            delivery.record_cut_off(before);
            let history: AttributeValue = serde_dynamo::to_attribute_value(&delivery.history)
                .map_err(|error| Error::Malformed(error.to_string()))?;
            update
                .update_expression(
                    "SET claimedUntil = :until, unscheduled = :unscheduled, #history = :history",
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
                .update_expression("SET claimedUntil = :until")
                .condition_expression("attempts = :attempts AND attribute_not_exists(claimedUntil)")
        };
        match update.send().await.map_err(|error| Error::from_sdk(SERVICE, &error)) {
            Ok(_) => Ok(Claimed::Yes(Box::new(delivery))),
            Err(Error::ConditionFailed) => Ok(Claimed::Busy(busy_until(now))),
            Err(error) => Err(error),
        }
    }

    /// Puts a claimed delivery among those that are due after its claim. Its message is gone while
    /// its attempt goes on: should the process die, nothing else brings it back.
    ///
    /// # Errors
    /// [`Error::ConditionFailed`] when the claim had ended.
    pub async fn outlive_message(&self, delivery: &Delivery) -> Result<()> {
        let claim = delivery.claimed_until.unwrap_or_default();
        let until = Timestamp::from_millisecond(claim).unwrap_or(Timestamp::MAX);
        let due = due::partition(due::shard(delivery.id, self.delivery_shards()));
        let [feed, place, of_partner] = delivery
            .places(delivery.status, self.delivery_shards())
            .map(|(_, value)| AttributeValue::S(value));
        self.client()
            .update_item()
            .table_name(self.name(Table::Deliveries)?)
            .set_key(Some(pk(&delivery.key)))
            .update_expression(
                "SET nextAttemptAt = :until, duePk = :due, feedPk = :feed, feedPlace = :place, partnerPlace \
                    = :of_partner",
            )
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

    /// Gives a claim back without an attempt: the delivery's turn comes at `until`.
    ///
    /// # Errors
    /// [`Error::ConditionFailed`] when the claim had ended and another process claimed it.
    pub async fn put_back(&self, delivery: &Delivery, until: Timestamp) -> Result<()> {
        let claim = delivery.claimed_until.unwrap_or_default();
        let due = due::partition(due::shard(delivery.id, self.delivery_shards()));
        let [feed, place, of_partner] = delivery
            .places(delivery.status, self.delivery_shards())
            .map(|(_, value)| AttributeValue::S(value));
        self.client()
            .update_item()
            .table_name(self.name(Table::Deliveries)?)
            .set_key(Some(pk(&delivery.key)))
            .update_expression(
                "SET nextAttemptAt = :until, duePk = :due, feedPk = :feed, feedPlace = :place, partnerPlace \
                    = :of_partner REMOVE claimedUntil",
            )
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

/// When a claim that was just made ends.
pub fn busy_until(now: Timestamp) -> Timestamp {
    now.saturating_add(CLAIMED_FOR).unwrap_or(Timestamp::MAX)
}

fn until(now: Timestamp) -> i64 {
    now.as_millisecond().saturating_add(CLAIMED_FOR.as_secs() * 1000)
}
