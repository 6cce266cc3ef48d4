//! Stored responses to idempotent requests that change the control plane.
//!
//! Table Ephemeral, `ANSWER#<hash>`.

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Error, Result, Store, Table,
    store::{SERVICE, pk, to_item},
};
use crate::{
    auth::sha256_hex,
    domain::idempotency::{RequestKey, StoredResponse},
};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResponseRow {
    body_hash: String,
    status: i64,
    /// `None` while the first request is in progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    response: Option<String>,
    /// Unix seconds; DynamoDB deletes the item some time later.
    expires_at: i64,
}

impl ResponseRow {
    fn new(key: &RequestKey, status: u16, response: Option<&str>, expires_at: Timestamp) -> Self {
        Self {
            body_hash: key.body_hash.clone(),
            status: status.into(),
            response: response.map(str::to_owned),
            expires_at: expires_at.as_second(),
        }
    }

    fn stored(self) -> Option<StoredResponse> {
        Some(StoredResponse { body_hash: self.body_hash, status: self.status, response: self.response? })
    }
}

/// The result of claiming an idempotency key.
#[derive(Clone, Debug)]
pub enum ResponseClaim {
    /// The caller owns the key, and must do the work and store the response.
    Ours,
    Stored(StoredResponse),
    /// The first request with the key is in progress.
    Busy,
}

fn place(key: &RequestKey) -> String {
    format!("ANSWER#{}", sha256_hex(key.identity().as_bytes()))
}

impl Store {
    /// Returns the stored response for this key, unless it has expired.
    pub async fn stored_response(&self, key: &RequestKey, now: Timestamp) -> Result<Option<StoredResponse>> {
        let found: Option<ResponseRow> = self.get(Table::Ephemeral, pk(place(key)), true).await?;
        Ok(found.filter(|answer| now.as_second() < answer.expires_at).and_then(ResponseRow::stored))
    }

    /// Claims this key until `until`, for work whose effect is outside our transactions.
    pub async fn claim_key(
        &self,
        key: &RequestKey,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<ResponseClaim> {
        let claim = ResponseRow::new(key, 0, None, until);
        let claimed = self
            .client()
            .put_item()
            .table_name(self.name(Table::Ephemeral)?)
            .set_item(Some(to_item(&claim, &[("pk", place(key))])?))
            .condition_expression("attribute_not_exists(pk) OR expiresAt <= :now")
            .expression_attribute_values(":now", AttributeValue::N(now.as_second().to_string()))
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error));
        match claimed {
            Ok(_) => Ok(ResponseClaim::Ours),
            Err(Error::ConditionFailed) => {
                Ok(self.stored_response(key, now).await?.map_or(ResponseClaim::Busy, ResponseClaim::Stored))
            }
            Err(error) => Err(error),
        }
    }

    /// Stores the response of the request that claimed the key.
    pub async fn store_response(
        &self,
        key: &RequestKey,
        status: u16,
        response: &str,
        expires_at: Timestamp,
    ) -> Result<()> {
        let answer = ResponseRow::new(key, status, Some(response), expires_at);
        self.put(Table::Ephemeral, to_item(&answer, &[("pk", place(key))])?).await
    }

    /// Releases a claimed key: the next request with it counts as new.
    pub async fn release_key(&self, key: &RequestKey) -> Result<()> {
        self.client()
            .delete_item()
            .table_name(self.name(Table::Ephemeral)?)
            .set_key(Some(pk(place(key))))
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error))?;
        Ok(())
    }

    /// Builds the write that stores a response until `expires_at`, for its effect's transaction.
    ///
    /// The write fails if another response is stored.
    pub fn stored_response_write(
        &self,
        key: &RequestKey,
        status: u16,
        response: &str,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<TransactWriteItem> {
        let answer = ResponseRow::new(key, status, Some(response), expires_at);
        let put = Put::builder()
            .table_name(self.name(Table::Ephemeral)?)
            .set_item(Some(to_item(&answer, &[("pk", place(key))])?))
            .condition_expression("attribute_not_exists(pk) OR expiresAt <= :now")
            .expression_attribute_values(":now", AttributeValue::N(now.as_second().to_string()))
            .build()
            .map_err(|error| Error::Malformed(error.to_string()))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }
}
