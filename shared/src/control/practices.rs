//! The practice registry: which practices there are and where their databases lie.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::{
    Error, Result, Store, Table,
    store::{SERVICE, from_items, key, to_item},
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
}

impl Store {
    pub async fn practice(&self, practicepass: &PracticePass) -> Result<Option<Practice>> {
        self.get(Table::Control, key(format!("PRACTICE#{practicepass}"), "PRACTICE"), false).await
    }

    /// Writes the registry's entry, over one that is there.
    pub async fn put_practice(&self, practice: &Practice) -> Result<()> {
        let place = [
            ("pk", format!("PRACTICE#{}", practice.practicepass)),
            ("sk", "PRACTICE".to_owned()),
            ("gsi1pk", "PRACTICES".to_owned()),
            ("gsi1sk", practice.practicepass.to_string()),
        ];
        self.put(Table::Control, to_item(practice, &place)?).await
    }

    /// All practices, ordered by PPass.
    pub async fn practices(&self) -> Result<Vec<Practice>> {
        let mut practices = Vec::new();
        let mut start = None;
        loop {
            let page = self
                .client()
                .query()
                .table_name(self.name(Table::Control)?)
                .index_name("gsi1")
                .key_condition_expression("gsi1pk = :pk")
                .expression_attribute_values(":pk", AttributeValue::S("PRACTICES".to_owned()))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| Error::from_sdk(SERVICE, &error))?;
            practices.extend(from_items::<Practice>(page.items)?);
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(practices);
            }
        }
    }
}
