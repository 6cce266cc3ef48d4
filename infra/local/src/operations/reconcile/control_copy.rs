//! A control table that was restored under another name, copied back into the one that the stack uses.
//!
//! Point-in-time recovery makes a new table, and the stack's table has a name of CloudFormation's. Items are copied, so that nothing of the
//! stack changes and what was written since stays. What was ended since is copied as ended, so that nothing lives again even for a moment.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use shared::control::partners::PartnerStatus;
use shared::control::{self, Item, Store};

use super::super::Operator;
use super::super::access::record;
use super::audit::{Acts, PRECISION, RESTORED, described};
use super::report::{Report, Step};
use super::{LONGEST, Moments, Plan};
use crate::error::{Error, Result};

/// What the items of one kind came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// As in the copy.
    pub same: usize,
    /// Other than in the copy, and left as they are.
    pub kept: usize,
    /// Not there: to be written from the copy.
    pub missing: usize,
    /// Other than in the copy: to be written over.
    pub overwritten: usize,
    /// Of those to be written: changed so that they are ended.
    pub ended: usize,
    /// Deleted since, and so not brought back.
    pub deleted: usize,
}

/// Counts by kind of item.
pub type Copied = BTreeMap<&'static str, Counts>;

/// What was ended or changed after the restored moment.
struct Since {
    acts: Acts,
    /// Practice and partner, and when the partner deleted its subscription.
    deleted: BTreeMap<(String, String), Timestamp>,
    /// Practice and partner of the subscriptions that partners changed in any way.
    changed: BTreeSet<(String, String)>,
    /// Keys that were made through claim links that the copy, or the table, knows.
    claimed: BTreeSet<String>,
    now: Timestamp,
}

impl Since {
    async fn of(control: &Store, at: Timestamp, now: Timestamp) -> control::Result<Self> {
        let acts = Acts::since(control, at, now).await?;
        let (mut deleted, mut changed) = (BTreeMap::new(), BTreeSet::new());
        for call in control.writes_of(None, (acts.since, now)).await? {
            let Some(owner) = call.practicepass.zip(call.partner_id) else { continue };
            match (call.method.as_str(), call.endpoint.as_str()) {
                ("DELETE", "/v1/webhooks") => {
                    deleted.insert(owner.clone(), call.time);
                }
                ("POST", "/v1/webhooks/signup") => {
                    deleted.remove(&owner);
                }
                (_, endpoint) if endpoint.starts_with("/v1/webhooks") => {}
                _ => continue,
            }
            changed.insert(owner);
        }
        Ok(Self { acts, deleted, changed, claimed: BTreeSet::new(), now })
    }

    fn practice_ended(&self, practice: &str, since: Option<Timestamp>) -> bool {
        self.acts.removal_of(practice, since).is_some()
    }

    /// The item as it may be written, and whether it was changed for it; `None` when it was deleted.
    fn applied(&self, kind: &str, mut item: Item) -> Option<(Item, bool)> {
        let id = text(&item, "id").to_owned();
        let ended = match kind {
            "keys" => {
                let ended = text(&item, "status") != "revoked"
                    && self.acts.end_of_key(&id, moment(&item, "rotatedAt")).is_some();
                if ended {
                    let list = format!("REVOKED_KEYS#{}", text(&item, "partnerId"));
                    set(&mut item, "status", "revoked");
                    set(&mut item, "gsi2pk", &list);
                    item.remove("previous");
                }
                ended
            }
            "partners" => {
                let status = self.acts.partners().get(id.as_str()).map(|(status, _)| *status);
                let ended = text(&item, "status") != "suspended" && status == Some(PartnerStatus::Suspended);
                if ended {
                    set(&mut item, "status", "suspended");
                    set(&mut item, "suspendedAt", &self.now.to_string());
                }
                ended
            }
            "subscriptions" => {
                let number = item.get("id").and_then(|it| it.as_n().ok()).cloned().unwrap_or_default();
                let created = moment(&item, "createdAt").unwrap_or_default();
                let of_partner = self.deleted.get(&owner(&item)).is_some_and(|at| created < *at);
                if self.acts.deletion_of(&number).is_some()
                    || of_partner
                    || self.practice_ended(text(&item, "practicepass"), Some(created))
                {
                    return None;
                }
                let is_paused = self.acts.pause_of(&number).is_some_and(|(is_paused, _)| is_paused);
                let ended = is_paused && !item.contains_key("pausedAt");
                if ended {
                    set(&mut item, "pausedAt", &self.now.to_string());
                }
                ended
            }
            "requests for access" => {
                let ended = text(&item, "status") == "approved" && !has_key(&item) && {
                    let decided = moment(&item, "decidedAt").unwrap_or_default();
                    self.acts.end_of_link(&id, decided, &self.claimed).is_some()
                };
                if ended {
                    set(&mut item, "status", "withdrawn");
                    set(&mut item, "gsi2pk", "ACCESS_REQUESTS#withdrawn");
                    set(&mut item, "decidedAt", &self.now.to_string());
                }
                ended
            }
            "practices" => {
                let registered = moment(&item, "registeredAt");
                if self.practice_ended(text(&item, "practicepass"), registered) {
                    return None;
                }
                false
            }
            "positions of the poller" => {
                let practice = text(&item, "pk").trim_start_matches("PRACTICE#").to_owned();
                if self.practice_ended(&practice, None) {
                    return None;
                }
                // Whoever held the practice then doesn't hold it now.
                item.remove("leaseUntil");
                item.remove("leaseOwner");
                false
            }
            // The last runs of then would say that pollers stand still.
            "runs of pollers" => return None,
            _ => false,
        };
        Some((item, ended))
    }

    /// Whether an item that is there may be written over: not what only grows or moves on, and nothing that anybody changed since.
    fn may_be_overwritten(&self, kind: &str, live: &Item) -> bool {
        match kind {
            "keys" | "partners" => !self.acts.touched(text(live, "id")),
            "requests for access" => !self.acts.touched(text(live, "id")) && !has_key(live),
            "practices" => !self.acts.touched(text(live, "practicepass")),
            "subscriptions" => {
                let number = live.get("id").and_then(|it| it.as_n().ok()).cloned().unwrap_or_default();
                !self.acts.touched(&number) && !self.changed.contains(&owner(live))
            }
            _ => false,
        }
    }
}

fn text<'a>(item: &'a Item, name: &str) -> &'a str {
    item.get(name).and_then(|it| it.as_s().ok()).map_or("", String::as_str)
}

fn moment(item: &Item, name: &str) -> Option<Timestamp> {
    text(item, name).parse().ok()
}

fn set(item: &mut Item, name: &str, value: &str) {
    item.insert(name.to_owned(), AttributeValue::S(value.to_owned()));
}

/// Practice and partner of a subscription.
fn owner(item: &Item) -> (String, String) {
    (text(item, "practicepass").to_owned(), text(item, "partnerId").to_owned())
}

/// The key that was made through the claim link of a request.
fn claimed_key(item: &Item) -> Option<&String> {
    item.get("approval")?.as_m().ok()?.get("keyId")?.as_s().ok()
}

fn has_key(item: &Item) -> bool {
    claimed_key(item).is_some()
}

fn kind(item: &Item) -> &'static str {
    let (pk, sk) = (text(item, "pk"), text(item, "sk"));
    match (pk.split('#').next().unwrap_or_default(), sk.split('#').next().unwrap_or_default()) {
        ("KEY", _) => "keys",
        ("PARTNER", _) => "partners",
        ("ACCESS", _) => "requests for access",
        ("AUDIT", _) => "audit records",
        ("COUNTER", _) => "counters",
        ("COUNTS", _) => "counts of deliveries",
        ("POLLERS", _) => "runs of pollers",
        ("PRACTICE", "PRACTICE") => "practices",
        ("PRACTICE", "DISPATCH") => "positions of the poller",
        ("PRACTICE", "SUB") => "subscriptions",
        _ => "others",
    }
}

/// Copies what `target` lacks from `copy`, which was restored to `at`; with `overwrite` also what differs. Without `apply`
/// it only counts.
///
/// # Errors
/// [`control::Error::ConditionFailed`] when an item is changed meanwhile; run it again.
pub async fn restore_control(
    target: &Store,
    copy: &Store,
    (at, now): (Timestamp, Timestamp),
    (overwrite, apply): (bool, bool),
) -> control::Result<Copied> {
    let mut since = Since::of(target, at, now).await?;
    let items = copy.control_items().await?;
    for item in items.iter().filter(|it| kind(it) == "requests for access") {
        since.claimed.extend(claimed_key(item).cloned());
        let live = target.control_item(item).await?;
        since.claimed.extend(live.as_ref().and_then(claimed_key).cloned());
    }
    let mut copied = Copied::new();
    for item in items {
        let kind = kind(&item);
        let counts = copied.entry(kind).or_default();
        let live = target.control_item(&item).await?;
        match &live {
            Some(live) if *live == item => {
                counts.same += 1;
                continue;
            }
            Some(live) if !(overwrite && since.may_be_overwritten(kind, live)) => {
                counts.kept += 1;
                continue;
            }
            Some(_) => counts.overwritten += 1,
            None => counts.missing += 1,
        }
        let Some((item, is_ended)) = since.applied(kind, item) else {
            counts.deleted += 1;
            continue;
        };
        counts.ended += usize::from(is_ended);
        if apply {
            target.put_control_item(item, live.as_ref()).await?;
        }
    }
    Ok(copied)
}

/// The moment that a copy is of: as its table says (AWS: `RestoreSummary`), or as it was given.
///
/// # Errors
/// When both contradict each other, when neither is known, and when the copy lacks the record of an act of before.
pub async fn moment_of(
    control: &Store,
    copy: &Store,
    given: Option<Timestamp>,
    now: Timestamp,
) -> Result<Timestamp> {
    let failed = |error: control::Error| Error::Refused(error.to_string());
    let at = agreed(given, copy.restored_to().await.map_err(failed)?)?;
    let records = copy.audit_since(now - LONGEST).await.map_err(failed)?;
    let known: BTreeSet<&str> = records.iter().map(|it| it.id.as_str()).collect();
    let before = control.audit_copies(now - LONGEST, at - PRECISION).await.map_err(failed)?;
    if let Some(act) = before.iter().find(|it| !known.contains(it.id.as_str())) {
        return Err(Error::Refused(format!(
            "the copy is of an earlier moment than {at}: it lacks {}. Give the moment that it was restored to",
            described(act)
        )));
    }
    Ok(at)
}

fn agreed(given: Option<Timestamp>, told: Option<Timestamp>) -> Result<Timestamp> {
    match (given, told) {
        (Some(given), Some(told)) if given.duration_since(told).abs() > PRECISION => Err(Error::Refused(
            format!("the copy was restored to {told}, not to {given}; leave --control-at out"),
        )),
        (Some(at), _) | (None, Some(at)) => Ok(at),
        (None, None) => Err(Error::Refused(
            "the copy doesn't say to which moment it was restored; give it as --control-at".to_owned(),
        )),
    }
}

impl Operator {
    /// Copies a control table that was restored as `from` back into the stack's; the report, with the moment that it was restored to.
    ///
    /// # Errors
    /// Also when there is no such table, it is the stack's own, or the moment can't be right.
    pub async fn restore_control(
        &self,
        from: &str,
        at: Option<Timestamp>,
        (overwrite, apply): (bool, bool),
    ) -> Result<(Report, Timestamp)> {
        let failed = |error: control::Error| Error::Refused(format!("{from}: {error}"));
        let copy = self.control.with_control_table(from);
        if self.control.control_table() == from {
            return Err(Error::Refused(format!("{from} is the stack's own table; name the copy")));
        }
        let now = Timestamp::now();
        let at = moment_of(&self.control, &copy, at, now).await?;
        let plan = Plan::new(Moments { control: Some(at), database: None }, apply, now)?;
        let copied = restore_control(&self.control, &copy, (at, now), (overwrite, apply)).await;
        let copied = copied.map_err(failed)?;
        if apply {
            // What a cut-off run had written is what this one finds the same.
            let record = record(RESTORED, from, Timestamp::now())?;
            self.control.record_audit(&record).await.map_err(failed)?;
        }
        let mut report = Report::new(plan);
        "Restore of the control plane".clone_into(&mut report.title);
        report.place = super::report::place(self.control.control_table());
        report.measured.push(("Copied from".to_owned(), from.to_owned()));
        let mode = if overwrite { "what is missing and what differs" } else { "what is missing" };
        report.measured.push(("Written".to_owned(), mode.to_owned()));
        report.steps.push(Step {
            name: "Items by kind".to_owned(),
            at: now,
            seconds: Timestamp::now().duration_since(now).as_secs_f64(),
            told: copied.iter().map(|(kind, it)| it.in_words(kind)).collect(),
        });
        report.end(Timestamp::now());
        Ok((report, at))
    }
}

impl Counts {
    fn in_words(&self, kind: &str) -> String {
        let Self { same, kept, missing, overwritten, ended, deleted } = self;
        format!(
            "{kind}: {same} the same, {kept} other and kept, {missing} missing, {overwritten} written over; of these {ended} as ended, {deleted} \
             not, because they were deleted since"
        )
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::agreed;

    #[test]
    fn the_moment_is_the_tables_and_another_is_refused() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (noon, later) = (at("2026-11-29T12:00:00Z"), at("2026-11-29T12:10:00Z"));
        assert_eq!(agreed(None, Some(noon)).unwrap(), noon);
        assert_eq!(agreed(Some(noon), None).unwrap(), noon);
        assert_eq!(
            agreed(Some(at("2026-11-29T12:00:00.4Z")), Some(noon)).unwrap(),
            at("2026-11-29T12:00:00.4Z")
        );
        assert!(
            agreed(Some(later), Some(noon))
                .unwrap_err()
                .to_string()
                .contains("restored to 2026-11-29T12:00:00Z")
        );
        assert!(agreed(None, None).is_err());
    }
}
