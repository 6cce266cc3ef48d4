//! What administrators and operators did since the restored moment, by the audit log and by the copies of its records. Either may have
//! lost some, so both are read; the newest act on a thing says how it must be.

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

/// A record has the time at which its call began, and backups are of whole seconds: what is dated so shortly before the moment may have
/// been done after it.
pub(super) const SLACK: SignedDuration = SignedDuration::from_secs(60);
/// Clocks of other machines may be ahead.
const AHEAD: SignedDuration = SignedDuration::from_hours(1);
/// A table's own moment counts for a restore that isn't older than what was said by more than this.
const OF_THIS_RESTORE: SignedDuration = SignedDuration::from_hours(24);
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
        let copies = control.audit_copies(now - LONGEST, now + AHEAD).await?;
        let records = control.audit_since(now - LONGEST).await?;
        let known: HashMap<&str, &AuditRecord> = records.iter().map(|it| (it.id.as_str(), it)).collect();
        // What an earlier restore had lost was brought back before this one.
        let is_lost = |it: &&AuditRecord| {
            known
                .get(it.id.as_str())
                .is_none_or(|it| it.recovered_at.is_some_and(|recovered| at <= recovered))
        };
        let first_lost = copies.iter().find(is_lost).map(|it| it.time);
        let told = control.restored_to().await?.filter(|to| at - OF_THIS_RESTORE <= *to);
        let since = first_lost.into_iter().chain(told).chain([at]).min().unwrap_or(at);
        let is_of_period = |it: &AuditRecord| since - SLACK <= it.time;
        let missing: Vec<AuditRecord> =
            copies.iter().filter(|it| !known.contains_key(it.id.as_str())).cloned().collect();
        let restores: Vec<&AuditRecord> =
            records.iter().filter(|it| it.action == RESTORED && is_of_period(it)).collect();
        let newest_restore = restores.iter().map(|it| it.time).max();
        let restores: Vec<String> = restores.into_iter().map(described).collect();
        let is_restored = first_lost.is_some() || newest_restore.is_some() || told.is_some();
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

    /// What ended a key: its revocation; or a rotation that it knows nothing of, if the secret that it replaced is good again.
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

    /// A change of a key's terms that it knows nothing of, and which.
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

    /// The status that each partner was given last.
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

    /// What deleted a subscription. Another one that was made later may have its id.
    pub(super) fn deletion_of(&self, subscription: &str, created_at: Timestamp) -> Option<&AuditRecord> {
        self.newest(subscription, &["webhooks.delete"]).filter(|it| is_after(it, Some(created_at)))
    }

    /// The last pause or resumption of a subscription by an administrator, and whether it is one of a pause.
    pub(super) fn pause_of(&self, subscription: &str, created_at: Timestamp) -> Option<(bool, &AuditRecord)> {
        let act = self.newest(subscription, &["webhooks.pause", "webhooks.resume"])?;
        is_after(act, Some(created_at)).then_some((act.action == "webhooks.pause", act))
    }

    /// What ended the claim link of a request that was approved at `decided_at`.
    pub(super) fn end_of_link(&self, request: &str, decided_at: Timestamp) -> Option<&AuditRecord> {
        const ENDS: [&str; 3] =
            ["access-requests.withdraw", "access-requests.reissue", "access-requests.deny"];
        let ended = self.newest(request, &ENDS).filter(|it| is_after(it, Some(decided_at)));
        let is_of_request =
            |act: &&AuditRecord| changed_to(act, "accessRequest") == Some(request) && decided_at <= act.time;
        ended.or_else(|| self.of(&["keys.claim"]).map(|(act, _)| act).find(is_of_request))
    }

    /// The time zone that a practice was given last.
    pub(super) fn time_zone_of(&self, practice: &str) -> Option<(&str, &AuditRecord)> {
        let act = self.newest(practice, &["practices.update"])?;
        Some((changed_to(act, "timeZone")?, act))
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

/// What earlier reconciliations of a practice did.
#[derive(Clone, Default)]
pub(super) struct Earlier {
    /// By table, up to which ids they passed over. A restored database may have gone back to before it.
    pub(super) floors: BTreeMap<String, i64>,
    pub(super) at: Vec<Timestamp>,
}

/// Earlier reconciliations, by practice.
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

/// What an act changed a field to, if its record tells.
pub(super) fn changed_to<'a>(act: &'a AuditRecord, field: &str) -> Option<&'a str> {
    act.changes.iter().find(|it| it.field == field)?.to.as_deref()
}

/// Whether an act came after what a thing knows of. Instants are kept to the millisecond in some places.
fn is_after(act: &AuditRecord, known: Option<Timestamp>) -> bool {
    known.is_none_or(|known| known.as_millisecond() < act.time.as_millisecond())
}

pub(super) fn described(act: &AuditRecord) -> String {
    let target = act.target.as_deref().unwrap_or("-");
    format!("{} {} {target} by {} ({}, {})", act.time, act.action, act.credential, act.id, act.request_id)
}
