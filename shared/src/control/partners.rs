//! Partner companies.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Error, Result, Store, Table,
    store::{SERVICE, key, to_item},
};
use crate::domain::ids::PartnerId;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PartnerStatus {
    Active,
    Suspended,
}

/// Table Control, `PARTNER#<id>` / `PARTNER`; `gsi1`: `PARTNERS` / company in lower case, id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Partner {
    pub id: PartnerId,
    pub company: String,
    #[serde(default)]
    pub contact_name: Option<String>,
    #[serde(default)]
    pub email: Option<String>,
    #[serde(default)]
    pub phone: Option<String>,
    #[serde(default)]
    pub website: Option<String>,
    #[serde(default)]
    pub notification_email: Option<String>,
    pub status: PartnerStatus,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Raised by every change.
    pub version: i64,
}

impl Partner {
    fn place(&self) -> [(&'static str, String); 4] {
        [
            ("pk", format!("PARTNER#{}", self.id)),
            ("sk", "PARTNER".to_owned()),
            ("gsi1pk", "PARTNERS".to_owned()),
            ("gsi1sk", format!("{}#{}", self.company.to_lowercase(), self.id)),
        ]
    }
}

impl Store {
    pub async fn partner(&self, id: &PartnerId) -> Result<Option<Partner>> {
        self.get(Table::Control, key(format!("PARTNER#{id}"), "PARTNER"), true).await
    }

    /// # Errors
    /// [`Error::ConditionFailed`] when there is a partner with this id.
    pub async fn create_partner(&self, partner: &Partner) -> Result<()> {
        self.put_new(Table::Control, to_item(partner, &partner.place())?).await
    }

    /// Replaces the partner of the version before `partner.version`.
    ///
    /// # Errors
    /// [`Error::ConditionFailed`] when it had been changed by another.
    pub async fn replace_partner(&self, partner: &Partner) -> Result<()> {
        self.client()
            .put_item()
            .table_name(self.name(Table::Control)?)
            .set_item(Some(to_item(partner, &partner.place())?))
            .condition_expression("version = :before")
            .expression_attribute_values(":before", AttributeValue::N((partner.version - 1).to_string()))
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error))?;
        Ok(())
    }
}
