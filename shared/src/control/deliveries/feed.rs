//! Lists of deliveries, newest first: of all practices or of one.
//!
//! The indexes are ordered by outcome, then by id. A list merges one query per requested outcome,
//! so a page of failures never reads past successes. The order by id also serves to find a
//! delivery.

use aws_sdk_dynamodb::types::AttributeValue;
use futures::future::try_join_all;

use super::{
    super::{
        Error, Result, Store, Table,
        store::{SERVICE, from_items},
    },
    Delivery,
    keys::{OPEN, partition, shard},
    source::{OutcomeFilter, Source},
};
use crate::domain::{
    PracticePass,
    ids::{DeliveryId, PartnerId},
};

/// The minimum number of shards.
const FEWEST: i64 = 4;

/// Returns the shards that can contain a delivery.
///
/// The number of shards when it was written is not known: any power of two up to `shards`.
fn shards_of(id: DeliveryId, shards: i64) -> Vec<i64> {
    let numbers = std::iter::successors(Some(FEWEST), |number| Some(number * 2));
    let mut found: Vec<i64> = numbers
        .take_while(|number| *number < shards)
        .chain([shards])
        .map(|number| shard(id, number))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// A page of the feed, newest first.
#[derive(Clone, Debug, Default)]
pub struct FeedPage {
    pub deliveries: Vec<Delivery>,
    /// Whether older deliveries follow.
    pub more: bool,
}

impl Store {
    /// Returns up to `limit` deliveries after the `offset` newest, of all practices or one.
    ///
    /// `success` selects those that succeeded, or those that did not. Recent writes may appear a
    /// moment later. Histories are omitted.
    pub async fn recent_deliveries(
        &self,
        practicepass: Option<&PracticePass>,
        success: Option<bool>,
        offset: usize,
        limit: usize,
    ) -> Result<FeedPage> {
        let filter = OutcomeFilter::of(success);
        let sources = match practicepass {
            Some(practicepass) => self.sources_of(practicepass, filter).await?,
            None => Source::of_all(0..self.delivery_shards(), filter),
        };
        let mut page = FeedPage::default();
        page.deliveries = self.merge(sources, offset, limit + 1).await?;
        page.more = page.deliveries.len() > limit;
        page.deliveries.truncate(limit);
        Ok(page)
    }

    /// Returns the delivery with this id, of any partner; a new one may appear a moment later.
    pub async fn delivery_by_id(&self, id: DeliveryId) -> Result<Option<Delivery>> {
        let shards = shards_of(id, self.delivery_shards());
        self.by_id(|| Source::of_all(shards.iter().copied(), OutcomeFilter::All), id).await
    }

    /// Returns the partner's delivery with this id; a new one may appear a moment later.
    pub async fn own_delivery(
        &self,
        practicepass: &PracticePass,
        partner: &PartnerId,
        id: DeliveryId,
    ) -> Result<Option<Delivery>> {
        self.by_id(|| Source::of_partner(practicepass, partner, OutcomeFilter::All), id).await
    }

    async fn by_id(&self, sources: impl Fn() -> Vec<Source>, id: DeliveryId) -> Result<Option<Delivery>> {
        // The delivery can move to another outcome between the queries.
        for _ in 0..2 {
            let below = Some(DeliveryId(id.0.saturating_add(1)));
            let asked = sources().into_iter().map(|source| self.merge(vec![source.before(below)], 0, 1));
            let newest = try_join_all(asked).await?.into_iter().flatten();
            if let Some(found) = newest.into_iter().find(|delivery| delivery.id == id) {
                return self.delivery(&found.key).await;
            }
        }
        Ok(None)
    }

    /// Returns the oldest delivery that may still be attempted.
    pub async fn oldest_open_delivery(&self) -> Result<Option<Delivery>> {
        let oldest = (0..self.delivery_shards()).map(async |shard| {
            let page = self
                .client()
                .query()
                .table_name(self.name(Table::Deliveries)?)
                .index_name("feed")
                .key_condition_expression("feedPk = :pk AND begins_with(feedPlace, :open)")
                .expression_attribute_values(":pk", AttributeValue::S(partition(shard)))
                .expression_attribute_values(":open", AttributeValue::S(format!("{OPEN}#")))
                .limit(1)
                .send()
                .await
                .map_err(|error| Error::from_sdk(SERVICE, &error))?;
            from_items::<Delivery>(page.items)
        });
        let oldest = try_join_all(oldest).await?.into_iter().flatten();
        Ok(oldest.min_by_key(|delivery| (delivery.created_at, delivery.id.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_looked_up_in_every_shard_it_can_be_in() {
        for id in [1, 7, 130, 4_095, 9_007_199_254_740_991] {
            for now in [4, 8, 16, 32, 64, 128] {
                let asked = shards_of(DeliveryId(id), now);
                assert!(asked.len() <= 6, "{asked:?}");
                for before in [4, 8, 16, 32, 64, 128].into_iter().filter(|before| *before <= now) {
                    assert!(asked.contains(&shard(DeliveryId(id), before)), "{id} of {before} among {now}");
                }
            }
        }
    }
}
