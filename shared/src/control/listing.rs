//! Lists: always a query of one partition, of a table or of an index.

use aws_sdk_dynamodb::{
    operation::query::builders::QueryFluentBuilder,
    types::{AttributeValue, Select},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::de::DeserializeOwned;

use super::{
    Error, Result, Store, Table,
    store::{Item, SERVICE, from_item},
};

/// Where a list goes on: after the item with this sort key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(String);

impl Cursor {
    /// As text that a URL may hold.
    pub fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.0)
    }

    pub fn parse(text: &str) -> Option<Self> {
        let key = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        (1..=1024).contains(&key.len()).then_some(Self(key))
    }
}

/// A part of a list.
#[derive(Clone, Debug)]
pub struct Slice<T> {
    pub items: Vec<T>,
    /// `None` at the end of the list.
    pub next: Option<Cursor>,
}

/// Which part of a list is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Skipping(usize),
    After(Cursor),
}

/// A part of a list, and how it stands in the whole.
#[derive(Clone, Debug)]
pub struct Part<T> {
    pub items: Vec<T>,
    /// Items before the part.
    pub before: usize,
    pub total: usize,
    /// `None` at the end of the list.
    pub next: Option<Cursor>,
}

impl<T> Part<T> {
    /// The same part, each item made into something else.
    pub fn map<U>(self, shown: impl FnMut(T) -> U) -> Part<U> {
        let Self { items, before, total, next } = self;
        Part { items: items.into_iter().map(shown).collect(), before, total, next }
    }
}

/// Which list, and from which end.
pub(super) struct Listing<'a> {
    table: Table,
    index: Option<&'static str>,
    /// The names of the partition key and of the sort key.
    keys: (&'static str, &'static str),
    partition: &'a str,
    /// What the sort keys begin with.
    prefix: &'a str,
    ascending: bool,
}

impl<'a> Listing<'a> {
    /// A partition of the table itself, read strongly.
    pub(super) fn of_partition(table: Table, partition: &'a str) -> Self {
        Self { table, index: None, keys: ("pk", "sk"), partition, prefix: "", ascending: true }
    }

    /// A partition of the control table's index; what was just written may be seen a moment later.
    pub(super) fn of_index(partition: &'a str) -> Self {
        let keys = ("gsi1pk", "gsi1sk");
        Self { table: Table::Control, index: Some("gsi1"), keys, partition, prefix: "", ascending: true }
    }

    /// A partition of the control table's second index, likewise.
    pub(super) fn of_second_index(partition: &'a str) -> Self {
        let keys = ("gsi2pk", "gsi2sk");
        Self { table: Table::Control, index: Some("gsi2"), keys, partition, prefix: "", ascending: true }
    }

    pub(super) fn newest_first(self) -> Self {
        Self { ascending: false, ..self }
    }

    /// Only a part of the partition, to be read as a whole.
    pub(super) fn beginning_with(self, prefix: &'a str) -> Self {
        Self { prefix, ..self }
    }
}

impl Store {
    /// Up to `limit` items that `wanted` keeps.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        listing: Listing<'_>,
        limit: usize,
        after: Option<&Cursor>,
        wanted: impl Fn(&T) -> bool,
    ) -> Result<Slice<T>> {
        let mut found: Vec<(T, Cursor)> = Vec::new();
        let mut start = None;
        loop {
            let (items, end) = self.page(&listing, after, limit + 1, start).await?;
            for item in items {
                let (entity, cursor) = entry(&listing, item)?;
                if wanted(&entity) {
                    found.push((entity, cursor));
                }
            }
            start = end;
            if found.len() > limit || start.is_none() {
                break;
            }
        }
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|(_, cursor)| cursor.clone());
        Ok(Slice { items: found.into_iter().map(|(entity, _)| entity).collect(), next })
    }

    /// A part of a list that is short enough to be counted: all of it is read.
    pub(super) async fn list_part<T: DeserializeOwned>(
        &self,
        listing: Listing<'_>,
        place: &Place,
        limit: usize,
        wanted: impl Fn(&T) -> bool,
    ) -> Result<Part<T>> {
        let ascending = listing.ascending;
        let (mut all, mut start) = (Vec::new(), None);
        loop {
            let (items, end) = self.page(&listing, None, 1000, start).await?;
            for item in items {
                let (entity, cursor) = entry::<T>(&listing, item)?;
                if wanted(&entity) {
                    all.push((entity, cursor));
                }
            }
            start = end;
            if start.is_none() {
                break;
            }
        }
        let before = match place {
            Place::Skipping(count) => (*count).min(all.len()),
            Place::After(Cursor(last)) => {
                all.partition_point(|(_, at)| if ascending { at.0 <= *last } else { at.0 >= *last })
            }
        };
        let total = all.len();
        let part: Vec<(T, Cursor)> = all.into_iter().skip(before).take(limit).collect();
        let more = before + part.len() < total;
        let next = part.last().filter(|_| more).map(|(_, cursor)| cursor.clone());
        Ok(Part { items: part.into_iter().map(|(item, _)| item).collect(), before, total, next })
    }

    /// All items of a list that is short by its nature.
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

    /// How many items a list has.
    pub(super) async fn count_items(&self, listing: Listing<'_>) -> Result<i64> {
        let mut count = 0;
        let mut start = None;
        loop {
            let query = self.query(&listing, None)?.select(Select::Count).set_exclusive_start_key(start);
            let page = query.send().await.map_err(|error| Error::from_sdk(SERVICE, &error))?;
            count += i64::from(page.count);
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(count);
            }
        }
    }

    /// What one query answers, and where the next one goes on.
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
        let (condition, bound) = match after {
            Some(Cursor(after)) if listing.ascending => ("#pk = :pk AND #sk > :bound", after.as_str()),
            Some(Cursor(after)) => ("#pk = :pk AND #sk < :bound", after.as_str()),
            None if listing.prefix.is_empty() => ("#pk = :pk", ""),
            None => ("#pk = :pk AND begins_with(#sk, :bound)", listing.prefix),
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
        if !bound.is_empty() {
            query = query
                .expression_attribute_names("#sk", listing.keys.1)
                .expression_attribute_values(":bound", AttributeValue::S(bound.to_owned()));
        }
        Ok(query)
    }
}

/// An item with its place in the list.
fn entry<T: DeserializeOwned>(listing: &Listing<'_>, item: Item) -> Result<(T, Cursor)> {
    let key = item.get(listing.keys.1).and_then(|it| it.as_s().ok()).cloned();
    let cursor = Cursor(key.ok_or_else(|| Error::Malformed("an item without a sort key".into()))?);
    Ok((from_item(item)?, cursor))
}
