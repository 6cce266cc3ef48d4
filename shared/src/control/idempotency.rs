//! Answers to requests with an idempotency key whose effect is in the control plane. Table Ledger, `ANSWER#<hash>`.

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Error, Result, Store, Table,
    store::{pk, to_item},
};
use crate::tenant::idempotency::{Kept, RequestKey};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    body_hash: String,
    status: i64,
    response: String,
    /// Unix seconds; DynamoDB deletes it some time later.
    expires_at: i64,
}

fn place(key: &RequestKey) -> String {
    format!("ANSWER#{}", key.digest())
}

impl Store {
    /// The answer that is kept for this key, if it hasn't expired.
    pub async fn kept_answer(&self, key: &RequestKey, now: Timestamp) -> Result<Option<Kept>> {
        let found: Option<Answer> = self.get(Table::Ledger, pk(place(key)), true).await?;
        Ok(found.filter(|answer| now.as_second() < answer.expires_at).map(|answer| Kept {
            body_hash: answer.body_hash,
            status: answer.status,
            response: answer.response,
        }))
    }

    /// The write that keeps an answer until `expires_at`, for the transaction of its effect; it fails when another
    /// answer is kept.
    pub fn keep_answer(
        &self,
        key: &RequestKey,
        status: u16,
        response: &str,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<TransactWriteItem> {
        let answer = Answer {
            body_hash: key.body_hash.clone(),
            status: status.into(),
            response: response.to_owned(),
            expires_at: expires_at.as_second(),
        };
        let put = Put::builder()
            .table_name(self.name(Table::Ledger)?)
            .set_item(Some(to_item(&answer, &[("pk", place(key))])?))
            .condition_expression("attribute_not_exists(pk) OR expiresAt <= :now")
            .expression_attribute_values(":now", AttributeValue::N(now.as_second().to_string()))
            .build()
            .map_err(|error| Error::Malformed(error.to_string()))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }
}
