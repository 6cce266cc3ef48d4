//! Short-lived items: rate windows and counts of failed logins.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use jiff::Timestamp;
use serde::Deserialize;

use super::{
    Error, Result, Store, Table,
    store::{SERVICE, pk},
};

/// How long a count is kept from the start of its window, in seconds: longer than any window.
const RETENTION_SECONDS: i64 = 2 * 3600;

impl Store {
    /// Adds to a window's count of `name`; returns the new count.
    ///
    /// `window` is its start in Unix seconds.
    pub async fn add_to_window(&self, name: &str, window: i64, count: u64) -> Result<u64> {
        self.change_window(name, window, count.to_string()).await
    }

    /// Reverses an addition; returns the new count.
    pub async fn take_from_window(&self, name: &str, window: i64, count: u64) -> Result<u64> {
        self.change_window(name, window, format!("-{count}")).await
    }

    async fn change_window(&self, name: &str, window: i64, change: String) -> Result<u64> {
        let output = self
            .client()
            .update_item()
            .table_name(self.name(Table::Ephemeral)?)
            .set_key(Some(pk(format!("WINDOW#{name}#{window}"))))
            .update_expression("ADD used :change SET expiresAt = :expiry")
            .expression_attribute_values(":change", AttributeValue::N(change))
            .expression_attribute_values(
                ":expiry",
                AttributeValue::N((window + RETENTION_SECONDS).to_string()),
            )
            .return_values(ReturnValue::UpdatedNew)
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error))?;
        output
            .attributes()
            .and_then(|it| it.get("used")?.as_n().ok()?.parse().ok())
            .ok_or_else(|| Error::Malformed("a rate window".into()))
    }

    /// Records until `expires_at` that `pair`, an address and a secret, has authenticated.
    pub async fn prove(&self, pair: &str, expires_at: Timestamp) -> Result<()> {
        self.client()
            .update_item()
            .table_name(self.name(Table::Ephemeral)?)
            .set_key(Some(pk(format!("PROOF#{pair}"))))
            .update_expression("SET expiresAt = :expiry")
            .expression_attribute_values(":expiry", AttributeValue::N(expires_at.as_second().to_string()))
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error))?;
        Ok(())
    }

    /// Whether `pair` has authenticated and the record has not expired.
    pub async fn is_proven(&self, pair: &str, now: Timestamp) -> Result<bool> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Proof {
            expires_at: i64,
        }
        let found: Option<Proof> = self.get(Table::Ephemeral, pk(format!("PROOF#{pair}")), true).await?;
        Ok(found.is_some_and(|proof| now.as_second() < proof.expires_at))
    }
}

/// Returns the start of the window of `seconds` that contains `now`, in Unix seconds.
pub fn window_start(now: Timestamp, seconds: i64) -> i64 {
    now.as_second() - now.as_second().rem_euclid(seconds)
}
