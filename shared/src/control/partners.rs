//! Partner companies.

use aws_sdk_dynamodb::types::TransactWriteItem;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Cursor, Result, Slice, Store, Table,
    listing::Listing,
    store::{key, to_item},
};
use crate::domain::ids::PartnerId;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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

const MOST_NAMESAKES: usize = 100;

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
    /// [`Error::ConditionFailed`](super::Error::ConditionFailed) when there is a partner with this id.
    pub async fn create_partner(&self, partner: &Partner) -> Result<()> {
        self.put_new(Table::Control, to_item(partner, &partner.place())?).await
    }

    /// Replaces the partner of the version before `partner.version`.
    ///
    /// # Errors
    /// [`Error::ConditionFailed`](super::Error::ConditionFailed) when it had been changed by another.
    pub async fn replace_partner(&self, partner: &Partner) -> Result<()> {
        self.transact(vec![self.save_partner(partner)?]).await
    }

    /// The write of a new partner (version 1) or of one over the version before.
    pub fn save_partner(&self, partner: &Partner) -> Result<TransactWriteItem> {
        self.next_version(Table::Control, to_item(partner, &partner.place())?, partner.version)
    }

    /// Partners in the order of their companies' names.
    pub async fn partners(&self, limit: usize, after: Option<&Cursor>) -> Result<Slice<Partner>> {
        self.list(Listing::of_index("PARTNERS"), limit, after, |_| true).await
    }

    /// The partners of exactly this company name, in any case; at most [`MOST_NAMESAKES`].
    pub async fn partners_named(&self, company: &str) -> Result<Vec<Partner>> {
        let prefix = format!("{}#", company.to_lowercase());
        let listing = Listing::of_index("PARTNERS").beginning_with(&prefix);
        Ok(self.list(listing, MOST_NAMESAKES, None, |_| true).await?.items)
    }
}
