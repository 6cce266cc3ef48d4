//! Acts of administrators that a restore lost: the audit log lacks them, and their copies are there.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use shared::control::audit::AuditRecord;
use shared::control::{self, Store};
use shared::tenant::reconciliation::AUDIT_ACTION;

use super::repair::Repair;
use super::report::{Check, Verdict};

/// Backups are of whole seconds.
const MARGIN: SignedDuration = SignedDuration::from_secs(1);

/// Acts that the restored control plane didn't know of, the oldest first.
pub(super) struct Lost {
    pub(super) acts: Vec<AuditRecord>,
    /// Those of them whose records are still missing.
    missing: Vec<AuditRecord>,
    /// Later acts, as the control plane itself recorded them.
    since: Vec<AuditRecord>,
    known: usize,
    from: Timestamp,
}

impl Lost {
    pub(super) async fn since(control: &Store, at: Timestamp, now: Timestamp) -> control::Result<Self> {
        let from = at - MARGIN;
        let copies = control.audit_copies(from, now).await?;
        let records = control.audit_since(from).await?;
        let known: HashMap<&str, &AuditRecord> = records.iter().map(|it| (it.id.as_str(), it)).collect();
        let is_lost =
            |it: &&AuditRecord| known.get(it.id.as_str()).is_none_or(|it| it.recovered_at.is_some());
        let acts: Vec<AuditRecord> = copies.iter().filter(is_lost).cloned().collect();
        let missing = acts.iter().filter(|it| !known.contains_key(it.id.as_str())).cloned().collect();
        let count = records.len();
        let since = records.into_iter().filter(|it| it.recovered_at.is_none()).collect();
        Ok(Self { acts, missing, since, known: count, from: at })
    }

    /// Whether a later act of the same kind, after the restore, has dealt with a lost one.
    pub(super) fn is_settled(&self, act: &AuditRecord, actions: &[&str]) -> bool {
        self.since
            .iter()
            .any(|it| it.time > act.time && it.target == act.target && actions.contains(&it.action.as_str()))
    }

    /// Whether the control plane was reconciled after the restored moment.
    pub(super) fn is_reconciled(&self) -> bool {
        self.since.iter().any(|it| it.action == AUDIT_ACTION && it.target.as_deref() == Some("control"))
    }

    pub(super) fn check(&self) -> (Check, Vec<Repair>) {
        let gap = match (self.missing.first(), self.missing.last()) {
            (Some(first), Some(last)) => format!(
                "{} of {} missing, from {} to {}",
                self.missing.len(),
                self.missing.len() + self.known,
                first.time,
                last.time
            ),
            _ => format!("{} records, none missing", self.known),
        };
        let expected = format!("every record since {} that has a copy", self.from);
        let check = Check::new("control/audit", "The audit log has no gap", expected, gap);
        let rows = self.missing.iter().map(described).collect();
        let repair = Repair::RecoverAudit(self.missing.clone());
        let repairs = Vec::from_iter((!self.missing.is_empty()).then_some(repair));
        (check.of_rows(Verdict::Open, true, rows), repairs)
    }
}

pub(super) fn described(act: &AuditRecord) -> String {
    let target = act.target.as_deref().unwrap_or("-");
    format!("{} {} {target} by {} ({}, {})", act.time, act.action, act.credential, act.id, act.request_id)
}
