//! Partner companies.

use aws_sdk_dynamodb::types::TransactWriteItem;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Cursor, Result, Slice, Store, Table,
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

/// So many changes are kept with the partner; the audit log keeps all.
const MOST_IDENTITY_CHANGES: usize = 10;

/// A change that a partner made to its company or e-mail. Nobody has verified it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IdentityChange {
    pub time: Timestamp,
    pub changes: Vec<FieldChange>,
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
    /// The partner's own changes of its company and e-mail, the newest first: the last ones and the first, [`MOST_IDENTITY_CHANGES`]
    /// at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identity_changes: Vec<IdentityChange>,
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

    /// Remembers what the partner itself changed of its company and e-mail, compared with `before`; empty when nothing.
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
            // The first one stays: it tells what an administrator called the partner.
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
}
