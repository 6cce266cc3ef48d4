//! The practice registry: the practices and the locations of their databases.

use aws_sdk_dynamodb::types::{AttributeValue, Delete, TransactWriteItem, Update};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Error, Result, Store, Table,
    listing::{Listing, MOST_COUNTED},
    store::{Item, SERVICE, key, to_item},
};
use crate::{auth::secret_ref::SecretRef, domain::PracticePass};

/// A practice. Table Control, `PRACTICE#<PPass>` / `PRACTICE`; `gsi1`: `PRACTICES` / PPass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Practice {
    pub practicepass: PracticePass,
    pub name: String,
    /// IANA name, e.g. `America/New_York`.
    pub time_zone: String,
    /// The secret that holds the DSN of the practice's database.
    pub dsn_secret: SecretRef,
    /// Whether this is a sandbox. Its keys start with `op_test_`.
    #[serde(default)]
    pub sandbox: bool,
    /// When the practice was registered.
    ///
    /// Anything issued before, e.g. a claim link, was for another practice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered_at: Option<Timestamp>,
    /// The newest migration that the database is known to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_version: Option<i64>,
    /// The version of the time-zone rules that the visits are known to follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tzdata: Option<String>,
}

impl Practice {
    /// Whether the database is known to have this schema and these time-zone rules, or newer ones.
    pub fn is_current(&self, schema: i64, tzdata: &str) -> bool {
        self.schema_version >= Some(schema) && self.tzdata.as_deref() >= Some(tzdata)
    }
}

/// The record of a removed practice, kept permanently.
///
/// Table Control, `PRACTICE#<PPass>` / `REMOVED`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Removal {
    removed_at: Timestamp,
}

fn removal(practicepass: &PracticePass) -> Item {
    key(format!("PRACTICE#{practicepass}"), "REMOVED")
}

impl Store {
    pub async fn practice(&self, practicepass: &PracticePass) -> Result<Option<Practice>> {
        self.get(Table::Control, key(format!("PRACTICE#{practicepass}"), "PRACTICE"), false).await
    }

    /// Writes a practice's entry, replacing an existing one.
    pub async fn put_practice(&self, practice: &Practice) -> Result<()> {
        self.put(Table::Control, item(practice)?).await
    }

    /// Builds the write of a new entry, on the condition that the practice has none.
    pub fn new_practice_write(&self, practice: &Practice) -> Result<TransactWriteItem> {
        self.new_item_write(Table::Control, item(practice)?)
    }

    /// Records that the practice is being removed.
    pub async fn note_removal(&self, practicepass: &PracticePass, now: Timestamp) -> Result<()> {
        let mut item = to_item(&Removal { removed_at: now }, &[])?;
        item.extend(removal(practicepass));
        self.put(Table::Control, item).await
    }

    /// Returns when a practice of this name was last removed.
    pub async fn removed_at(&self, practicepass: &PracticePass) -> Result<Option<Timestamp>> {
        let found: Option<Removal> = self.get(Table::Control, removal(practicepass), true).await?;
        Ok(found.map(|it| it.removed_at))
    }

    /// Builds the write that removes a practice, on the condition that it exists.
    pub fn remove_practice_write(&self, practicepass: &PracticePass) -> Result<TransactWriteItem> {
        let delete = Delete::builder()
            .table_name(self.name(Table::Control)?)
            .set_key(Some(key(format!("PRACTICE#{practicepass}"), "PRACTICE")))
            .condition_expression("attribute_exists(pk)")
            .build()
            .map_err(|error| Error::Malformed(error.to_string()))?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    /// Records the schema version and time-zone rules of a practice's database.
    ///
    /// # Errors
    /// [`super::Error::ConditionFailed`] if the practice is no longer registered, or has a newer
    /// version.
    pub async fn note_schema_version(
        &self,
        practicepass: &PracticePass,
        version: i64,
        tzdata: &str,
    ) -> Result<()> {
        self.client()
            .update_item()
            .table_name(self.name(Table::Control)?)
            .set_key(Some(key(format!("PRACTICE#{practicepass}"), "PRACTICE")))
            .update_expression("SET schemaVersion = :version, tzdata = :tzdata")
            .condition_expression(
                "attribute_exists(pk) AND (attribute_not_exists(schemaVersion) OR schemaVersion <= :version)",
            )
            .expression_attribute_values(":version", AttributeValue::N(version.to_string()))
            .expression_attribute_values(":tzdata", AttributeValue::S(tzdata.to_owned()))
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error))?;
        Ok(())
    }

    /// Builds the write that corrects the time zone of a practice that must be registered.
    ///
    /// The database has to be migrated afterwards.
    pub fn time_zone_write(&self, practicepass: &PracticePass, time_zone: &str) -> Result<TransactWriteItem> {
        let update = Update::builder()
            .table_name(self.name(Table::Control)?)
            .set_key(Some(key(format!("PRACTICE#{practicepass}"), "PRACTICE")))
            .update_expression("SET #zone = :zone REMOVE tzdata")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_names("#zone", "timeZone")
            .expression_attribute_values(":zone", AttributeValue::S(time_zone.to_owned()))
            .build()
            .map_err(|error| Error::Malformed(error.to_string()))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// Returns practices not known to be current, of the first 10,000 by `PPass`.
    pub async fn outdated_practices(&self, schema: i64, tzdata: &str) -> Result<Vec<Practice>> {
        let outdated = |practice: &Practice| !practice.is_current(schema, tzdata);
        self.find(Listing::of_index("PRACTICES"), (usize::MAX, MOST_COUNTED), outdated).await
    }

    /// The names of the first `limit` practices, ordered.
    pub(super) async fn first_practices(&self, limit: usize) -> Result<Vec<PracticePass>> {
        let first = self.list::<Practice>(Listing::of_index("PRACTICES"), limit, None, |_| true).await?;
        Ok(first.items.into_iter().map(|practice| practice.practicepass).collect())
    }

    /// Returns all practices, ordered by PPass.
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
