//! What administrators did, kept for six years: items are only ever added, and end by themselves. Each has a copy beside the records of
//! calls, which a restore of the control plane leaves as it is: whatever was ended stays known to be ended.

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Cursor, Error, Result, Slice, Store, Table, activity, instant,
    listing::Listing,
    store::{Item, to_item},
};

/// All lie in one partition: administrators are people, and their pages are read newest first across all time.
const PARTITION: &str = "AUDIT";

/// What a field held before a change and holds after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldChange {
    pub field: String,
    pub from: Option<String>,
    pub to: Option<String>,
}

/// One act of an administrator, or a partner's change of what it is called. Table Control, `AUDIT` / time, id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditRecord {
    /// Made by chance, so that no caller can choose which record its own would meet.
    pub id: String,
    #[serde(with = "instant")]
    pub time: Timestamp,
    /// A change, e.g. `keys.rotate`; `admin-secret.refused`; otherwise the method and route template that were called.
    pub action: String,
    /// The id of what was changed, read or tried to change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The names of the fields that were changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// Old and new values of a partner's company, e-mail and status, and of a practice's time zone; the request for access that a key was
    /// claimed for; up to which ids a reconciliation passed over. No other value is ever kept here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<FieldChange>,
    /// What was shown: `current`, `previous` (admin secrets), `session`, `claim` (a claim link), `partner` (a partner's own token or session) `operator` (a command) or `wrong`.
    pub credential: String,
    /// The answer's status. A retry of a delivery is recorded before it is sent, with the status of one that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    pub request_id: String,
    /// When it was brought back from its copy, after a restore had lost it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovered_at: Option<Timestamp>,
}

/// Records of one read.
const PAGE: usize = 500;

/// What HIPAA asks of the records of who did what (45 CFR 164.316), and its leap days.
const KEPT: SignedDuration = SignedDuration::from_hours(24 * (6 * 365 + 2));

impl AuditRecord {
    fn item(&self) -> Result<Item> {
        let place =
            [("pk", PARTITION.to_owned()), ("sk", format!("{}#{}", instant::text(self.time), self.id))];
        let mut item = to_item(self, &place)?;
        let end = (self.time + KEPT).as_second();
        item.insert("expiresAt".to_owned(), AttributeValue::N(end.to_string()));
        Ok(item)
    }

    /// The copy. Table Activity, `AUDIT#<day>` / time, id; kept as long as records of calls, which is longer than backups go back.
    fn copy(&self) -> Result<Item> {
        let place =
            [("pk", copies_of(self.time)), ("sk", format!("{}#{}", instant::text(self.time), self.id))];
        let mut item = to_item(self, &place)?;
        let end = (self.time + activity::KEPT).as_second();
        item.insert("expiresAt".to_owned(), AttributeValue::N(end.to_string()));
        Ok(item)
    }
}

/// The partition of a day's copies.
fn copies_of(time: Timestamp) -> String {
    format!("{PARTITION}#{}", time.strftime("%Y-%m-%d"))
}

impl Store {
    /// The writes that add a record and its copy, for the transaction of what it tells of.
    pub fn audit(&self, record: &AuditRecord) -> Result<[TransactWriteItem; 2]> {
        let copy = self.new_item(Table::Activity, record.copy()?)?;
        Ok([self.new_item(Table::Control, record.item()?)?, copy])
    }

    /// Adds a record of what changed nothing; without its copy where the table of calls refuses that.
    pub async fn record_audit(&self, record: &AuditRecord) -> Result<()> {
        match self.transact(self.audit(record)?.into()).await {
            Err(error @ Error::Refused { .. }) => {
                self.put_new(Table::Control, record.item()?).await?;
                tracing::error!(%error, id = record.id, "an audit record has no copy");
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// The records since `from`, the oldest first.
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

    /// The copies of records since `from` and until `to`, the oldest first.
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

    /// Writes a record that a restore lost anew. `false`: it is there.
    pub async fn recover_audit(&self, record: &AuditRecord, now: Timestamp) -> Result<bool> {
        let record = AuditRecord { recovered_at: Some(now), ..record.clone() };
        match self.put_new(Table::Control, record.item()?).await {
            Ok(()) => Ok(true),
            Err(Error::ConditionFailed) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The records, the newest first.
    pub async fn audit_log(&self, limit: usize, after: Option<&Cursor>) -> Result<Slice<AuditRecord>> {
        self.list(Listing::of_partition(Table::Control, PARTITION).newest_first(), limit, after, |_| true)
            .await
    }
}
