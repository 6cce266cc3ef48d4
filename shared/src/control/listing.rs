//! Lists: each is a query of one partition of a table or index.

use aws_sdk_dynamodb::{
    operation::query::builders::QueryFluentBuilder,
    types::{AttributeValue, Select},
};
use futures::future::try_join_all;
use serde::de::DeserializeOwned;

use super::{
    Cursor, Error, Result, Store, Table,
    store::{Item, SERVICE, from_item},
};

/// A page of a list.
#[derive(Clone, Debug)]
pub struct ListPage<T> {
    pub items: Vec<T>,
    /// `None` at the end of the list.
    pub next: Option<Cursor>,
}

impl<T> ListPage<T> {
    /// Returns the same page with each item converted.
    pub fn map<U>(self, shown: impl FnMut(T) -> U) -> ListPage<U> {
        ListPage { items: self.items.into_iter().map(shown).collect(), next: self.next }
    }
}

/// About how many items a page examines.
///
/// If few items meet a condition, a page can be short, even empty, although more pages follow.
const MOST_EXAMINED: usize = 1_000;
/// Items per query when there is a condition.
const EXAMINED_AT_ONCE: usize = 250;
/// Counting stops at this number of items.
pub(super) const MOST_COUNTED: i64 = 10_000;
const COUNTED_AT_ONCE: i32 = 1_000;

/// A list and its direction.
pub(super) struct Listing<'a> {
    table: Table,
    index: Option<&'static str>,
    /// The names of the partition key and of the sort key.
    keys: (&'static str, &'static str),
    partition: &'a str,
    /// The prefix of the sort keys.
    prefix: &'a str,
    ascending: bool,
}

impl<'a> Listing<'a> {
    /// A partition of the table itself, read with strong consistency.
    pub(super) fn of_partition(table: Table, partition: &'a str) -> Self {
        Self { table, index: None, keys: ("pk", "sk"), partition, prefix: "", ascending: true }
    }

    /// A partition of the control table's first index. Recent writes may appear a moment later.
    pub(super) fn of_index(partition: &'a str) -> Self {
        let keys = ("gsi1pk", "gsi1sk");
        Self { table: Table::Control, index: Some("gsi1"), keys, partition, prefix: "", ascending: true }
    }

    /// A partition of the control table's second index. Recent writes may appear a moment later.
    pub(super) fn of_second_index(partition: &'a str) -> Self {
        let keys = ("gsi2pk", "gsi2sk");
        Self { table: Table::Control, index: Some("gsi2"), keys, partition, prefix: "", ascending: true }
    }

    /// A partition of the list of subscriptions that are held back. Recent writes may appear a
    /// moment later.
    pub(super) fn of_held_back(partition: &'a str) -> Self {
        let keys = ("heldBackPk", "heldBackSk");
        Self { table: Table::Control, index: Some("heldBack"), keys, partition, prefix: "", ascending: true }
    }

    pub(super) fn newest_first(self) -> Self {
        Self { ascending: false, ..self }
    }

    /// Limits the list to sort keys with a prefix.
    pub(super) fn beginning_with(self, prefix: &'a str) -> Self {
        Self { prefix, ..self }
    }
}

impl Store {
    /// Returns up to `limit` items that meet `wanted`; bounded for any list, see [`MOST_EXAMINED`].
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        listing: Listing<'_>,
        limit: usize,
        after: Option<&Cursor>,
        wanted: impl Fn(&T) -> bool,
    ) -> Result<ListPage<T>> {
        let mut found: Vec<(T, Cursor)> = Vec::new();
        let (mut examined, mut reached, mut start) = (0, None, None);
        let mut at_once = limit + 1;
        loop {
            let (items, end) = self.page(&listing, after, at_once, start).await?;
            examined += items.len();
            for item in items {
                let (entity, cursor) = entry(&listing, item)?;
                reached = Some(cursor.clone());
                if after != Some(&cursor) && wanted(&entity) {
                    found.push((entity, cursor));
                }
            }
            start = end;
            if found.len() > limit || start.is_none() || examined >= MOST_EXAMINED.max(limit + 1) {
                break;
            }
            at_once = EXAMINED_AT_ONCE;
        }
        let next = if found.len() > limit {
            found.truncate(limit);
            found.last().map(|(_, cursor)| cursor.clone())
        } else {
            reached.filter(|_| start.is_some())
        };
        Ok(ListPage { items: found.into_iter().map(|(entity, _)| entity).collect(), next })
    }

    /// Returns up to `limit` matching items among the first `most`, for rarely met conditions.
    pub(super) async fn find<T: DeserializeOwned>(
        &self,
        listing: Listing<'_>,
        (limit, most): (usize, i64),
        wanted: impl Fn(&T) -> bool,
    ) -> Result<Vec<T>> {
        let (mut found, mut examined, mut start) = (Vec::new(), 0, None);
        loop {
            let (items, end) = self.page(&listing, None, 1_000, start).await?;
            examined += i64::try_from(items.len()).unwrap_or(most);
            for item in items {
                let entity: T = from_item(item)?;
                if wanted(&entity) {
                    found.push(entity);
                }
            }
            start = end;
            if found.len() >= limit || start.is_none() || examined >= most {
                found.truncate(limit);
                return Ok(found);
            }
        }
    }

    /// Returns all items of a list of any size, page by page.
    ///
    /// For work on every item, never for a response.
    pub(super) async fn list_all<T: DeserializeOwned>(&self, listing: Listing<'_>) -> Result<Vec<T>> {
        let mut all = Vec::new();
        let mut start = None;
        loop {
            let (items, end) = self.page(&listing, None, 1000, start).await?;
            all.extend(items.into_iter().map(from_item).collect::<Result<Vec<T>>>()?);
            start = end;
            if start.is_none() {
                return Ok(all);
            }
        }
    }

    /// Counts the items of all lists together; [`MOST_COUNTED`] means that many or more.
    ///
    /// Reads the lists side by side, and no further than that number.
    pub(super) async fn count_items(&self, listings: Vec<Listing<'_>>) -> Result<i64> {
        let mut left: Vec<(Listing<'_>, Option<Item>)> = listings.into_iter().map(|it| (it, None)).collect();
        let mut count = 0;
        while !left.is_empty() && count < MOST_COUNTED {
            let pages = left.into_iter().map(async |(listing, start)| {
                let query = self.query(&listing, None)?.select(Select::Count).limit(COUNTED_AT_ONCE);
                let page = query.set_exclusive_start_key(start).send().await;
                let page = page.map_err(|error| Error::from_sdk(SERVICE, &error))?;
                Ok::<_, Error>((
                    i64::from(page.count),
                    page.last_evaluated_key.map(|end| (listing, Some(end))),
                ))
            });
            let (counts, next): (Vec<i64>, Vec<_>) = try_join_all(pages).await?.into_iter().unzip();
            count += counts.into_iter().sum::<i64>();
            left = next.into_iter().flatten().collect();
        }
        Ok(count.min(MOST_COUNTED))
    }

    /// Returns the items of one query, and the key where the next one continues.
    async fn page(
        &self,
        listing: &Listing<'_>,
        after: Option<&Cursor>,
        limit: usize,
        start: Option<Item>,
    ) -> Result<(Vec<Item>, Option<Item>)> {
        let query = self.query(listing, after)?;
        let query = query.limit(i32::try_from(limit).unwrap_or(i32::MAX)).set_exclusive_start_key(start);
        let page = query.send().await.map_err(|error| Error::from_sdk(SERVICE, &error))?;
        Ok((page.items.unwrap_or_default(), page.last_evaluated_key))
    }

    fn query(&self, listing: &Listing<'_>, after: Option<&Cursor>) -> Result<QueryFluentBuilder> {
        let after = after.map(|Cursor(after)| after.as_str());
        // BETWEEN includes both ends, so the caller skips the item at the cursor.
        let last = format!("{}{}", listing.prefix, char::MAX);
        let (condition, bounds) = match after {
            None if listing.prefix.is_empty() => ("#pk = :pk", vec![]),
            None => ("#pk = :pk AND begins_with(#sk, :low)", vec![(":low", listing.prefix)]),
            Some(after) if listing.prefix.is_empty() && listing.ascending => {
                ("#pk = :pk AND #sk > :low", vec![(":low", after)])
            }
            Some(after) if listing.prefix.is_empty() => ("#pk = :pk AND #sk < :high", vec![(":high", after)]),
            Some(after) if listing.ascending => (
                "#pk = :pk AND #sk BETWEEN :low AND :high",
                vec![(":low", after.max(listing.prefix).min(&last)), (":high", last.as_str())],
            ),
            Some(after) => (
                "#pk = :pk AND #sk BETWEEN :low AND :high",
                vec![(":low", listing.prefix), (":high", after.min(&last).max(listing.prefix))],
            ),
        };
        let mut query = self
            .client()
            .query()
            .table_name(self.name(listing.table)?)
            .set_index_name(listing.index.map(str::to_owned))
            .consistent_read(listing.index.is_none())
            .key_condition_expression(condition)
            .expression_attribute_names("#pk", listing.keys.0)
            .expression_attribute_values(":pk", AttributeValue::S(listing.partition.to_owned()))
            .scan_index_forward(listing.ascending);
        if !bounds.is_empty() {
            query = query.expression_attribute_names("#sk", listing.keys.1);
        }
        for (name, bound) in bounds {
            query = query.expression_attribute_values(name, AttributeValue::S(bound.to_owned()));
        }
        Ok(query)
    }
}

/// Decodes an item, with its position in the list.
fn entry<T: DeserializeOwned>(listing: &Listing<'_>, item: Item) -> Result<(T, Cursor)> {
    let key = item.get(listing.keys.1).and_then(|it| it.as_s().ok()).cloned();
    let cursor = Cursor(key.ok_or_else(|| Error::Malformed("an item without a sort key".into()))?);
    Ok((from_item(item)?, cursor))
}
