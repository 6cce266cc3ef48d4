//! Call records: one for every API call, failed ones too, written together with the usage counters.

mod search;

use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    Error, Result, Store, Table, instant,
    store::{Item, to_item},
    usage::Additions,
};
pub use search::{ActivityFilter, ActivityPage, Cursor, StatusFilter};

/// A call record is kept for 90 days.
pub const KEPT: SignedDuration = SignedDuration::from_hours(90 * 24);
/// So many partitions a day, so that none is hot.
const SHARDS: u32 = 4;
/// Calls of a batch. With two counters for each they are fewer than the 100 writes that a transaction may have.
const BATCH: usize = 25;
const TRIES: u32 = 6;

/// Never a query string or a path id: they can be PHI. Table Activity, `CALLS#<day>#<shard>` / time, id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallRecord {
    /// Ours alone: callers may give several calls the same request id.
    pub id: String,
    #[serde(with = "instant")]
    pub time: Timestamp,
    pub method: String,
    /// The route template, e.g. `/v1/{PPass}/tags`.
    pub endpoint: String,
    pub status: u16,
    pub duration_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partner_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub practicepass: Option<String>,
    /// The id of an API key that was refused. It may belong to nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempted_key_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    pub request_id: String,
    /// Whether the answer was one that is kept for an `Idempotency-Key`: the call changed nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
}

impl CallRecord {
    pub fn id_from(random: [u8; 9]) -> String {
        URL_SAFE_NO_PAD.encode(random)
    }

    /// Orders calls by time; no two calls share it.
    fn position(&self) -> String {
        format!("{}#{}", instant::text(self.time), self.id)
    }

    fn item(&self) -> Result<Item> {
        let partition = partition(&day(self.time), shard_of(&self.request_id));
        let mut item = to_item(self, &[("pk", partition), ("sk", self.position())])?;
        let expiry = self.time.saturating_add(KEPT).unwrap_or(Timestamp::MAX);
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

/// Calls that are written all or none. A batch that could not be written must be tried again as it is: the store may hold
/// it all the same, and knows it by its records.
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

    /// The records, each on the condition that it is new, and what they add to the counters of `shard`.
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
    /// Writes a batch with what it adds to the counters, once, however often it is tried: all in one transaction that the
    /// records themselves guard.
    ///
    /// # Errors
    /// When it can't be known to be written; it may be.
    pub async fn record_calls(&self, batch: &CallBatch) -> Result<()> {
        let Some(first) = batch.0.first() else { return Ok(()) };
        let table = self.name(Table::Activity)?;
        let shard = crc32fast::hash(first.id.as_bytes());
        for attempt in 0.. {
            // Another shard of the counters each time: what a transaction mostly meets is another one at a counter.
            let writes = batch.writes(table, shard.wrapping_add(attempt * 7))?;
            match self.transact(writes).await {
                // The answer to an earlier try was lost.
                Ok(()) | Err(Error::ConditionFailed) => break,
                Err(Error::Unavailable { .. }) if attempt + 1 < TRIES => {
                    tokio::time::sleep(Duration::from_millis(20 << attempt)).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
