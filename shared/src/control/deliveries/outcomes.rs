//! What came of an attempt, with the practice's counts, in one write.

use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};
use futures::future::try_join_all;
use jiff::Timestamp;
use serde::Deserialize;

use super::{
    super::{
        Error, Result, Store, Table,
        listing::Listing,
        store::{SERVICE, key, pk},
    },
    Delivery, feed,
};
use crate::domain::{PracticePass, delivery::DeliveryStatus, usage::percent};

/// A practice's counts are spread over so many items: a transaction that meets another at one item is cancelled.
const COUNT_SHARDS: u8 = 16;
const TRIES: u8 = 5;

/// A practice's deliveries, tests left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryCounts {
    pub total: i64,
    /// Those that have not succeeded.
    pub failed: i64,
}

impl DeliveryCounts {
    /// Per cent of the deliveries that succeeded, to two decimals; 0 without deliveries.
    pub fn success_rate(&self) -> f64 {
        let whole = |count: i64| u64::try_from(count).unwrap_or_default();
        percent(whole(self.total - self.failed), whole(self.total))
    }

    fn add(&mut self, part: Part) {
        self.total += part.total;
        self.failed += part.failed;
    }
}

/// What one of a practice's items says.
#[derive(Clone, Copy, Deserialize)]
struct Part {
    total: i64,
    failed: i64,
}

/// The counts of all practices together: every outcome meets the others there, so there are many items.
const ALL: &str = "*";
const COUNT_SHARDS_OF_ALL: u8 = 128;
const LIST_OF_ALL: &str = "DELIVERY_COUNTS";

/// What an outcome adds to the practice's counts of deliveries and of those that have not succeeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CountChange {
    pub total: i64,
    pub failed: i64,
}

impl Store {
    /// Writes the delivery as its claimer leaves it. `random` spreads the counts.
    ///
    /// Table Control, `COUNTS#<PPass>#<shard>` / `COUNTS`: `total` and `failed`. Likewise of all practices, `COUNTS#*#<shard>`;
    /// `gsi1`: `DELIVERY_COUNTS` / shard.
    ///
    /// # Errors
    /// [`Error::ConditionFailed`] when the claim had ended and another process claimed it.
    pub async fn conclude(&self, mut delivery: Delivery, count: CountChange, random: u8) -> Result<Delivery> {
        let claim = delivery.claimed_until.take().unwrap_or_default();
        let put = Put::builder()
            .table_name(self.name(Table::Deliveries)?)
            .set_item(Some(delivery.item()?))
            .condition_expression("claimedUntil = :claim")
            .expression_attribute_values(":claim", AttributeValue::N(claim.to_string()))
            .build()
            .map_err(|error| Error::Malformed(error.to_string()))?;
        let outcome = TransactWriteItem::builder().put(put).build();
        for attempt in 0.. {
            let shard = random.wrapping_add(attempt * 7);
            let mut writes = vec![outcome.clone()];
            if count != CountChange::default() {
                let of_practice = delivery.practicepass.as_str();
                writes.push(self.count(of_practice, count, shard % COUNT_SHARDS)?);
                writes.push(self.count(ALL, count, shard % COUNT_SHARDS_OF_ALL)?);
            }
            match self.transact(writes).await {
                Err(Error::Unavailable { .. }) if attempt + 1 < TRIES => {
                    tokio::time::sleep(Duration::from_millis(20 * u64::from(attempt + 1))).await;
                }
                result => return result.map(|()| delivery),
            }
        }
        Ok(delivery)
    }

    /// A practice's counts, read from all their items.
    pub async fn delivery_counts(&self, practicepass: &PracticePass) -> Result<DeliveryCounts> {
        let parts = (0..COUNT_SHARDS).map(|shard| {
            let key = key(format!("COUNTS#{practicepass}#{shard}"), "COUNTS");
            self.get::<Part>(Table::Control, key, true)
        });
        let mut counts = DeliveryCounts::default();
        try_join_all(parts).await?.into_iter().flatten().for_each(|part| counts.add(part));
        Ok(counts)
    }

    /// The counts of all practices; what was just counted may be seen a moment later.
    pub async fn all_delivery_counts(&self) -> Result<DeliveryCounts> {
        let shards = usize::from(COUNT_SHARDS_OF_ALL);
        let parts = self.list::<Part>(Listing::of_index(LIST_OF_ALL), shards, None, |_| true).await?;
        let mut counts = DeliveryCounts::default();
        parts.items.into_iter().for_each(|part| counts.add(part));
        Ok(counts)
    }

    /// `whose`: a practice's, or [`ALL`].
    fn count(&self, whose: &str, count: CountChange, shard: u8) -> Result<TransactWriteItem> {
        let mut update = Update::builder()
            .table_name(self.name(Table::Control)?)
            .set_key(Some(key(format!("COUNTS#{whose}#{shard}"), "COUNTS")))
            .expression_attribute_names("#total", "total")
            .expression_attribute_values(":total", AttributeValue::N(count.total.to_string()))
            .expression_attribute_values(":failed", AttributeValue::N(count.failed.to_string()));
        let mut change = String::from("ADD #total :total, failed :failed");
        if whose == ALL {
            change.push_str(" SET gsi1pk = :list, gsi1sk = :shard");
            update = update
                .expression_attribute_values(":list", AttributeValue::S(LIST_OF_ALL.to_owned()))
                .expression_attribute_values(":shard", AttributeValue::S(shard.to_string()));
        }
        let update = update.update_expression(change).build();
        let update = update.map_err(|error| Error::Malformed(error.to_string()))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// Ends a delivery whose next attempt nobody wants any more, or whose only attempt died with its process. Does nothing
    /// to one that has ended or doesn't exist.
    ///
    /// `false` while a process is at it: its outcome is to come.
    pub async fn give_up_delivery(
        &self,
        delivery_key: &str,
        status: DeliveryStatus,
        now: Timestamp,
    ) -> Result<bool> {
        let Some(mut delivery) = self.delivery(delivery_key).await? else { return Ok(true) };
        if let Some(claim) = delivery.claimed_until.filter(|claim| *claim <= now.as_millisecond()) {
            delivery.record_cut_off(claim);
        }
        let history: AttributeValue = serde_dynamo::to_attribute_value(&delivery.history)
            .map_err(|error| Error::Malformed(error.to_string()))?;
        let text = |status: DeliveryStatus| AttributeValue::S(status.to_string());
        let outcome_at = feed::outcome_at(status, delivery.created_at, delivery.id);
        let given_up = self
            .client()
            .update_item()
            .table_name(self.name(Table::Deliveries)?)
            .set_key(Some(pk(delivery_key)))
            .update_expression(
                "SET #status = :given_up, outcomeAt = :outcome_at, #history = :history, unscheduled = :unscheduled \
                 REMOVE duePk, nextAttemptAt, claimedUntil",
            )
            .condition_expression(
                "(#status IN (:pending, :retrying) OR attribute_exists(duePk)) AND attempts = :attempts AND \
                 (attribute_not_exists(claimedUntil) OR claimedUntil <= :now)",
            )
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#history", "history")
            .expression_attribute_values(":history", history)
            .expression_attribute_values(":unscheduled", AttributeValue::N(delivery.unscheduled.to_string()))
            .expression_attribute_values(":attempts", AttributeValue::N(delivery.attempts.to_string()))
            .expression_attribute_values(":given_up", text(status))
            .expression_attribute_values(":outcome_at", AttributeValue::S(outcome_at))
            .expression_attribute_values(":pending", text(DeliveryStatus::Pending))
            .expression_attribute_values(":retrying", text(DeliveryStatus::Retrying))
            .expression_attribute_values(":now", AttributeValue::N(now.as_millisecond().to_string()))
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error));
        match given_up {
            Ok(_) => Ok(true),
            Err(Error::ConditionFailed) => {
                Ok(self.delivery(delivery_key).await?.is_none_or(|delivery| !delivery.awaits_attempt()))
            }
            Err(error) => Err(error),
        }
    }
}
