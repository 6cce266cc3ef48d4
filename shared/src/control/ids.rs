//! Integer ids, leased from a counter in blocks so that calls do not contend for one hot item.

use std::{
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use tokio::sync::Mutex;

use super::{
    Error, Result, Store, Table,
    store::{SERVICE, key},
};
use crate::domain::ids::{DeliveryId, MAX_SAFE_INTEGER, SubscriptionId};

/// How long a block of delivery ids is used, so that ids roughly follow time.
const DELIVERY_IDS_HELD: Duration = Duration::from_mins(1);

/// A source of ids that are unique across all environments and increase within each.
///
/// Unused ids of a block are skipped.
#[derive(Clone, Debug)]
pub struct IdBlocks {
    counter: &'static str,
    size: i64,
    /// How long a block is used.
    held: Duration,
    leased: Arc<Mutex<Leased>>,
}

/// The unused ids of a block and the time of its lease; none at first.
#[derive(Debug, Default)]
struct Leased {
    ids: Range<i64>,
    at: Option<Instant>,
}

impl IdBlocks {
    /// Creates a source of ids from the named counter, leased `size` at a time.
    pub fn new(counter: &'static str, size: i64) -> Self {
        Self { counter, size, held: Duration::MAX, leased: Arc::default() }
    }

    /// Limits how long a block is used.
    #[must_use]
    fn held_for(self, held: Duration) -> Self {
        Self { held, ..self }
    }

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
            deliveries: IdBlocks::new("delivery", 25).held_for(DELIVERY_IDS_HELD),
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
