//! Queries for a partner's deliveries.

use super::{
    super::{Cursor, Result, Store, Table, store::pk},
    Delivery,
    source::{OutcomeFilter, Source},
};
use crate::domain::{
    PracticePass,
    ids::{DeliveryId, MAX_SAFE_INTEGER, PartnerId},
};

impl Cursor {
    fn after_delivery(delivery: &Delivery) -> Self {
        Self(delivery.id.to_string())
    }

    /// Returns the id after which a list of deliveries continues.
    ///
    /// `None` for a position in another list.
    pub fn delivery(&self) -> Option<DeliveryId> {
        let id: i64 = self.0.parse().ok()?;
        (1..=MAX_SAFE_INTEGER).contains(&id).then_some(DeliveryId(id))
    }
}

/// A page of a list, newest first.
#[derive(Clone, Debug)]
pub struct DeliveryPage {
    pub deliveries: Vec<Delivery>,
    /// `None` at the end of the list.
    pub next: Option<Cursor>,
}

impl Store {
    /// Returns the delivery with this key, with a strongly consistent read.
    pub async fn delivery(&self, key: &str) -> Result<Option<Delivery>> {
        self.get(Table::Deliveries, pk(key), true).await
    }

    /// Returns up to `limit` deliveries of a partner in a practice, newest first.
    ///
    /// Includes deliveries of the partner's earlier subscriptions. `success` selects those that
    /// succeeded, or those that did not. Histories are omitted.
    pub async fn deliveries_of(
        &self,
        practicepass: &PracticePass,
        partner: &PartnerId,
        success: Option<bool>,
        limit: usize,
        after: Option<DeliveryId>,
    ) -> Result<DeliveryPage> {
        let sources = Source::of_partner(practicepass, partner, OutcomeFilter::of(success));
        let sources = sources.into_iter().map(|source| source.before(after)).collect();
        let mut deliveries = self.merge(sources, 0, limit + 1).await?;
        let more = deliveries.len() > limit;
        deliveries.truncate(limit);
        let next = deliveries.last().filter(|_| more).map(Cursor::after_delivery);
        Ok(DeliveryPage { deliveries, next })
    }
}
