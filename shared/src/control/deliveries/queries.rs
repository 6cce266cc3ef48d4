//! Queries for a partner's deliveries.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    super::{Result, Store, Table, store::pk},
    Delivery,
    source::{OutcomeFilter, Source},
};
use crate::domain::{
    PracticePass,
    ids::{DeliveryId, MAX_SAFE_INTEGER, PartnerId},
};

/// A position in a list, after the delivery with this id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryPosition(DeliveryId);

impl DeliveryPosition {
    /// Encodes the position for URLs.
    pub fn to_text(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.to_string())
    }

    pub fn parse(text: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let id: i64 = text.parse().ok()?;
        (1..=MAX_SAFE_INTEGER).contains(&id).then_some(Self(DeliveryId(id)))
    }
}

/// A page of a list, newest first.
#[derive(Clone, Debug)]
pub struct DeliveryPage {
    pub deliveries: Vec<Delivery>,
    /// `None` at the end of the list.
    pub next: Option<DeliveryPosition>,
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
        after: Option<DeliveryPosition>,
    ) -> Result<DeliveryPage> {
        let before = after.map(|DeliveryPosition(id)| id);
        let sources = Source::of_partner(practicepass, partner, OutcomeFilter::of(success));
        let sources = sources.into_iter().map(|source| source.before(before)).collect();
        let mut deliveries = self.merge(sources, 0, limit + 1).await?;
        let more = deliveries.len() > limit;
        deliveries.truncate(limit);
        let next = deliveries.last().filter(|_| more).map(|last| DeliveryPosition(last.id));
        Ok(DeliveryPage { deliveries, next })
    }
}
