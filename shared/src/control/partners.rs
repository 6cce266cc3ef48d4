//! Partner companies.

use aws_sdk_dynamodb::types::TransactWriteItem;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Cursor, ListPage, Result, Store, Table,
    audit::FieldChange,
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

/// The most changes stored with a partner; the audit log keeps all of them.
const MOST_IDENTITY_CHANGES: usize = 10;

/// A change of a partner's own company name or e-mail, which nobody has verified.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IdentityChange {
    pub time: Timestamp,
    pub changes: Vec<FieldChange>,
}

/// A partner.
///
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
    /// When the partner was last suspended; kept after a reactivation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended_at: Option<Timestamp>,
    /// The partner's own changes of its company name and e-mail, newest first.
    ///
    /// At most [`MOST_IDENTITY_CHANGES`]: the latest ones and the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identity_changes: Vec<IdentityChange>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Raised by every change.
    pub version: i64,
}

impl Partner {
    /// Suspends or reactivates the partner.
    ///
    /// A suspension permanently ends the portal sessions and claim links that exist at `now`. Keys
    /// and subscriptions work again after a reactivation.
    pub fn set_status(&mut self, status: PartnerStatus, now: Timestamp) {
        if status == PartnerStatus::Suspended && self.status == PartnerStatus::Active {
            self.suspended_at = Some(now);
        }
        self.status = status;
    }

    /// Whether a suspension ended the session or claim link that was created at `at`.
    pub fn has_ended(&self, at: Timestamp) -> bool {
        self.suspended_at.is_some_and(|suspended| at <= suspended)
    }

    /// Records and returns the partner's own changes of company name and e-mail since `before`.
    pub fn note_identity_change(&mut self, before: &Self, now: Timestamp) -> Vec<FieldChange> {
        let values = [
            ("company", Some(&before.company), Some(&self.company)),
            ("email", before.email.as_ref(), self.email.as_ref()),
        ];
        let differing = values.into_iter().filter(|(_, from, to)| from != to);
        let change = |(field, from, to): (&str, Option<&String>, Option<&String>)| FieldChange {
            field: field.to_owned(),
            from: from.cloned(),
            to: to.cloned(),
        };
        let changes: Vec<FieldChange> = differing.map(change).collect();
        if !changes.is_empty() {
            self.identity_changes.insert(0, IdentityChange { time: now, changes: changes.clone() });
            // Keep the first change: it shows the name that an administrator gave the partner.
            if self.identity_changes.len() > MOST_IDENTITY_CHANGES {
                self.identity_changes.remove(MOST_IDENTITY_CHANGES - 1);
            }
        }
        changes
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

    /// Creates a partner.
    ///
    /// # Errors
    /// [`Error::ConditionFailed`](super::Error::ConditionFailed) if a partner with this id exists.
    pub async fn create_partner(&self, partner: &Partner) -> Result<()> {
        self.put_new(Table::Control, to_item(partner, &partner.place())?).await
    }

    /// Replaces the partner's previous version, `partner.version` - 1.
    ///
    /// # Errors
    /// [`Error::ConditionFailed`](super::Error::ConditionFailed) if the partner was changed in the
    /// meantime.
    pub async fn replace_partner(&self, partner: &Partner) -> Result<()> {
        self.transact(vec![self.partner_write(partner)?]).await
    }

    /// Builds the write of a new partner (version 1) or of one over its previous version.
    pub fn partner_write(&self, partner: &Partner) -> Result<TransactWriteItem> {
        self.next_version_write(Table::Control, to_item(partner, &partner.place())?, partner.version)
    }

    /// Returns partners ordered by company name.
    pub async fn partners(&self, limit: usize, after: Option<&Cursor>) -> Result<ListPage<Partner>> {
        self.list(Listing::of_index("PARTNERS"), limit, after, |_| true).await
    }
}
