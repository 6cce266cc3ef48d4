//! Integer ids, leased from a counter in blocks so that calls do not contend for one hot item.

use std::{ops::Range, sync::Arc};

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use tokio::sync::Mutex;

use super::{
    Error, Result, Store, Table,
    store::{SERVICE, key},
};
use crate::domain::ids::{DeliveryId, MAX_SAFE_INTEGER, SubscriptionId};

/// Ids of one kind, unique across all environments and ascending within each.
///
/// The unused ids of a leased block are skipped when the environment ends.
#[derive(Clone, Debug)]
pub struct IdBlocks {
    counter: &'static str,
    size: i64,
    leased: Arc<Mutex<Range<i64>>>,
}

impl IdBlocks {
    /// Creates a source of ids from the named counter, leased `size` at a time.
    pub fn new(counter: &'static str, size: i64) -> Self {
        Self { counter, size, leased: Arc::default() }
    }

    /// Returns the next id.
    ///
    /// # Errors
    /// If a new block is needed and the counter cannot be raised.
    pub async fn next(&self, store: &Store) -> Result<i64> {
        let mut leased = self.leased.lock().await;
        if leased.is_empty() {
            *leased = store.lease_ids(self.counter, self.size).await?;
        }
        let id = leased.start;
        leased.start += 1;
        Ok(id)
    }
}

/// The ids that the control plane assigns.
#[derive(Debug)]
pub(super) struct Ids {
    subscriptions: IdBlocks,
    deliveries: IdBlocks,
}

impl Default for Ids {
    fn default() -> Self {
        Self {
            // There are few subscriptions, so lease single ids and skip none: a practice's first
            // partners get 1, 2, 3.
            subscriptions: IdBlocks::new("subscription", 1),
            deliveries: IdBlocks::new("delivery", 100),
        }
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
