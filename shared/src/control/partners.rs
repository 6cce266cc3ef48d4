//! Partner companies.

use aws_sdk_dynamodb::types::TransactWriteItem;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Part, Place, Result, Store, Table,
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
    /// When the partner was last suspended; kept after it was reinstated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Raised by every change.
    pub version: i64,
}

impl Partner {
    /// Suspends or reinstates the partner. A suspension ends the portal sessions and claim links that exist at `now` for good;
    /// keys and subscriptions come back with a reinstatement.
    pub fn set_status(&mut self, status: PartnerStatus, now: Timestamp) {
        if status == PartnerStatus::Suspended && self.status == PartnerStatus::Active {
            self.suspended_at = Some(now);
        }
        self.status = status;
    }

    /// Whether a suspension ended the session or claim link that was given out at `at`.
    pub fn has_ended(&self, at: Timestamp) -> bool {
        self.suspended_at.is_some_and(|suspended| at <= suspended)
    }

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
    pub async fn partners(&self, limit: usize, place: &Place) -> Result<Part<Partner>> {
        self.list_part(Listing::of_index("PARTNERS"), place, limit, |_| true).await
    }

    /// The partners of exactly this company name, in any case.
    pub async fn partners_named(&self, company: &str) -> Result<Vec<Partner>> {
        let prefix = format!("{}#", company.to_lowercase());
        self.list_all(Listing::of_index("PARTNERS").beginning_with(&prefix)).await
    }
}
