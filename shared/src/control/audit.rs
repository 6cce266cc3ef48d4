//! The audit log of administrators, kept for six years.
//!
//! Records are only added and expire by themselves. Each has a copy beside the call records, which
//! a restore of the control plane does not touch: anything that was ended is still known to be
//! ended.

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Cursor, Error, ListPage, Result, Store, Table, activity, instant,
    listing::Listing,
    store::{Item, to_item},
};

/// The partition of all records.
///
/// Administrators are few, and read the log newest first across all time.
const PARTITION: &str = "AUDIT";

/// A field's values before and after a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldChange {
    pub field: String,
    pub from: Option<String>,
    pub to: Option<String>,
}

/// An action of an administrator, or a partner's change of its own name or e-mail.
///
/// Table Control, `AUDIT` / time, id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditRecord {
    /// Random, so that no caller can choose a record to collide with.
    pub id: String,
    #[serde(with = "instant")]
    pub time: Timestamp,
    /// A change, e.g.
    ///
    /// `keys.rotate`; `admin-secret.refused`; otherwise the method and route template of the call.
    pub action: String,
    /// The id of the record that was changed or read, or that the call tried to change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The names of the changed fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// Old and new values of selected fields; other values are never stored here.
    ///
    /// These are a partner's company, e-mail and status, a practice's time zone, the access request
    /// that a key was claimed for, and the last ids that a reconciliation skipped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<FieldChange>,
    /// The credential that was presented.
    ///
    /// One of `current` and `previous` (admin secrets), `session`, `claim` (a claim link),
    /// `partner` (a partner's own token or session), `operator` (a command) and `wrong`.
    pub credential: String,
    /// The response status.
    ///
    /// The retry of a delivery is recorded before it is sent, with the status of success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    pub request_id: String,
    /// When the record was recovered from its copy after a restore had lost it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovered_at: Option<Timestamp>,
}

/// Records per read.
const PAGE: usize = 500;

/// The retention that HIPAA requires (45 CFR 164.316): six years, with leap days.
const RETENTION: SignedDuration = SignedDuration::from_hours(24 * (6 * 365 + 2));

impl AuditRecord {
    fn item(&self) -> Result<Item> {
        let place =
            [("pk", PARTITION.to_owned()), ("sk", format!("{}#{}", instant::text(self.time), self.id))];
        let mut item = to_item(self, &place)?;
        let end = (self.time + RETENTION).as_second();
        item.insert("expiresAt".to_owned(), AttributeValue::N(end.to_string()));
        Ok(item)
    }

    /// Returns the copy. Table Activity, `AUDIT#<day>` / time, id.
    ///
    /// It is kept as long as call records, which is longer than backups reach back.
    fn copy(&self) -> Result<Item> {
        let place =
            [("pk", copies_of(self.time)), ("sk", format!("{}#{}", instant::text(self.time), self.id))];
        let mut item = to_item(self, &place)?;
        let end = (self.time + activity::RETENTION).as_second();
        item.insert("expiresAt".to_owned(), AttributeValue::N(end.to_string()));
        Ok(item)
    }
}

/// Returns the partition of a day's copies.
fn copies_of(time: Timestamp) -> String {
    format!("{PARTITION}#{}", time.strftime("%Y-%m-%d"))
}

impl Store {
    /// Builds the writes of a record and its copy, for the transaction that it describes.
    pub fn audit_writes(&self, record: &AuditRecord) -> Result<[TransactWriteItem; 2]> {
        let copy = self.new_item_write(Table::Activity, record.copy()?)?;
        Ok([self.new_item_write(Table::Control, record.item()?)?, copy])
    }

    /// Adds a record of an action that changed nothing; without its copy if the table rejects that.
    pub async fn record_audit(&self, record: &AuditRecord) -> Result<()> {
        match self.transact(self.audit_writes(record)?.into()).await {
            Err(error @ Error::Refused { .. }) => {
                self.put_new(Table::Control, record.item()?).await?;
                tracing::error!(%error, id = record.id, "an audit record has no copy");
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Returns the records since `from`, oldest first.
    pub async fn audit_since(&self, from: Timestamp) -> Result<Vec<AuditRecord>> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = self.audit_log(PAGE, after.as_ref()).await?;
            let reached = page.items.iter().any(|it| it.time < from);
            found.extend(page.items.into_iter().filter(|it| from <= it.time));
            after = page.next;
            if reached || after.is_none() {
                found.reverse();
                return Ok(found);
            }
        }
    }

    /// Returns the copies of records from `from` to `to`, oldest first.
    pub async fn audit_copies(&self, from: Timestamp, to: Timestamp) -> Result<Vec<AuditRecord>> {
        let mut found: Vec<AuditRecord> = Vec::new();
        let mut day = from;
        while copies_of(day) <= copies_of(to) {
            found.extend(self.list_all(Listing::of_partition(Table::Activity, &copies_of(day))).await?);
            day += SignedDuration::from_hours(24);
        }
        found.retain(|it| from <= it.time && it.time <= to);
        Ok(found)
    }

    /// Restores a record that a restore lost; `false` if it exists.
    pub async fn recover_audit(&self, record: &AuditRecord, now: Timestamp) -> Result<bool> {
        let record = AuditRecord { recovered_at: Some(now), ..record.clone() };
        match self.put_new(Table::Control, record.item()?).await {
            Ok(()) => Ok(true),
            Err(Error::ConditionFailed) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns the records, newest first.
    pub async fn audit_log(&self, limit: usize, after: Option<&Cursor>) -> Result<ListPage<AuditRecord>> {
        self.list(Listing::of_partition(Table::Control, PARTITION).newest_first(), limit, after, |_| true)
            .await
    }
}
