//! Records outcomes of attempts and the practices' counts.
//!
//! Outcomes that arrive at about the same time are written in one transaction.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use aws_sdk_dynamodb::{
    Client, Config,
    types::{AttributeValue, Put, TransactWriteItem, Update},
};
use futures::future::{join_all, try_join_all};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::oneshot;

use super::{
    super::{
        Error, Result, Store, Table, aws,
        listing::Listing,
        pending_outcomes::{PendingOutcome, PendingOutcomes},
        store::{SERVICE, key, pk},
    },
    CountChange, Delivery,
    claims::{is_live, latest},
};
use crate::domain::{PracticePass, delivery::DeliveryStatus, usage::percent};

/// The number of partitions of the practices' counts.
const COUNT_GROUPS: u32 = 32;
/// A practice's counts start as one item; after a conflict they are spread over this many.
///
/// Of two concurrent transactions that write the same item, one is canceled.
const COUNT_SHARDS: u8 = 16;
/// How long a write is tried while DynamoDB throttles or transactions conflict.
///
/// An outcome that is not written is an event that is sent again. The SDK does not repeat a
/// canceled transaction, so these tries replace its own.
const RETRIED_FOR: Duration = Duration::from_secs(10);
/// The longest round of tries: of all outcomes together, and of each if one of them prevents that.
const ROUND: Duration = aws::ATTEMPT.saturating_mul(2);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// The longest that the first round of an outcome takes: it waits for the round before it.
///
/// Further rounds begin only while the claim outlasts them.
pub const LONGEST_OUTCOME: Duration =
    GATHER.saturating_add(ROUND).saturating_add(LONGEST_PAUSE).saturating_add(ROUND);
/// How long an outcome waits for others, to be written together.
const GATHER: Duration = Duration::from_millis(2);
/// The number of a practice's deliveries, without tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryCounts {
    pub total: i64,
    /// Deliveries that have not succeeded.
    pub failed: i64,
}

impl DeliveryCounts {
    /// Returns the percentage that succeeded, with two decimals; 0 without deliveries.
    pub fn success_rate(&self) -> f64 {
        let whole = |count: i64| u64::try_from(count).unwrap_or_default();
        percent(whole(self.total - self.failed), whole(self.total))
    }

    fn add(&mut self, part: ShardCounters) {
        self.total += part.total;
        self.failed += part.failed;
    }
}

/// One item of a practice's counts.
#[derive(Clone, Copy, Deserialize)]
struct ShardCounters {
    total: i64,
    failed: i64,
}

/// Returns the partition of a practice's counts.
fn counts_partition(practicepass: &PracticePass) -> String {
    format!("COUNTS#{}", crc32fast::hash(practicepass.as_str().as_bytes()) % COUNT_GROUPS)
}

impl PendingOutcomes {
    /// Writes pending outcomes until none is left.
    async fn write(self, client: Client, control: String) {
        tokio::time::sleep(GATHER).await;
        let mut failures = 0_u8;
        while let Some(outcomes) = self.next() {
            let random = outcomes.first().map_or(0, |it| it.random);
            let tried = self.write_round(&client, &control, outcomes, failures).await;
            let pause = (FIRST_PAUSE * (1 << failures.min(5))).min(LONGEST_PAUSE);
            let again = Instant::now() + pause;
            let mut throttled = Vec::new();
            for (outcome, result) in tried {
                match result {
                    Err(Error::Unavailable { .. }) if again < outcome.until => throttled.push(outcome),
                    // Apart from the round, which others wait for.
                    Err(Error::ConditionFailed) => {
                        let client = client.clone();
                        tokio::spawn(async move {
                            let written = is_written(&client, &outcome).await;
                            let _ =
                                outcome.done.send(if written { Ok(()) } else { Err(Error::ConditionFailed) });
                        });
                    }
                    result => {
                        let _ = outcome.done.send(result);
                    }
                }
            }
            if throttled.is_empty() {
                failures = 0;
                continue;
            }
            failures = failures.saturating_add(1);
            self.put_back(throttled);
            // Processes that were throttled together do not come back together.
            tokio::time::sleep(pause.mul_f64(0.5 + f64::from(random) / 512.0)).await;
        }
    }

    /// Tries once to write the outcomes: together or, if one prevents that, each separately.
    async fn write_round(
        &self,
        client: &Client,
        control: &str,
        outcomes: Vec<PendingOutcome>,
        failures: u8,
    ) -> Vec<(PendingOutcome, Result<()>)> {
        let together = self.write_together(client, control, &outcomes, failures).await;
        if outcomes.len() > 1 && matches!(together, Err(Error::ConditionFailed | Error::Refused { .. })) {
            let separately = outcomes.into_iter().map(async |outcome| {
                let alone = std::slice::from_ref(&outcome);
                let result = self.write_together(client, control, alone, failures).await;
                (outcome, result)
            });
            return join_all(separately).await;
        }
        outcomes.into_iter().map(|outcome| (outcome, together.clone())).collect()
    }

    async fn write_together(
        &self,
        client: &Client,
        control: &str,
        outcomes: &[PendingOutcome],
        failures: u8,
    ) -> Result<()> {
        let mut counts: HashMap<&PracticePass, CountChange> = HashMap::new();
        for outcome in outcomes.iter().filter(|it| it.count != CountChange::default()) {
            let count = counts.entry(&outcome.practicepass).or_default();
            count.total += outcome.count.total;
            count.failed += outcome.count.failed;
        }
        let random = outcomes.first().map_or(0, |it| it.random).wrapping_add(failures.wrapping_mul(7));
        let mut writes: Vec<TransactWriteItem> = outcomes.iter().map(|it| it.write.clone()).collect();
        for (practicepass, count) in &counts {
            let shard = if self.waiting().busy.contains(*practicepass) { random % COUNT_SHARDS } else { 0 };
            writes.push(count_write(control, practicepass, *count, shard)?);
        }
        let once = Config::builder().retry_config(aws_sdk_dynamodb::config::retry::RetryConfig::disabled());
        let request = client.transact_write_items().set_transact_items(Some(writes));
        let tried = request.customize().config_override(once).send().await;
        tried.map(drop).map_err(|error| Error::from_sdk(SERVICE, &error))
    }
}

/// Whether a try whose response was lost has written the outcome.
async fn is_written(client: &Client, outcome: &PendingOutcome) -> bool {
    let Some(put) = outcome.write.put() else { return false };
    let read = client.get_item().table_name(put.table_name()).set_key(Some(pk(&outcome.key)));
    let found = read.consistent_read(true).send().await;
    found.is_ok_and(|found| found.item.as_ref() == Some(put.item()))
}

fn count_write(
    control: &str,
    practicepass: &PracticePass,
    count: CountChange,
    shard: u8,
) -> Result<TransactWriteItem> {
    let update = Update::builder()
        .table_name(control)
        .set_key(Some(key(counts_partition(practicepass), format!("{practicepass}#{shard}"))))
        .update_expression("ADD #total :total, failed :failed")
        .expression_attribute_names("#total", "total")
        .expression_attribute_values(":total", AttributeValue::N(count.total.to_string()))
        .expression_attribute_values(":failed", AttributeValue::N(count.failed.to_string()))
        .build();
    let update = update.map_err(|error| Error::Malformed(error.to_string()))?;
    Ok(TransactWriteItem::builder().update(update).build())
}

impl Store {
    /// Writes the delivery with its outcome at `now` and releases the claim.
    ///
    /// `random` spreads the counts.
    ///
    /// Counts are in the table Control, `COUNTS#<group of practices>` / `PPass`, shard: `total` and
    /// `failed`. Concurrent outcomes share a transaction with one count per practice. The write
    /// continues even if the caller stops waiting for it.
    ///
    /// # Errors
    /// [`Error::ConditionFailed`] if the claim has ended and another process has claimed the
    /// delivery.
    pub async fn record_outcome(
        &self,
        mut delivery: Delivery,
        count: CountChange,
        random: u8,
        now: Timestamp,
    ) -> Result<Delivery> {
        let retried_for = RETRIED_FOR.min(delivery.claim_left(now).saturating_sub(ROUND));
        let until = Instant::now() + retried_for;
        let claim = delivery.claimed_until.take().unwrap_or_default();
        delivery.claimed_by = None;
        let put = Put::builder()
            .table_name(self.name(Table::Deliveries)?)
            .set_item(Some(delivery.item(self.delivery_shards(), true)?))
            .condition_expression("claimedUntil = :claim")
            .expression_attribute_values(":claim", AttributeValue::N(claim.to_string()))
            .build()
            .map_err(|error| Error::Malformed(error.to_string()))?;
        let (done, result) = oneshot::channel();
        let outcome = PendingOutcome {
            key: delivery.key.clone(),
            write: TransactWriteItem::builder().put(put).build(),
            practicepass: delivery.practicepass.clone(),
            count,
            random,
            until,
            done,
        };
        let control = self.name(Table::Control)?.to_owned();
        let begins = {
            let mut waiting = self.outcomes.waiting();
            waiting.outcomes.push(outcome);
            !std::mem::replace(&mut waiting.writing, true)
        };
        if begins {
            tokio::spawn(self.outcomes.clone().write(self.client().clone(), control));
        }
        let lost = |_| Error::Unavailable { service: SERVICE, reason: "the write was abandoned".to_owned() };
        result.await.map_err(lost)?.map(|()| delivery)
    }

    /// Returns a practice's counts, the sum of their items.
    pub async fn delivery_counts(&self, practicepass: &PracticePass) -> Result<DeliveryCounts> {
        self.counts_of(&counts_partition(practicepass), &format!("{practicepass}#")).await
    }

    /// Returns the sum of all practices' counts.
    pub async fn all_delivery_counts(&self) -> Result<DeliveryCounts> {
        let partitions: Vec<String> = (0..COUNT_GROUPS).map(|group| format!("COUNTS#{group}")).collect();
        let groups = try_join_all(partitions.iter().map(|partition| self.counts_of(partition, ""))).await?;
        let mut counts = DeliveryCounts::default();
        for group in groups {
            counts.add(ShardCounters { total: group.total, failed: group.failed });
        }
        Ok(counts)
    }

    async fn counts_of(&self, partition: &str, prefix: &str) -> Result<DeliveryCounts> {
        let listing = Listing::of_partition(Table::Control, partition).beginning_with(prefix);
        let mut counts = DeliveryCounts::default();
        self.list_all::<ShardCounters>(listing).await?.into_iter().for_each(|part| counts.add(part));
        Ok(counts)
    }

    /// Ends a delivery that is no longer wanted, or whose only attempt died with its process.
    ///
    /// Does nothing if the delivery has ended or does not exist.
    ///
    /// `false` while a process has the claim; its outcome will follow.
    pub async fn give_up_delivery(
        &self,
        delivery_key: &str,
        status: DeliveryStatus,
        now: Timestamp,
    ) -> Result<bool> {
        let Some(mut delivery) = self.delivery(delivery_key).await? else { return Ok(true) };
        if let Some(claim) = delivery.claimed_until.filter(|claim| !is_live(*claim, now)) {
            delivery.record_cut_off(claim);
        }
        let history: AttributeValue = serde_dynamo::to_attribute_value(&delivery.history)
            .map_err(|error| Error::Malformed(error.to_string()))?;
        let text = |status: DeliveryStatus| AttributeValue::S(status.to_string());
        let [feed, place, of_partner] =
            delivery.places(status, self.delivery_shards()).map(|(_, value)| AttributeValue::S(value));
        let given_up = self
            .client()
            .update_item()
            .table_name(self.name(Table::Deliveries)?)
            .set_key(Some(pk(delivery_key)))
            .update_expression(
                "SET #status = :given_up, feedPk = :feed, feedPlace = :place, partnerPlace = :of_partner, \
                 #history = :history, unscheduled = :unscheduled \
                 REMOVE duePk, nextAttemptAt, claimedUntil, claimedBy",
            )
            .condition_expression(
                "(#status IN (:pending, :retrying) OR attribute_exists(duePk)) AND attempts = :attempts AND \
                 (attribute_not_exists(claimedUntil) OR claimedUntil <= :now OR claimedUntil > :latest)",
            )
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#history", "history")
            .expression_attribute_values(":history", history)
            .expression_attribute_values(":unscheduled", AttributeValue::N(delivery.unscheduled.to_string()))
            .expression_attribute_values(":attempts", AttributeValue::N(delivery.attempts.to_string()))
            .expression_attribute_values(":given_up", text(status))
            .expression_attribute_values(":feed", feed)
            .expression_attribute_values(":place", place)
            .expression_attribute_values(":of_partner", of_partner)
            .expression_attribute_values(":pending", text(DeliveryStatus::Pending))
            .expression_attribute_values(":retrying", text(DeliveryStatus::Retrying))
            .expression_attribute_values(":now", AttributeValue::N(now.as_millisecond().to_string()))
            .expression_attribute_values(":latest", AttributeValue::N(latest(now).to_string()))
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
