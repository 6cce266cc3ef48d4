//! Deliveries whose next attempt is due.

use aws_sdk_dynamodb::types::{AttributeValue, Select};
use futures::future::try_join_all;
use jiff::Timestamp;

use super::{
    super::{
        Error, Result, Store, Table, instant,
        store::{SERVICE, from_items, pk},
    },
    Delivery,
};
use crate::domain::ids::DeliveryId;

/// The maximum number of due deliveries that are counted.
const COUNTED: i64 = 10_000;

pub(super) const PARTITION: &str = "duePk";

pub(super) fn partition(shard: i64) -> String {
    format!("DUE#{shard}")
}

pub(super) fn shard(id: DeliveryId, shards: i64) -> i64 {
    id.0.rem_euclid(shards)
}

impl Store {
    /// Returns up to `limit` deliveries of a shard that were due by `before`, oldest first.
    pub async fn due_deliveries(&self, shard: i64, before: Timestamp, limit: i32) -> Result<Vec<Delivery>> {
        self.scheduled(shard, "nextAttemptAt <= :at", before, limit).await
    }

    /// Returns up to `limit` deliveries of a shard that are due after `after`.
    pub async fn deliveries_due_after(
        &self,
        shard: i64,
        after: Timestamp,
        limit: i32,
    ) -> Result<Vec<Delivery>> {
        self.scheduled(shard, "nextAttemptAt > :at", after, limit).await
    }

    async fn scheduled(&self, shard: i64, when: &str, at: Timestamp, limit: i32) -> Result<Vec<Delivery>> {
        let page = self
            .client()
            .query()
            .table_name(self.name(Table::Deliveries)?)
            .index_name("due")
            .key_condition_expression(format!("duePk = :pk AND {when}"))
            .expression_attribute_values(":pk", AttributeValue::S(partition(shard)))
            .expression_attribute_values(":at", AttributeValue::S(instant::text(at)))
            .limit(limit)
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error))?;
        from_items(page.items)
    }

    /// Returns the due time of the attempt that is the longest overdue at `now`.
    pub async fn oldest_due(&self, now: Timestamp) -> Result<Option<Timestamp>> {
        let shards =
            try_join_all((0..self.delivery_shards()).map(|shard| self.due_deliveries(shard, now, 1))).await?;
        Ok(shards.into_iter().flatten().filter_map(|it| it.next_attempt_at).min())
    }

    /// Counts the attempts that are due at `now`; about 10,000 means that many or more.
    pub async fn count_due(&self, now: Timestamp) -> Result<i64> {
        let shards = self.delivery_shards();
        // Shards are filled evenly.
        let most = i32::try_from(COUNTED / shards).unwrap_or(i32::MAX);
        let counts = try_join_all((0..shards).map(|shard| self.count_due_of(shard, now, most))).await?;
        Ok(counts.into_iter().map(i64::from).sum())
    }

    async fn count_due_of(&self, shard: i64, now: Timestamp, most: i32) -> Result<i32> {
        let mut count = 0;
        let mut start = None;
        loop {
            let page = self
                .client()
                .query()
                .table_name(self.name(Table::Deliveries)?)
                .index_name("due")
                .select(Select::Count)
                .key_condition_expression("duePk = :pk AND nextAttemptAt <= :now")
                .expression_attribute_values(":pk", AttributeValue::S(partition(shard)))
                .expression_attribute_values(":now", AttributeValue::S(instant::text(now)))
                .limit(most - count)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| Error::from_sdk(SERVICE, &error))?;
            count += page.count;
            start = page.last_evaluated_key;
            if start.is_none() || count >= most {
                return Ok(count);
            }
        }
    }

    /// Postpones a delivery that was sent to the queue.
    ///
    /// If its message is lost, it is due again at `until`.
    ///
    /// Does nothing if the attempt was made meanwhile.
    pub async fn put_off(&self, delivery: &Delivery, until: Timestamp) -> Result<()> {
        let Some(seen) = delivery.next_attempt_at else { return Ok(()) };
        let moved = self
            .client()
            .update_item()
            .table_name(self.name(Table::Deliveries)?)
            .set_key(Some(pk(&delivery.key)))
            .update_expression("SET nextAttemptAt = :until")
            .condition_expression("nextAttemptAt = :seen")
            .expression_attribute_values(":until", AttributeValue::S(instant::text(until)))
            .expression_attribute_values(":seen", AttributeValue::S(instant::text(seen)))
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error));
        match moved {
            Ok(_) | Err(Error::ConditionFailed) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
