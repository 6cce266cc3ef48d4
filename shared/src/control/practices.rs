//! The practice registry: which practices there are and where their databases lie.

use serde::{Deserialize, Serialize};

use super::{
    Result, Store, Table,
    listing::Listing,
    store::{key, to_item},
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
        self.list_all(Listing::of_index("PRACTICES")).await
    }
}
