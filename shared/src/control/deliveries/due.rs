//! Deliveries whose next attempt is due.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use super::{
    super::{
        Error, Result, Store, Table, instant,
        store::{SERVICE, from_items, pk},
    },
    Delivery,
};

impl Store {
    /// Up to `limit` deliveries of a shard whose next attempt should have begun by `before`, the longest overdue first.
    pub async fn due_deliveries(&self, shard: i64, before: Timestamp, limit: i32) -> Result<Vec<Delivery>> {
        let page = self
            .client()
            .query()
            .table_name(self.name(Table::Deliveries)?)
            .index_name("due")
            .key_condition_expression("duePk = :pk AND nextAttemptAt <= :before")
            .expression_attribute_values(":pk", AttributeValue::S(format!("DUE#{shard}")))
            .expression_attribute_values(":before", AttributeValue::S(instant::text(before)))
            .limit(limit)
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error))?;
        from_items(page.items)
    }

    /// Puts a delivery that was sent to the queue off until `until`: should its message be lost, it is sent again.
    ///
    /// Does nothing when the attempt has been made meanwhile.
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
