//! API keys as stored: never the key itself.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use super::{
    Error, Result, Store, Table,
    store::{SERVICE, key, to_item},
};
use crate::{auth::KeyRecord, domain::ids::KeyId};

/// Table Control, `KEY#<keyId>` / `KEY`; `gsi1`: `KEYS` / creation time, id.
fn place(record: &KeyRecord) -> [(&'static str, String); 4] {
    [
        ("pk", format!("KEY#{}", record.id)),
        ("sk", "KEY".to_owned()),
        ("gsi1pk", "KEYS".to_owned()),
        ("gsi1sk", format!("{}#{}", record.created_at, record.id)),
    ]
}

impl Store {
    /// Read strongly: a revocation that was answered is seen.
    pub async fn api_key(&self, id: &KeyId) -> Result<Option<KeyRecord>> {
        self.get(Table::Control, key(format!("KEY#{id}"), "KEY"), true).await
    }

    /// # Errors
    /// [`Error::ConditionFailed`] when there is a key with this id.
    pub async fn create_api_key(&self, record: &KeyRecord) -> Result<()> {
        self.put_new(Table::Control, to_item(record, &place(record))?).await
    }

    /// Writes a key over the one that is there.
    pub async fn replace_api_key(&self, record: &KeyRecord) -> Result<()> {
        self.put(Table::Control, to_item(record, &place(record))?).await
    }

    /// Notes when a key was last used. Does nothing for a key that is gone.
    pub async fn touch_api_key(&self, id: &KeyId, at: Timestamp) -> Result<()> {
        let update = self
            .client()
            .update_item()
            .table_name(self.name(Table::Control)?)
            .set_key(Some(key(format!("KEY#{id}"), "KEY")))
            .update_expression("SET lastUsedAt = :at")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":at", AttributeValue::S(at.to_string()))
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error));
        match update {
            Ok(_) | Err(Error::ConditionFailed) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
