//! Everybody's deliveries, or a practice's, the newest first.
//!
//! Both indexes are ordered by outcome first: what one asks for, all or a single outcome, is merged from a query for each, so
//! that a page of failures never reads past successes.

use std::{cmp::Reverse, collections::VecDeque};

use aws_sdk_dynamodb::types::AttributeValue;
use futures::future::try_join_all;
use jiff::Timestamp;

use super::{
    super::{
        Error, Result, Store, Table, instant,
        store::{Item, SERVICE, from_items},
    },
    Delivery, SHARDS,
};
use crate::domain::{PracticePass, delivery::DeliveryStatus, ids::DeliveryId};

/// The sort key of both indexes: `<outcome>#<creation>#<id>`.
pub(super) const OUTCOME_AT: &str = "outcomeAt";
const OPEN: &str = "open";
const FAILED: &str = "failed";
const DELIVERED: &str = "delivered";
/// A query asks for so many deliveries at least, and at most.
const PAGE: (usize, usize) = (10, 250);

pub(super) fn partition(shard: i64) -> String {
    format!("FEED#{shard}")
}

/// The id is filled up with zeros, so that text is ordered as numbers are.
pub(super) fn outcome_at(status: DeliveryStatus, created_at: Timestamp, id: DeliveryId) -> String {
    let outcome = match status {
        DeliveryStatus::Delivered => DELIVERED,
        status if status.is_open() => OPEN,
        _ => FAILED,
    };
    format!("{outcome}#{}#{:016}", instant::text(created_at), id.0)
}

/// A part of the feed, the newest first.
#[derive(Clone, Debug, Default)]
pub struct FeedPage {
    pub deliveries: Vec<Delivery>,
    /// Whether older ones follow.
    pub more: bool,
}

/// One query's answer, read piece by piece.
struct Source<'a> {
    index: &'static str,
    /// The partition key and its value.
    partition: (&'static str, String),
    outcome: &'a str,
    read: VecDeque<Delivery>,
    next: Option<Item>,
    ended: bool,
}

impl Source<'_> {
    fn must_read(&self) -> bool {
        self.read.is_empty() && !self.ended
    }
}

impl Store {
    /// Up to `limit` deliveries after the `offset` newest, of all practices or one; `success` keeps those that (didn't) succeed.
    /// What was just written may be seen a moment later.
    pub async fn recent_deliveries(
        &self,
        practicepass: Option<&PracticePass>,
        success: Option<bool>,
        offset: usize,
        limit: usize,
    ) -> Result<FeedPage> {
        let outcomes: &[&str] = match success {
            None => &[OPEN, FAILED, DELIVERED],
            Some(false) => &[OPEN, FAILED],
            Some(true) => &[DELIVERED],
        };
        let partitions: Vec<(&'static str, &'static str, String)> = match practicepass {
            Some(practicepass) => vec![("byPractice", "practicepass", practicepass.to_string())],
            None => (0..SHARDS).map(|shard| ("feed", "feedPk", partition(shard))).collect(),
        };
        let sources = partitions.iter().flat_map(|(index, name, value)| {
            outcomes.iter().map(|outcome| Source {
                index,
                partition: (name, value.clone()),
                outcome,
                read: VecDeque::new(),
                next: None,
                ended: false,
            })
        });
        let mut page = FeedPage::default();
        page.deliveries = self.merge(sources.collect(), offset, limit + 1).await?;
        page.more = page.deliveries.len() > limit;
        page.deliveries.truncate(limit);
        Ok(page)
    }

    /// Up to `wanted` of the newest deliveries of all sources, after `skipped` others.
    async fn merge(
        &self,
        mut sources: Vec<Source<'_>>,
        mut skipped: usize,
        wanted: usize,
    ) -> Result<Vec<Delivery>> {
        let mut found = Vec::with_capacity(wanted);
        loop {
            let share = (skipped + wanted - found.len()) / sources.len() + 1;
            let share = share.clamp(PAGE.0, PAGE.1);
            let hungry = sources.iter_mut().filter(|source| source.must_read());
            try_join_all(hungry.map(|source| self.read_on(source, share))).await?;
            // The newest of all is known only while every source shows its newest.
            while !sources.iter().any(Source::must_read) {
                let newest =
                    sources.iter_mut().filter(|source| !source.read.is_empty()).min_by_key(|source| {
                        Reverse(source.read.front().map(|delivery| (delivery.created_at, delivery.id.0)))
                    });
                let Some(delivery) = newest.and_then(|source| source.read.pop_front()) else {
                    return Ok(found);
                };
                if skipped > 0 {
                    skipped -= 1;
                    continue;
                }
                found.push(delivery);
                if found.len() == wanted {
                    return Ok(found);
                }
            }
        }
    }

    async fn read_on(&self, source: &mut Source<'_>, limit: usize) -> Result<()> {
        let page = self
            .client()
            .query()
            .table_name(self.name(Table::Deliveries)?)
            .index_name(source.index)
            .key_condition_expression("#partition = :partition AND begins_with(outcomeAt, :outcome)")
            .expression_attribute_names("#partition", source.partition.0)
            .expression_attribute_values(":partition", AttributeValue::S(source.partition.1.clone()))
            .expression_attribute_values(":outcome", AttributeValue::S(format!("{}#", source.outcome)))
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(source.next.take())
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error))?;
        source.read.extend(from_items::<Delivery>(page.items)?);
        source.next = page.last_evaluated_key;
        source.ended = source.next.is_none();
        Ok(())
    }

    /// The delivery that was made first of those that may still be attempted.
    pub async fn oldest_open_delivery(&self) -> Result<Option<Delivery>> {
        let oldest = (0..SHARDS).map(async |shard| {
            let page = self
                .client()
                .query()
                .table_name(self.name(Table::Deliveries)?)
                .index_name("feed")
                .key_condition_expression("feedPk = :pk AND begins_with(outcomeAt, :open)")
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
