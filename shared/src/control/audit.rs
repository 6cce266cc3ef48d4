//! What administrators did, kept for six years: items are only ever added, and end by themselves.

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Cursor, Result, Slice, Store, Table, instant,
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
    /// Old and new values of a partner's company and e-mail. No other value is ever kept here.
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
}

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
}

impl Store {
    /// The write that adds a record, for the transaction of what it tells of.
    pub fn audit(&self, record: &AuditRecord) -> Result<TransactWriteItem> {
        self.new_item(Table::Control, record.item()?)
    }

    /// Adds a record of what changed nothing.
    pub async fn record_audit(&self, record: &AuditRecord) -> Result<()> {
        self.put_new(Table::Control, record.item()?).await
    }

    /// The records, the newest first.
    pub async fn audit_log(&self, limit: usize, after: Option<&Cursor>) -> Result<Slice<AuditRecord>> {
        self.list(Listing::of_partition(Table::Control, PARTITION).newest_first(), limit, after, |_| true)
            .await
    }
}
