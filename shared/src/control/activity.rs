//! Call records: one for every API call, failed ones too.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    Error, Result, Store, Table,
    store::{SERVICE, from_items, to_item},
};

/// A call record is kept for 90 days.
const KEPT: SignedDuration = SignedDuration::from_hours(90 * 24);
/// So many partitions an hour, so that none is hot.
pub const SHARDS: u32 = 4;
/// DynamoDB takes at most so many items in one batch.
const BATCH: usize = 25;

/// Never a query string or a path id: they can be PHI. Table Activity, `CALLS#<hour>#<shard>` / time, request id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallRecord {
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    pub request_id: String,
}

impl CallRecord {
    fn item(&self) -> Result<super::store::Item> {
        let shard = crc32fast::hash(self.request_id.as_bytes()) % SHARDS;
        let hour = self.time.strftime("%Y-%m-%dT%H");
        let mut item = to_item(
            self,
            &[
                ("pk", format!("CALLS#{hour}#{shard}")),
                ("sk", format!("{:.3}#{}", self.time, self.request_id)),
            ],
        )?;
        let expiry = self.time.saturating_add(KEPT).unwrap_or(Timestamp::MAX);
        item.insert("expiresAt".to_owned(), AttributeValue::N(expiry.as_second().to_string()));
        Ok(item)
    }
}

impl Store {
    /// The calls of an hour (`YYYY-MM-DDTHH`, UTC), in no order over shards.
    pub async fn calls_of_hour(&self, hour: &str) -> Result<Vec<CallRecord>> {
        let mut records = Vec::new();
        for shard in 0..SHARDS {
            let mut pages = self
                .client()
                .query()
                .table_name(self.name(Table::Activity)?)
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", AttributeValue::S(format!("CALLS#{hour}#{shard}")))
                .into_paginator()
                .send();
            while let Some(page) = pages.next().await {
                let page = page.map_err(|error| Error::from_sdk(SERVICE, &error))?;
                records.extend(from_items::<CallRecord>(page.items)?);
            }
        }
        Ok(records)
    }

    /// Writes the records in batches; those that DynamoDB left unprocessed are tried again, five times in all.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when some could not be written even so.
    pub async fn record_calls(&self, records: &[CallRecord]) -> Result<()> {
        let table = self.name(Table::Activity)?;
        for chunk in records.chunks(BATCH) {
            let mut open = chunk
                .iter()
                .map(|record| {
                    let put = PutRequest::builder()
                        .set_item(Some(record.item()?))
                        .build()
                        .map_err(|error| Error::Malformed(error.to_string()))?;
                    Ok(WriteRequest::builder().put_request(put).build())
                })
                .collect::<Result<Vec<_>>>()?;
            for attempt in 0..5_u64 {
                tokio::time::sleep(Duration::from_millis(50 * attempt * attempt)).await;
                let output = self
                    .client()
                    .batch_write_item()
                    .set_request_items(Some(HashMap::from([(table.to_owned(), open)])))
                    .send()
                    .await
                    .map_err(|error| Error::from_sdk(SERVICE, &error))?;
                open = output.unprocessed_items.and_then(|mut it| it.remove(table)).unwrap_or_default();
                if open.is_empty() {
                    break;
                }
            }
            if !open.is_empty() {
                return Err(Error::Unavailable { service: SERVICE, reason: "unprocessed items".into() });
            }
        }
        Ok(())
    }
}
