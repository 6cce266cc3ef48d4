//! What is soon forgotten: rate windows and counts of failed log-ins.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use jiff::Timestamp;
use serde::Deserialize;

use super::{
    Error, Result, Store, Table,
    store::{SERVICE, pk},
};

/// How long a count outlives its window, in seconds, before DynamoDB may delete it.
const KEPT_SECONDS: i64 = 600;

impl Store {
    /// Adds to the count of `name` in the window that begins at `window` (Unix seconds); the count afterwards.
    pub async fn add_to_window(&self, name: &str, window: i64, count: u64) -> Result<u64> {
        let output = self
            .client()
            .update_item()
            .table_name(self.name(Table::Ledger)?)
            .set_key(Some(pk(format!("WINDOW#{name}#{window}"))))
            .update_expression("ADD used :count SET expiresAt = :expiry")
            .expression_attribute_values(":count", AttributeValue::N(count.to_string()))
            .expression_attribute_values(":expiry", AttributeValue::N((window + KEPT_SECONDS).to_string()))
            .return_values(ReturnValue::UpdatedNew)
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error))?;
        output
            .attributes()
            .and_then(|it| it.get("used")?.as_n().ok()?.parse().ok())
            .ok_or_else(|| Error::Malformed("a rate window".into()))
    }

    /// The count of `name` in the window that begins at `window`, strongly read.
    pub async fn window(&self, name: &str, window: i64) -> Result<u64> {
        #[derive(Deserialize)]
        struct Window {
            used: u64,
        }
        let found: Option<Window> =
            self.get(Table::Ledger, pk(format!("WINDOW#{name}#{window}")), true).await?;
        Ok(found.map_or(0, |window| window.used))
    }
}

/// The start of the window of `seconds` that `now` lies in, in Unix seconds.
pub fn window_start(now: Timestamp, seconds: i64) -> i64 {
    now.as_second() - now.as_second().rem_euclid(seconds)
}
