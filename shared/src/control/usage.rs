//! Usage counters per day (UTC): by route, and by partner and key.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem, Update};
use futures::{StreamExt, TryStreamExt, future::try_join_all, stream};
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};

use super::{
    Error, Result, Store, Table,
    call_record::CallRecord,
    store::{Item, SERVICE, key},
};
use crate::domain::{
    ids::{KeyId, PartnerId},
    usage::Usage,
};

/// How long counters are kept: 400 days.
const RETENTION: SignedDuration = SignedDuration::from_hours(400 * 24);
/// Partitions for a day's routes, to avoid hot partitions and transaction conflicts.
const SHARDS: u32 = 16;
/// Shards for a key's day, which has fewer calls.
const KEY_SHARDS: u32 = 4;
/// Days to read concurrently.
const DAYS_AT_ONCE: usize = 4;
/// The prefix of attributes with a bucket of the latency histogram: `upTo<milliseconds>`.
const BUCKET: &str = "upTo";

/// A route's usage on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteUsage {
    pub method: String,
    /// The route template.
    pub endpoint: String,
    pub usage: Usage,
}

/// A key's usage on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUsage {
    pub day: Date,
    pub key: KeyId,
    pub usage: Usage,
}

/// A counter in table Activity.
///
/// A route's counter is at `USAGE#<day>#<shard>` / method, endpoint; a key's at `USAGE#<partner>` /
/// day, key, shard.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Counter<'a> {
    Route { day: Date, method: &'a str, endpoint: &'a str },
    Key { day: Date, partner: &'a str, key: &'a str },
}

impl Counter<'_> {
    fn place(&self, shard: u32) -> Item {
        match self {
            Self::Route { day, method, endpoint } => {
                key(day_partition(*day, shard % SHARDS), format!("{method} {endpoint}"))
            }
            Self::Key { day, partner, key: id } => {
                key(partner_partition(partner), format!("{day}#{id}#{}", shard % KEY_SHARDS))
            }
        }
    }

    fn day(&self) -> Date {
        let (Self::Route { day, .. } | Self::Key { day, .. }) = self;
        *day
    }
}

fn day_partition(day: Date, shard: u32) -> String {
    format!("USAGE#{day}#{shard}")
}

fn partner_partition(partner: &str) -> String {
    format!("USAGE#{partner}")
}

/// The amounts that calls add to the counters.
pub(super) struct Additions<'a>(BTreeMap<Counter<'a>, Usage>);

impl<'a> Additions<'a> {
    pub(super) fn of(records: &'a [CallRecord]) -> Self {
        let mut additions: BTreeMap<Counter<'a>, Usage> = BTreeMap::new();
        for record in records {
            let day = TimeZone::UTC.to_datetime(record.time).date();
            let mut note = |counter| {
                additions.entry(counter).or_default().note(record.status, record.duration_ms);
            };
            note(Counter::Route { day, method: &record.method, endpoint: &record.endpoint });
            if let (Some(partner), Some(key)) = (&record.partner_id, &record.key_id) {
                note(Counter::Key { day, partner, key });
            }
        }
        Self(additions)
    }

    pub(super) fn writes(&self, table: &str, shard: u32) -> Result<Vec<TransactWriteItem>> {
        self.0
            .iter()
            .map(|(counter, usage)| {
                let update = add(usage)
                    .table_name(table)
                    .set_key(Some(counter.place(shard)))
                    .expression_attribute_values(":expiry", AttributeValue::N(expiry(counter.day())))
                    .build()
                    .map_err(|error| Error::Malformed(error.to_string()))?;
                Ok(TransactWriteItem::builder().update(update).build())
            })
            .collect()
    }
}

fn add(usage: &Usage) -> aws_sdk_dynamodb::types::builders::UpdateBuilder {
    let sums = [
        ("calls".to_owned(), usage.calls),
        ("clientErrors".to_owned(), usage.client_errors),
        ("serverErrors".to_owned(), usage.server_errors),
        ("durationMs".to_owned(), usage.duration_ms),
    ];
    let buckets = usage.latency.iter().map(|(upper, calls)| (format!("{BUCKET}{upper}"), *calls));
    let parts: Vec<(String, u64)> = sums.into_iter().chain(buckets).filter(|(_, count)| *count > 0).collect();
    let names: Vec<String> = parts.iter().map(|(name, _)| format!("{name} :{name}")).collect();
    parts.iter().fold(
        Update::builder().update_expression(format!("ADD {} SET expiresAt = :expiry", names.join(", "))),
        |update, (name, count)| {
            update.expression_attribute_values(format!(":{name}"), AttributeValue::N(count.to_string()))
        },
    )
}

fn expiry(day: Date) -> String {
    let end = day.at(0, 0, 0, 0).to_zoned(TimeZone::UTC).map_or(Timestamp::MAX, |it| it.timestamp());
    end.saturating_add(RETENTION).unwrap_or(Timestamp::MAX).as_second().to_string()
}

fn usage_of(item: &Item) -> Result<Usage> {
    let mut usage = Usage::default();
    for (name, value) in item {
        let AttributeValue::N(number) = value else { continue };
        let count = || number.parse().map_err(|_| Error::Malformed(format!("the counter {name}")));
        match name.as_str() {
            "calls" => usage.calls = count()?,
            "clientErrors" => usage.client_errors = count()?,
            "serverErrors" => usage.server_errors = count()?,
            "durationMs" => usage.duration_ms = count()?,
            name => {
                if let Some(upper) = name.strip_prefix(BUCKET).and_then(|it| it.parse().ok()) {
                    usage.latency.insert(upper, count()?);
                }
            }
        }
    }
    Ok(usage)
}

fn sort_key(item: &Item) -> Result<&str> {
    let text = item.get("sk").and_then(|it| it.as_s().ok()).map(String::as_str);
    text.ok_or_else(|| Error::Malformed("a usage counter".into()))
}

impl Store {
    /// Returns the usage of a day by route, in no particular order.
    async fn usage_of_day(&self, day: Date) -> Result<Vec<RouteUsage>> {
        let shards = try_join_all((0..SHARDS).map(|shard| self.counters(day_partition(day, shard), None)));
        let mut routes: BTreeMap<(String, String), Usage> = BTreeMap::new();
        for item in shards.await?.into_iter().flatten() {
            let (method, endpoint) =
                sort_key(&item)?.split_once(' ').ok_or_else(|| Error::Malformed("a usage counter".into()))?;
            routes.entry((method.to_owned(), endpoint.to_owned())).or_default().add(&usage_of(&item)?);
        }
        let usage =
            routes.into_iter().map(|((method, endpoint), usage)| RouteUsage { method, endpoint, usage });
        Ok(usage.collect())
    }

    /// Returns the usage of each day by route.
    pub async fn usage_of_days(&self, days: Vec<Date>) -> Result<Vec<(Date, Vec<RouteUsage>)>> {
        let usage = |day| async move { Ok((day, self.usage_of_day(day).await?)) };
        stream::iter(days).map(usage).buffered(DAYS_AT_ONCE).try_collect().await
    }

    /// Returns the daily usage of a partner's keys from `first` to `last`, inclusive.
    pub async fn usage_of_partner(
        &self,
        partner: &PartnerId,
        first: Date,
        last: Date,
    ) -> Result<Vec<KeyUsage>> {
        let malformed = || Error::Malformed("a usage counter".into());
        let days = (format!("{first}#"), format!("{last}$"));
        let mut keys: BTreeMap<(Date, KeyId), Usage> = BTreeMap::new();
        for item in self.counters(partner_partition(partner.as_str()), Some(days)).await? {
            let mut parts = sort_key(&item)?.split('#');
            let day = parts.next().and_then(|it| it.parse().ok()).ok_or_else(malformed)?;
            let key = parts.next().map(|it| KeyId(it.to_owned())).ok_or_else(malformed)?;
            keys.entry((day, key)).or_default().add(&usage_of(&item)?);
        }
        Ok(keys.into_iter().map(|((day, key), usage)| KeyUsage { day, key, usage }).collect())
    }

    /// Returns all counters of a partition, or those whose sort key is between two values.
    async fn counters(&self, partition: String, between: Option<(String, String)>) -> Result<Vec<Item>> {
        let mut query = self
            .client()
            .query()
            .table_name(self.name(Table::Activity)?)
            .expression_attribute_values(":pk", AttributeValue::S(partition));
        query = match between {
            Some((first, last)) => query
                .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
                .expression_attribute_values(":first", AttributeValue::S(first))
                .expression_attribute_values(":last", AttributeValue::S(last)),
            None => query.key_condition_expression("pk = :pk"),
        };
        let items: std::result::Result<Vec<Item>, _> = query.into_paginator().items().send().collect().await;
        items.map_err(|error| Error::from_sdk(SERVICE, &error))
    }
}
