//! What administrators and operators did since the restored moment.
//!
//! Sources are the audit log and the copies of its records. Either may have lost some, so both are
//! read. The latest act on an item determines how it must be.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};
use shared::auth::{KeyRecord, MOST_ROTATIONS};
use shared::control::audit::AuditRecord;
use shared::control::partners::PartnerStatus;
use shared::control::{self, Store};
use shared::tenant::reconciliation::AUDIT_ACTION;

use super::LONGEST;
use super::repair::Repair;
use super::report::{Check, Verdict};

/// Acts dated this shortly before the moment may have happened after it.
///
/// A record has the time at which its call began, and backups are taken at whole seconds.
pub(super) const SLACK: SignedDuration = SignedDuration::from_secs(60);
/// How far clocks of other machines may be ahead.
const AHEAD: SignedDuration = SignedDuration::from_hours(1);
/// The moment that a table records is ignored if it is earlier than the given one by more than
/// this: it belongs to an earlier restore.
const OF_THIS_RESTORE: SignedDuration = SignedDuration::from_hours(24);
/// The audit action of `restore-control`.
pub(super) const RESTORED: &str = "restore.control";

/// Audit records since a moment, oldest first.
pub(super) struct Acts {
    all: Vec<AuditRecord>,
    /// Those that the log has lost.
    missing: Vec<AuditRecord>,
    /// Number of records in the log itself.
    known: usize,
    given: Timestamp,
    /// The restored moment: the given one, or an earlier one if the log lacks earlier records.
    pub(super) since: Timestamp,
    /// The runs of `restore-control` since.
    restores: Vec<String>,
    /// Whether there is any sign that the control plane was restored.
    pub(super) is_restored: bool,
    /// Whether the control plane was reconciled since.
    pub(super) is_reconciled: bool,
}

impl Acts {
    /// Reads the records since `at`, or since the first one that the log has lost, which shows that
    /// the restored copy is older than given.
    pub(super) async fn since(control: &Store, at: Timestamp, now: Timestamp) -> control::Result<Self> {
        let copies = control.audit_copies(now - LONGEST, now + AHEAD).await?;
        let records = control.audit_since(now - LONGEST).await?;
        let known: HashMap<&str, &AuditRecord> = records.iter().map(|it| (it.id.as_str(), it)).collect();
        // Records that an earlier restore lost were recovered before this one.
        let is_lost = |it: &&AuditRecord| {
            known
                .get(it.id.as_str())
                .is_none_or(|it| it.recovered_at.is_some_and(|recovered| at <= recovered))
        };
        let first_lost = copies.iter().find(is_lost).map(|it| it.time);
        let restored_to = control.restored_to().await?.filter(|to| at - OF_THIS_RESTORE <= *to);
        let since = first_lost.into_iter().chain(restored_to).chain([at]).min().unwrap_or(at);
        let is_of_period = |it: &AuditRecord| since - SLACK <= it.time;
        let missing: Vec<AuditRecord> =
            copies.iter().filter(|it| !known.contains_key(it.id.as_str())).cloned().collect();
        let restores: Vec<&AuditRecord> =
            records.iter().filter(|it| it.action == RESTORED && is_of_period(it)).collect();
        let newest_restore = restores.iter().map(|it| it.time).max();
        let restores: Vec<String> = restores.into_iter().map(described).collect();
        let is_restored = first_lost.is_some() || newest_restore.is_some() || restored_to.is_some();
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

    /// Returns the acts of these kinds, each with its target.
    pub(super) fn of<'a>(&'a self, actions: &'a [&str]) -> impl Iterator<Item = (&'a AuditRecord, &'a str)> {
        self.all.iter().filter_map(move |act| {
            let target = act.target.as_deref().filter(|_| actions.contains(&act.action.as_str()))?;
            Some((act, target))
        })
    }

    /// Returns the latest act of these kinds on each target.
    pub(super) fn newest_of<'a>(&'a self, actions: &'a [&str]) -> BTreeMap<&'a str, &'a AuditRecord> {
        self.of(actions).map(|(act, target)| (target, act)).collect()
    }

    fn newest<'a>(&'a self, id: &str, actions: &'a [&str]) -> Option<&'a AuditRecord> {
        self.of(actions).filter(|(_, target)| *target == id).map(|(act, _)| act).last()
    }

    /// Whether anyone changed the item with this id.
    pub(super) fn touched(&self, id: &str) -> bool {
        self.all.iter().any(|it| it.target.as_deref() == Some(id) && it.action.contains('.'))
    }

    /// Returns the act that ended a key: its revocation, or a rotation missing from the key, if the
    /// replaced secret is valid again.
    pub(super) fn end_of_key(&self, key: &KeyRecord, now: Timestamp) -> Option<&AuditRecord> {
        let id = key.id.0.as_str();
        let revoked = self.newest(id, &["keys.revoke"]);
        let is_known = |act: &AuditRecord| {
            key.rotations.iter().any(|it| it.as_millisecond() == act.time.as_millisecond())
                || (key.rotations.len() == MOST_ROTATIONS && !is_after(act, key.rotations.last().copied()))
        };
        let has_previous = key.previous.as_ref().is_some_and(|it| now < it.until);
        let is_good_again =
            |act: &&AuditRecord| has_previous || is_after(act, key.rotations.first().copied());
        revoked.or_else(|| {
            let rotations = self.of(&["keys.rotate"]).filter(|(_, target)| *target == id);
            rotations.map(|(act, _)| act).filter(|act| !is_known(act)).find(is_good_again)
        })
    }

    /// Returns the latest change of settings that is missing from a key, and the fields concerned.
    pub(super) fn lost_terms(&self, key: &KeyRecord) -> Option<(&AuditRecord, Vec<String>)> {
        let mut lost: Option<(&AuditRecord, Vec<String>)> = None;
        for (act, _) in self.of(&["keys.update"]).filter(|(_, target)| *target == key.id.0) {
            let is_lost = |field: &&String| is_after(act, key.changed_at.get(*field).copied());
            let fields: Vec<String> = act.fields.iter().filter(is_lost).cloned().collect();
            if !fields.is_empty() {
                let (newest, all) = lost.get_or_insert((act, Vec::new()));
                *newest = act;
                all.extend(fields);
                all.sort();
                all.dedup();
            }
        }
        lost
    }

    /// Returns the last status set for each partner.
    pub(super) fn partners(&self) -> BTreeMap<&str, (PartnerStatus, &AuditRecord)> {
        let status_of = |act: &AuditRecord| match act.action.as_str() {
            "partners.suspend" => Some(PartnerStatus::Suspended),
            "partners.reinstate" => Some(PartnerStatus::Active),
            _ => match changed_to(act, "status")? {
                "suspended" => Some(PartnerStatus::Suspended),
                "active" => Some(PartnerStatus::Active),
                _ => None,
            },
        };
        let acts = self.of(&["partners.suspend", "partners.reinstate", "partners.update"]);
        acts.filter_map(|(act, id)| Some((id, (status_of(act)?, act)))).collect()
    }

    /// Returns the deletion of a subscription; one created after it may have the same id.
    pub(super) fn deletion_of(&self, subscription: &str, created_at: Timestamp) -> Option<&AuditRecord> {
        self.newest(subscription, &["webhooks.delete"]).filter(|it| is_after(it, Some(created_at)))
    }

    /// Returns an administrator's last pause (`true`) or resumption of a subscription.
    pub(super) fn pause_of(&self, subscription: &str, created_at: Timestamp) -> Option<(bool, &AuditRecord)> {
        let act = self.newest(subscription, &["webhooks.pause", "webhooks.resume"])?;
        is_after(act, Some(created_at)).then_some((act.action == "webhooks.pause", act))
    }

    /// Returns the act that ended the claim link of a request approved at `decided_at`.
    pub(super) fn end_of_link(&self, request: &str, decided_at: Timestamp) -> Option<&AuditRecord> {
        const ENDS: [&str; 3] =
            ["access-requests.withdraw", "access-requests.reissue", "access-requests.deny"];
        let ended = self.newest(request, &ENDS).filter(|it| is_after(it, Some(decided_at)));
        let is_of_request =
            |act: &&AuditRecord| changed_to(act, "accessRequest") == Some(request) && decided_at <= act.time;
        ended.or_else(|| self.of(&["keys.claim"]).map(|(act, _)| act).find(is_of_request))
    }

    /// Returns the last time zone set for a practice.
    pub(super) fn time_zone_of(&self, practice: &str) -> Option<(&str, &AuditRecord)> {
        let act = self.newest(practice, &["practices.update"])?;
        Some((changed_to(act, "timeZone")?, act))
    }

    /// Returns the removal of a practice that was registered before it.
    pub(super) fn removal_of(
        &self,
        practice: &str,
        registered_at: Option<Timestamp>,
    ) -> Option<&AuditRecord> {
        self.newest(practice, &["practices.remove"]).filter(|it| is_after(it, registered_at))
    }

    pub(super) fn checks(&self) -> Vec<(Check, Vec<Repair>)> {
        let found = if self.since < self.given {
            format!("{}: an audit record from then is lost; everything since then is compared", self.since)
        } else if self.is_restored {
            let evidence: Vec<&str> = ["nothing contradicts it"]
                .into_iter()
                .chain(self.restores.iter().map(String::as_str))
                .collect();
            evidence.join("; ")
        } else {
            "no sign of a restore: stored responses and id counters are left unchanged".to_owned()
        };
        let expected = format!("the copy is from {}", self.given);
        let rows = Vec::from_iter((self.since < self.given).then(|| found.clone()));
        let moment = Check::new("control/moment", "The restored moment is the given one", expected, found);
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
            (moment.of_rows(Verdict::Manual, false, rows), Vec::new()),
            (audit.of_rows(Verdict::Open, true, missing), repairs),
        ]
    }
}

/// Earlier reconciliations of a practice.
#[derive(Clone, Default)]
pub(super) struct Earlier {
    /// By table, the ids up to which they skipped. A restored database may be older than that.
    pub(super) floors: BTreeMap<String, i64>,
    pub(super) at: Vec<Timestamp>,
}

/// Returns the earlier reconciliations by practice.
pub(super) async fn earlier(control: &Store, now: Timestamp) -> control::Result<BTreeMap<String, Earlier>> {
    let mut found: BTreeMap<String, Earlier> = BTreeMap::new();
    for act in control.audit_copies(now - LONGEST, now + AHEAD).await? {
        let Some(practice) = act.target.filter(|_| act.action == AUDIT_ACTION) else { continue };
        let earlier = found.entry(practice).or_default();
        earlier.at.push(act.time);
        for change in act.changes {
            let Some(end) = change.to.and_then(|to| to.parse::<i64>().ok()) else { continue };
            let floor = earlier.floors.entry(change.field).or_default();
            *floor = end.max(*floor);
        }
    }
    Ok(found)
}

/// Returns what an act changed a field to, if its record has it.
pub(super) fn changed_to<'a>(act: &'a AuditRecord, field: &str) -> Option<&'a str> {
    act.changes.iter().find(|it| it.field == field)?.to.as_deref()
}

/// Whether an act is later than what an item has recorded. Some stores keep only milliseconds.
fn is_after(act: &AuditRecord, known: Option<Timestamp>) -> bool {
    known.is_none_or(|known| known.as_millisecond() < act.time.as_millisecond())
}

pub(super) fn described(act: &AuditRecord) -> String {
    let target = act.target.as_deref().unwrap_or("-");
    format!("{} {} {target} by {} ({}, {})", act.time, act.action, act.credential, act.id, act.request_id)
}
