//! Call records: one for every API call, also failed ones, written with the usage counters.

mod search;

use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use jiff::{SignedDuration, Timestamp};

pub use super::call_record::CallRecord;
use super::{
    Error, Result, Store, Table,
    store::{Item, to_item},
    usage::Additions,
};
pub use search::{ActivityFilter, ActivityPage, StatusFilter};

/// How long a call record is kept: 90 days.
pub const RETENTION: SignedDuration = SignedDuration::from_hours(90 * 24);
/// Partitions per day, to avoid a hot partition.
const SHARDS: u32 = 4;
/// Calls per batch.
///
/// With two counters each they stay below the 100 writes that a transaction allows.
const BATCH: usize = 25;
const MAX_ATTEMPTS: u32 = 6;

impl CallRecord {
    fn item(&self) -> Result<Item> {
        let partition = partition(&day(self.time), shard_of(&self.request_id));
        let mut item = to_item(self, &[("pk", partition), ("sk", self.position())])?;
        let expiry = self.time.saturating_add(RETENTION).unwrap_or(Timestamp::MAX);
        item.insert("expiresAt".to_owned(), AttributeValue::N(expiry.as_second().to_string()));
        Ok(item)
    }
}

fn day(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d").to_string()
}

fn shard_of(request_id: &str) -> u32 {
    crc32fast::hash(request_id.as_bytes()) % SHARDS
}

fn partition(day: &str, shard: u32) -> String {
    format!("CALLS#{day}#{shard}")
}

/// Calls that are written atomically.
///
/// A batch whose write failed must be retried unchanged: it may have been stored, and its
/// records identify it.
#[derive(Clone, Debug)]
pub struct CallBatch(Vec<CallRecord>);

impl CallBatch {
    pub fn seal(records: &[CallRecord]) -> Vec<Self> {
        records.chunks(BATCH).map(|chunk| Self(chunk.to_vec())).collect()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Builds the writes of the records, which must be new, and of their additions to a shard.
    fn writes(&self, table: &str, shard: u32) -> Result<Vec<TransactWriteItem>> {
        let mut writes = Vec::new();
        for record in &self.0 {
            let put = Put::builder()
                .table_name(table)
                .set_item(Some(record.item()?))
                .condition_expression("attribute_not_exists(pk)")
                .build()
                .map_err(|error| Error::Malformed(error.to_string()))?;
            writes.push(TransactWriteItem::builder().put(put).build());
        }
        writes.extend(Additions::of(&self.0).writes(table, shard)?);
        Ok(writes)
    }
}

impl Store {
    /// Writes a batch and its additions to the counters exactly once, however often it is retried.
    ///
    /// Everything is in one transaction, guarded by the condition that the records are new.
    ///
    /// # Errors
    /// If it is not certain that the batch was written; it may have been.
    pub async fn record_calls(&self, batch: &CallBatch) -> Result<()> {
        let Some(first) = batch.0.first() else { return Ok(()) };
        let table = self.name(Table::Activity)?;
        let shard = crc32fast::hash(first.id.as_bytes());
        for attempt in 0.. {
            // Use another counter shard for each attempt: most transaction conflicts are at a
            // counter.
            let writes = batch.writes(table, shard.wrapping_add(attempt * 7))?;
            match self.transact(writes).await {
                // On ConditionFailed, the response to an earlier attempt was lost.
                Ok(()) | Err(Error::ConditionFailed) => break,
                Err(Error::Unavailable { .. }) if attempt + 1 < MAX_ATTEMPTS => {
                    tokio::time::sleep(Duration::from_millis(20 << attempt)).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
