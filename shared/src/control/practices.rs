//! The practice registry: which practices there are and where their databases lie.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::{
    Error, Result, Store, Table,
    listing::Listing,
    store::{Item, SERVICE, key, to_item},
};
use crate::{auth::secret_ref::SecretRef, domain::PracticePass};

/// Table Control, `PRACTICE#<PPass>` / `PRACTICE`; `gsi1`: `PRACTICES` / PPass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Practice {
    pub practicepass: PracticePass,
    pub name: String,
    /// IANA name, e.g. `America/New_York`.
    pub time_zone: String,
    /// The secret that holds the DSN of the practice's database.
    pub dsn_secret: SecretRef,
    /// A sandbox: its keys begin with `op_test_`.
    #[serde(default)]
    pub sandbox: bool,
    /// The newest migration its database is known to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_version: Option<i64>,
}

impl Store {
    pub async fn practice(&self, practicepass: &PracticePass) -> Result<Option<Practice>> {
        self.get(Table::Control, key(format!("PRACTICE#{practicepass}"), "PRACTICE"), false).await
    }

    /// Writes the registry's entry, over one that is there.
    pub async fn put_practice(&self, practice: &Practice) -> Result<()> {
        self.put(Table::Control, item(practice)?).await
    }

    /// Writes a new entry of the registry.
    ///
    /// # Errors
    /// [`super::Error::ConditionFailed`] when the practice has one.
    pub async fn create_practice(&self, practice: &Practice) -> Result<()> {
        self.put_new(Table::Control, item(practice)?).await
    }

    /// Notes that a practice's database has this migration.
    ///
    /// # Errors
    /// [`super::Error::ConditionFailed`] when the practice has left the registry, or has a newer one.
    pub async fn note_schema_version(&self, practicepass: &PracticePass, version: i64) -> Result<()> {
        self.client()
            .update_item()
            .table_name(self.name(Table::Control)?)
            .set_key(Some(key(format!("PRACTICE#{practicepass}"), "PRACTICE")))
            .update_expression("SET schemaVersion = :version")
            .condition_expression(
                "attribute_exists(pk) AND (attribute_not_exists(schemaVersion) OR schemaVersion <= :version)",
            )
            .expression_attribute_values(":version", AttributeValue::N(version.to_string()))
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error))?;
        Ok(())
    }

    /// All practices, ordered by PPass.
    pub async fn practices(&self) -> Result<Vec<Practice>> {
        self.list_all(Listing::of_index("PRACTICES")).await
    }
}

fn item(practice: &Practice) -> Result<Item> {
    let place = [
        ("pk", format!("PRACTICE#{}", practice.practicepass)),
        ("sk", "PRACTICE".to_owned()),
        ("gsi1pk", "PRACTICES".to_owned()),
        ("gsi1sk", practice.practicepass.to_string()),
    ];
    to_item(practice, &place)
}
