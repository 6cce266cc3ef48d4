//! A control table that was restored under another name, copied back into the one that the stack uses.
//!
//! Point-in-time recovery makes a new table, and the stack's table has a name of CloudFormation's. Items are copied, so that nothing of the
//! stack changes and what was written since stays. What was ended since is copied as ended, so that nothing lives again even for a moment.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use shared::control::{self, Item, Store};

use super::super::Operator;
use super::{Moments, Plan};
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

/// What was ended after the restored moment.
#[derive(Default)]
struct Ended {
    keys: BTreeSet<String>,
    partners: BTreeSet<String>,
    subscriptions: BTreeSet<String>,
    /// Practice and partner, and when the partner deleted its subscription.
    by_partners: BTreeMap<(String, String), Timestamp>,
}

impl Ended {
    async fn since(control: &Store, at: Timestamp, now: Timestamp) -> control::Result<Self> {
        let mut ended = Self::default();
        for act in control.audit_copies(at, now).await? {
            let Some(target) = act.target else { continue };
            let status = act.changes.iter().find(|it| it.field == "status").and_then(|it| it.to.as_deref());
            match (act.action.as_str(), status) {
                ("keys.revoke" | "keys.rotate", _) => {
                    ended.keys.insert(target);
                }
                ("partners.suspend", _) | ("partners.update", Some("suspended")) => {
                    ended.partners.insert(target);
                }
                ("partners.reinstate", _) | ("partners.update", Some("active")) => {
                    ended.partners.remove(&target);
                }
                ("webhooks.delete", _) => {
                    ended.subscriptions.insert(target);
                }
                _ => {}
            }
        }
        for call in control.writes_of(None, (at, now)).await? {
            let Some(owner) = call.practicepass.zip(call.partner_id) else { continue };
            match (call.method.as_str(), call.endpoint.as_str()) {
                ("DELETE", "/v1/webhooks") => {
                    ended.by_partners.insert(owner, call.time);
                }
                ("POST", "/v1/webhooks/signup") => {
                    ended.by_partners.remove(&owner);
                }
                _ => {}
            }
        }
        Ok(ended)
    }

    /// The item as it may be written, and whether it was changed for it; `None` when it was deleted.
    fn applied(&self, kind: &str, mut item: Item) -> Option<(Item, bool)> {
        let id = text(&item, "id").to_owned();
        match kind {
            "keys" if self.keys.contains(&id) && text(&item, "status") != "revoked" => {
                let list = format!("REVOKED_KEYS#{}", text(&item, "partnerId"));
                set(&mut item, "status", "revoked");
                set(&mut item, "gsi2pk", &list);
                item.remove("previous");
                Some((item, true))
            }
            "partners" if self.partners.contains(&id) && text(&item, "status") != "suspended" => {
                let at = Timestamp::now().to_string();
                set(&mut item, "status", "suspended");
                set(&mut item, "suspendedAt", &at);
                Some((item, true))
            }
            "subscriptions" => {
                let owner = (text(&item, "practicepass").to_owned(), text(&item, "partnerId").to_owned());
                let created = text(&item, "createdAt").parse::<Timestamp>().unwrap_or_default();
                let number = item.get("id").and_then(|it| it.as_n().ok()).cloned().unwrap_or_default();
                let deleted = self.subscriptions.contains(&number)
                    || self.by_partners.get(&owner).is_some_and(|at| created < *at);
                (!deleted).then_some((item, false))
            }
            "positions of the poller" => {
                // Whoever held the practice then doesn't hold it now.
                item.remove("leaseUntil");
                item.remove("leaseOwner");
                Some((item, false))
            }
            _ => Some((item, false)),
        }
    }
}

fn text<'a>(item: &'a Item, name: &str) -> &'a str {
    item.get(name).and_then(|it| it.as_s().ok()).map_or("", String::as_str)
}

fn set(item: &mut Item, name: &str, value: &str) {
    item.insert(name.to_owned(), AttributeValue::S(value.to_owned()));
}

fn kind(item: &Item) -> &'static str {
    let (pk, sk) = (text(item, "pk"), text(item, "sk"));
    match pk.split('#').next().unwrap_or_default() {
        "KEY" => "keys",
        "PARTNER" => "partners",
        "ACCESS" => "requests for access",
        "AUDIT" => "audit records",
        "COUNTER" => "counters",
        "COUNTS" => "counts of deliveries",
        "PRACTICE" if sk == "PRACTICE" => "practices",
        "PRACTICE" if sk == "DISPATCH" => "positions of the poller",
        "PRACTICE" => "subscriptions",
        _ => "others",
    }
}

/// Whether an item that is there may be written over: not what only grows or moves on, and nothing that is ended.
fn may_be_overwritten(kind: &str, live: &Item) -> bool {
    match kind {
        "keys" => text(live, "status") != "revoked",
        "partners" => text(live, "status") != "suspended",
        "practices" | "subscriptions" | "requests for access" => true,
        _ => false,
    }
}

/// Copies what `target` lacks from `copy`, which was restored to `at`; with `overwrite` also what differs. Without `apply`
/// it only counts.
pub async fn restore_control(
    target: &Store,
    copy: &Store,
    (at, now): (Timestamp, Timestamp),
    (overwrite, apply): (bool, bool),
) -> control::Result<Copied> {
    let ended = Ended::since(target, at, now).await?;
    let mut copied = Copied::new();
    for item in copy.control_items().await? {
        let kind = kind(&item);
        let counts = copied.entry(kind).or_default();
        match target.control_item(&item).await? {
            Some(live) if live == item => {
                counts.same += 1;
                continue;
            }
            Some(live) if !(overwrite && may_be_overwritten(kind, &live)) => {
                counts.kept += 1;
                continue;
            }
            Some(_) => counts.overwritten += 1,
            None => counts.missing += 1,
        }
        let Some((item, is_ended)) = ended.applied(kind, item) else {
            counts.deleted += 1;
            continue;
        };
        counts.ended += usize::from(is_ended);
        if apply {
            target.put_control_item(item).await?;
        }
    }
    Ok(copied)
}

impl Operator {
    /// Copies a control table that was restored as `from` back into the stack's.
    ///
    /// # Errors
    /// Also when there is no such table, it is the stack's own, or the moment can't be right.
    pub async fn restore_control(
        &self,
        from: &str,
        at: Timestamp,
        (overwrite, apply): (bool, bool),
    ) -> Result<()> {
        let copy = self.control.with_control_table(from);
        if self.control.has_control_table(from) {
            return Err(Error::Refused(format!("{from} is the stack's own table; name the copy")));
        }
        let plan = Plan::new(Moments { control: Some(at), database: None }, apply, Timestamp::now())?;
        let copied = restore_control(&self.control, &copy, (at, plan.now), (overwrite, apply)).await;
        let copied = copied.map_err(|error| Error::Refused(format!("{from}: {error}")))?;
        println!(
            "{:22} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
            "", "same", "kept", "missing", "over", "ended", "deleted"
        );
        for (kind, it) in &copied {
            println!(
                "{kind:22} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
                it.same, it.kept, it.missing, it.overwritten, it.ended, it.deleted
            );
        }
        if apply {
            println!(
                "What was missing is written{}.",
                if overwrite { ", and what differed is written over" } else { "" }
            );
            println!("Next: `reconcile --all --control-at {at}`.");
        } else {
            println!("Nothing was changed; --apply writes what is missing.");
        }
        Ok(())
    }
}
