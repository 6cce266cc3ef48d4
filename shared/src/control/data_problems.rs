//! Unreadable rows of the EMR, as administrators see them.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde::Deserialize;

use super::{
    Error, Result, Store, Table, instant,
    listing::Listing,
    store::{SERVICE, key},
};
use crate::domain::PracticePass;

/// The partition of all items.
const PARTITION: &str = "DATA_PROBLEMS";
/// Takes the place of the practice for the catalog. No practice can have this name.
const CATALOG: &str = "-";
/// Yesterday's rows still count; rows of the day before may have been repaired.
const COUNTED: SignedDuration = SignedDuration::from_hours(24);
/// The most items to read at once: one for each table and day.
const MOST_READ: usize = 1_000;
/// The most distinct rows in an item, which must stay small.
const MOST_ROWS: usize = 500;

/// Rows of one table that were unreadable yesterday or today.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataProblems {
    /// `None` for the catalog.
    pub practicepass: Option<PracticePass>,
    pub table: String,
    /// The number of distinct rows; 500 means 500 or more.
    pub count: usize,
    /// The primary key of the last unreadable row.
    pub last_id: String,
    pub last_seen_at: Timestamp,
}

/// Table Control, `DATA_PROBLEMS` / practice, table, day.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    practicepass: Option<PracticePass>,
    table_name: String,
    row_ids: BTreeSet<String>,
    last_id: String,
    #[serde(with = "instant")]
    last_seen_at: Timestamp,
}

impl Store {
    /// Records unreadable rows. For a table with too many of them only the last one is updated.
    pub async fn record_data_problems(
        &self,
        practicepass: Option<&PracticePass>,
        table: &str,
        ids: &[String],
        now: Timestamp,
    ) -> Result<()> {
        let Some(last) = ids.last() else { return Ok(()) };
        let day = TimeZone::UTC.to_datetime(now).date();
        let practice = practicepass.map_or(CATALOG, PracticePass::as_str);
        let place = key(PARTITION, format!("{practice}#{table}#{day}"));
        let expiry = now.saturating_add(3 * COUNTED).unwrap_or(Timestamp::MAX);
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let set = "SET tableName = :table, lastId = :last, lastSeenAt = :now, expiresAt = :expiry";
        let set =
            if practicepass.is_some() { format!("{set}, practicepass = :practice") } else { set.to_owned() };
        let update = |expression: String| {
            let update = self
                .client()
                .update_item()
                .set_key(Some(place.clone()))
                .update_expression(expression)
                .expression_attribute_values(":table", text(table))
                .expression_attribute_values(":last", text(last))
                .expression_attribute_values(":now", text(&instant::text(now)))
                .expression_attribute_values(":expiry", AttributeValue::N(expiry.as_second().to_string()));
            if practicepass.is_some() {
                return update.expression_attribute_values(":practice", text(practice));
            }
            update
        };
        let room = MOST_ROWS.saturating_sub(ids.len().min(MOST_ROWS));
        let added = update(format!("{set} ADD rowIds :ids"))
            .table_name(self.name(Table::Control)?)
            .condition_expression("attribute_not_exists(rowIds) OR size(rowIds) <= :room")
            .expression_attribute_values(":room", AttributeValue::N(room.to_string()))
            .expression_attribute_values(
                ":ids",
                AttributeValue::Ss(
                    ids.iter().take(MOST_ROWS).cloned().collect::<BTreeSet<_>>().into_iter().collect(),
                ),
            )
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error));
        match added {
            Err(Error::ConditionFailed) => {
                let full = update(set).table_name(self.name(Table::Control)?);
                full.send().await.map_err(|error| Error::from_sdk(SERVICE, &error))?;
                Ok(())
            }
            added => added.map(|_| ()),
        }
    }

    /// Returns up to `limit` tables with unreadable rows, of all practices or of one.
    ///
    /// They are ordered by practice; the catalog comes first.
    pub async fn data_problems(
        &self,
        practicepass: Option<&PracticePass>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<DataProblems>> {
        let prefix = practicepass.map(|it| format!("{it}#")).unwrap_or_default();
        let listing = Listing::of_partition(Table::Control, PARTITION).beginning_with(&prefix);
        let day = TimeZone::UTC.to_datetime(now.saturating_sub(COUNTED).unwrap_or(Timestamp::MIN)).date();
        let items = self.list(listing, MOST_READ, None, |item: &Item| {
            TimeZone::UTC.to_datetime(item.last_seen_at).date() >= day
        });
        let mut tables: BTreeMap<(Option<PracticePass>, String), Vec<Item>> = BTreeMap::new();
        for item in items.await?.items {
            tables.entry((item.practicepass.clone(), item.table_name.clone())).or_default().push(item);
        }
        let counted = tables.into_iter().filter_map(|((practicepass, table), items)| {
            let rows: BTreeSet<&String> = items.iter().flat_map(|it| &it.row_ids).collect();
            let count = rows.len().min(MOST_ROWS);
            let last = items.iter().max_by_key(|it| it.last_seen_at)?;
            let (last_id, last_seen_at) = (last.last_id.clone(), last.last_seen_at);
            Some(DataProblems { practicepass, table, count, last_id, last_seen_at })
        });
        Ok(counted.take(limit).collect())
    }
}
