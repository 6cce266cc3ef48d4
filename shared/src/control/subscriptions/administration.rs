//! Administrators' queries and changes of subscriptions.

use std::cmp::Reverse;

use aws_sdk_dynamodb::types::{AttributeValue, Delete, TransactWriteItem, Update};
use futures::future::try_join_all;
use jiff::Timestamp;

use super::{
    super::{Cursor, Error, ListPage, Result, Store, Table, attribute::number, listing::Listing, store::key},
    BUCKETS, Subscription, all, by_id, pk, sk,
};
use crate::domain::ids::SubscriptionId;

impl Store {
    /// Returns up to `limit` subscriptions of all practices and partners, newest first.
    ///
    /// One query of each partition.
    pub async fn subscriptions(
        &self,
        limit: usize,
        after: Option<&Cursor>,
    ) -> Result<ListPage<Subscription>> {
        let partitions: Vec<String> = (0..i64::from(BUCKETS)).map(all).collect();
        let lists = partitions.iter().map(|partition| {
            let newest_first = Listing::of_second_index(partition).newest_first();
            self.list::<Subscription>(newest_first, limit, after, |_| true)
        });
        let pages = try_join_all(lists).await?;
        let mut more = pages.iter().any(|page| page.next.is_some());
        let mut items: Vec<Subscription> = pages.into_iter().flat_map(|page| page.items).collect();
        items.sort_by_key(|it| Reverse(it.id.0));
        more |= items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|it| Cursor(by_id(it.id)));
        Ok(ListPage { items, next })
    }

    /// Returns the subscription with this id; a new one may appear a moment later.
    ///
    /// The subscription itself is read with strong consistency.
    pub async fn subscription_by_id(&self, id: SubscriptionId) -> Result<Option<Subscription>> {
        let sort_key = by_id(id);
        let partition = all(id.0);
        let listing = Listing::of_second_index(&partition).beginning_with(&sort_key);
        let found = self.list::<Subscription>(listing, 1, None, |_| true).await?.items.pop();
        let Some(found) = found else { return Ok(None) };
        let current = self.subscription(&found.practicepass, &found.partner_id).await?;
        Ok(current.filter(|current| current.id == id))
    }

    /// Builds the write that pauses this generation of a subscription, or resumes it (`None`).
    pub fn pause_subscription_write(
        &self,
        subscription: &Subscription,
        paused_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<TransactWriteItem> {
        let change = match paused_at {
            Some(_) => "SET pausedAt = :paused, updatedAt = :now ADD version :one",
            None => "SET updatedAt = :now REMOVE pausedAt ADD version :one",
        };
        let mut update = Update::builder()
            .table_name(self.name(Table::Control)?)
            .set_key(Some(key(pk(&subscription.practicepass), sk(&subscription.partner_id))))
            .update_expression(change)
            .condition_expression("generation = :generation")
            .expression_attribute_values(":generation", number(subscription.generation))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":now", AttributeValue::S(now.to_string()));
        if let Some(at) = paused_at {
            update = update.expression_attribute_values(":paused", AttributeValue::S(at.to_string()));
        }
        let update = update.build().map_err(|error| Error::Malformed(error.to_string()))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// Builds the write that deletes this generation of a subscription.
    pub fn remove_subscription_write(&self, subscription: &Subscription) -> Result<TransactWriteItem> {
        let delete = Delete::builder()
            .table_name(self.name(Table::Control)?)
            .set_key(Some(key(pk(&subscription.practicepass), sk(&subscription.partner_id))))
            .condition_expression("generation = :generation")
            .expression_attribute_values(":generation", number(subscription.generation))
            .build()
            .map_err(|error| Error::Malformed(error.to_string()))?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }
}
