//! What administrators and operators did since the restored moment, by the audit log and by the copies of its records. Either may have
//! lost some, so both are read; the newest act on a thing says how it must be.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};
use shared::control::audit::AuditRecord;
use shared::control::partners::PartnerStatus;
use shared::control::{self, Store};
use shared::tenant::reconciliation::AUDIT_ACTION;

use super::LONGEST;
use super::repair::Repair;
use super::report::{Check, Verdict};

/// Backups are of whole seconds.
pub(super) const PRECISION: SignedDuration = SignedDuration::from_secs(1);
/// The act of `restore-control`.
pub(super) const RESTORED: &str = "restore.control";

/// Acts since a moment, the oldest first.
pub(super) struct Acts {
    all: Vec<AuditRecord>,
    /// Those whose records the log has lost.
    missing: Vec<AuditRecord>,
    /// Records of the log itself.
    known: usize,
    given: Timestamp,
    /// The restored moment: the given one, or an earlier one by what the log has lost.
    pub(super) since: Timestamp,
    /// What `restore-control` did since.
    restores: Vec<String>,
    /// Whether anything says that the control plane was restored.
    pub(super) is_restored: bool,
    /// Whether it was reconciled since.
    pub(super) is_reconciled: bool,
}

impl Acts {
    /// Since `at`, or since the first act that the log has lost: then the copy is of an earlier moment than was said.
    pub(super) async fn since(control: &Store, at: Timestamp, now: Timestamp) -> control::Result<Self> {
        let copies = control.audit_copies(now - LONGEST, now).await?;
        let records = control.audit_since(now - LONGEST).await?;
        let known: HashMap<&str, &AuditRecord> = records.iter().map(|it| (it.id.as_str(), it)).collect();
        // What an earlier restore had lost was brought back before this one.
        let is_lost = |it: &&AuditRecord| {
            known
                .get(it.id.as_str())
                .is_none_or(|it| it.recovered_at.is_some_and(|recovered| at <= recovered))
        };
        let first_lost = copies.iter().find(is_lost).map(|it| it.time);
        let since = first_lost.map_or(at, |first| first.min(at));
        let is_of_period = |it: &AuditRecord| since - PRECISION <= it.time;
        let missing: Vec<AuditRecord> =
            copies.iter().filter(|it| !known.contains_key(it.id.as_str())).cloned().collect();
        let restores: Vec<&AuditRecord> =
            records.iter().filter(|it| it.action == RESTORED && is_of_period(it)).collect();
        let newest_restore = restores.iter().map(|it| it.time).max();
        let restores: Vec<String> = restores.into_iter().map(described).collect();
        let is_restored = first_lost.is_some()
            || newest_restore.is_some()
            || control.restored_to().await?.is_some_and(|to| at - PRECISION <= to);
        let of_control = |it: &&AuditRecord| {
            it.action == AUDIT_ACTION && it.target.as_deref() == Some("control") && it.recovered_at.is_none()
        };
        let is_reconciled =
            records.iter().filter(of_control).any(|it| is_of_period(it) && Some(it.time) > newest_restore);
        let count = records.iter().filter(|it| is_of_period(it)).count();
        let mut all: Vec<AuditRecord> =
            records.iter().chain(&missing).filter(|it| is_of_period(it)).cloned().collect();
        all.sort_by_key(|it| it.time);
        Ok(Self { all, missing, known: count, given: at, since, restores, is_restored, is_reconciled })
    }

    /// The acts of these kinds, each with its target.
    pub(super) fn of<'a>(&'a self, actions: &'a [&str]) -> impl Iterator<Item = (&'a AuditRecord, &'a str)> {
        self.all.iter().filter_map(move |act| {
            let target = act.target.as_deref().filter(|_| actions.contains(&act.action.as_str()))?;
            Some((act, target))
        })
    }

    /// The newest act of these kinds on each target.
    pub(super) fn newest_of<'a>(&'a self, actions: &'a [&str]) -> BTreeMap<&'a str, &'a AuditRecord> {
        self.of(actions).map(|(act, target)| (target, act)).collect()
    }

    fn newest<'a>(&'a self, id: &str, actions: &'a [&str]) -> Option<&'a AuditRecord> {
        self.of(actions).filter(|(_, target)| *target == id).map(|(act, _)| act).last()
    }

    /// Whether anybody changed the thing with this id.
    pub(super) fn touched(&self, id: &str) -> bool {
        self.all.iter().any(|it| it.target.as_deref() == Some(id) && it.action.contains('.'))
    }

    /// What ended a key: its revocation, or a rotation that it knows nothing of, for then its former secret is good again.
    pub(super) fn end_of_key(&self, id: &str, rotated_at: Option<Timestamp>) -> Option<&AuditRecord> {
        let rotation = || self.newest(id, &["keys.rotate"]).filter(|it| is_after(it, rotated_at));
        self.newest(id, &["keys.revoke"]).or_else(rotation)
    }

    /// A change of a key's terms that it knows nothing of.
    pub(super) fn lost_terms(&self, id: &str, changed_at: Option<Timestamp>) -> Option<&AuditRecord> {
        self.newest(id, &["keys.update"]).filter(|it| is_after(it, changed_at))
    }

    /// The status that each partner was given last.
    pub(super) fn partners(&self) -> BTreeMap<&str, (PartnerStatus, &AuditRecord)> {
        let status_of = |act: &AuditRecord| match act.action.as_str() {
            "partners.suspend" => Some(PartnerStatus::Suspended),
            "partners.reinstate" => Some(PartnerStatus::Active),
            _ => match act.changes.iter().find(|it| it.field == "status")?.to.as_deref()? {
                "suspended" => Some(PartnerStatus::Suspended),
                "active" => Some(PartnerStatus::Active),
                _ => None,
            },
        };
        let acts = self.of(&["partners.suspend", "partners.reinstate", "partners.update"]);
        acts.filter_map(|(act, id)| Some((id, (status_of(act)?, act)))).collect()
    }

    /// What deleted a subscription.
    pub(super) fn deletion_of(&self, subscription: &str) -> Option<&AuditRecord> {
        self.newest(subscription, &["webhooks.delete"])
    }

    /// The last pause or resumption of a subscription by an administrator, and whether it is one of a pause.
    pub(super) fn pause_of(&self, subscription: &str) -> Option<(bool, &AuditRecord)> {
        let act = self.newest(subscription, &["webhooks.pause", "webhooks.resume"])?;
        Some((act.action == "webhooks.pause", act))
    }

    /// What ended the claim link of a request that was approved at `decided_at`. The record of a claim names its key, not the request: a
    /// key that no request knows (`claimed`) may be of any link that was open then.
    pub(super) fn end_of_link(
        &self,
        request: &str,
        decided_at: Timestamp,
        claimed: &BTreeSet<String>,
    ) -> Option<&AuditRecord> {
        const ENDS: [&str; 3] =
            ["access-requests.withdraw", "access-requests.reissue", "access-requests.deny"];
        let ended = self.newest(request, &ENDS).filter(|it| is_after(it, Some(decided_at)));
        ended.or_else(|| {
            let mut claims = self.of(&["keys.claim"]).filter(|(_, key)| !claimed.contains(*key));
            claims.find(|(act, _)| decided_at <= act.time).map(|(act, _)| act)
        })
    }

    /// The removal of a practice that was registered before it.
    pub(super) fn removal_of(
        &self,
        practice: &str,
        registered_at: Option<Timestamp>,
    ) -> Option<&AuditRecord> {
        self.newest(practice, &["practices.remove"]).filter(|it| is_after(it, registered_at))
    }

    pub(super) fn checks(&self) -> Vec<(Check, Vec<Repair>)> {
        let found = if self.since < self.given {
            format!("{}: an act of then is lost; everything is compared since then", self.since)
        } else if self.is_restored {
            let told: Vec<&str> = ["nothing contradicts it"]
                .into_iter()
                .chain(self.restores.iter().map(String::as_str))
                .collect();
            told.join("; ")
        } else {
            "no sign of a restore: kept answers and counters of ids are left as they are".to_owned()
        };
        let expected = format!("the copy is of {}", self.given);
        let rows = Vec::from_iter((self.since < self.given).then(|| found.clone()));
        let moment =
            Check::new("control/moment", "The restored moment is the one that was given", expected, found);
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
        let expected = format!("every record since {} that has a copy", self.since);
        let audit = Check::new("control/audit", "The audit log has no gap", expected, gap);
        let missing = self.missing.iter().map(described).collect();
        let repair = Repair::RecoverAudit(self.missing.clone());
        let repairs = Vec::from_iter((!self.missing.is_empty()).then_some(repair));
        vec![
            (moment.of_rows(Verdict::ByHand, false, rows), Vec::new()),
            (audit.of_rows(Verdict::Open, true, missing), repairs),
        ]
    }
}

/// Whether an act came after what a thing knows of. Instants are kept to the millisecond in some places.
fn is_after(act: &AuditRecord, known: Option<Timestamp>) -> bool {
    known.is_none_or(|known| known.as_millisecond() < act.time.as_millisecond())
}

pub(super) fn described(act: &AuditRecord) -> String {
    let target = act.target.as_deref().unwrap_or("-");
    format!("{} {} {target} by {} ({}, {})", act.time, act.action, act.credential, act.id, act.request_id)
}
