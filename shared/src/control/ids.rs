//! Integer ids, leased from a counter in blocks so that calls do not contend for one hot item.

use std::{ops::Range, time::Instant};

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};

pub use super::id_blocks::IdBlocks;
use super::{
    Error, Result, Store, Table,
    id_blocks::Leased,
    store::{SERVICE, key},
};
use crate::domain::ids::{DeliveryId, MAX_SAFE_INTEGER, SubscriptionId};

impl IdBlocks {
    /// Returns the next id.
    ///
    /// # Errors
    /// If a new block is needed and the counter cannot be raised.
    pub async fn next(&self, store: &Store) -> Result<i64> {
        let mut leased = self.leased.lock().await;
        if leased.ids.is_empty() || leased.at.is_some_and(|at| self.held < at.elapsed()) {
            let at = Some(Instant::now());
            *leased = Leased { ids: store.lease_ids(self.counter, self.size).await?, at };
        }
        let id = leased.ids.start;
        leased.ids.start += 1;
        Ok(id)
    }
}

impl Store {
    pub async fn next_subscription_id(&self) -> Result<SubscriptionId> {
        self.ids.subscriptions.next(self).await.map(SubscriptionId)
    }

    pub async fn next_delivery_id(&self) -> Result<DeliveryId> {
        self.ids.deliveries.next(self).await.map(DeliveryId)
    }

    async fn lease_ids(&self, counter: &str, size: i64) -> Result<Range<i64>> {
        let output = self
            .client()
            .update_item()
            .table_name(self.name(Table::Control)?)
            .set_key(Some(key(format!("COUNTER#{counter}"), "COUNTER")))
            .update_expression("ADD leased :size")
            .expression_attribute_values(":size", AttributeValue::N(size.to_string()))
            .return_values(ReturnValue::UpdatedNew)
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error))?;
        let end: i64 = output
            .attributes()
            .and_then(|it| it.get("leased")?.as_n().ok()?.parse().ok())
            .filter(|end| *end < MAX_SAFE_INTEGER)
            .ok_or_else(|| Error::Malformed(format!("the counter {counter}")))?;
        Ok(end - size + 1..end + 1)
    }
}
