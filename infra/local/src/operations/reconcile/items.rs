//! Items of a copy of the control table: of which kind they are, and how they may be written after what was done since.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use shared::control::partners::PartnerStatus;
use shared::control::{self, Item, Store};

use super::audit::Acts;

/// What was ended or changed after the restored moment.
pub(super) struct Since {
    acts: Acts,
    /// Practice and partner, and when the partner deleted its subscription.
    deleted: BTreeMap<(String, String), Timestamp>,
    /// Practice and partner of the subscriptions that partners changed in any way.
    changed: BTreeSet<(String, String)>,
    /// Keys that were made through claim links that the copy, or the table, knows.
    pub(super) claimed: BTreeSet<String>,
    now: Timestamp,
}

impl Since {
    pub(super) async fn of(control: &Store, at: Timestamp, now: Timestamp) -> control::Result<Self> {
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
    pub(super) fn applied(&self, kind: &str, mut item: Item) -> Option<(Item, bool)> {
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
    pub(super) fn may_be_overwritten(&self, kind: &str, live: &Item) -> bool {
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
pub(super) fn claimed_key(item: &Item) -> Option<&String> {
    item.get("approval")?.as_m().ok()?.get("keyId")?.as_s().ok()
}

fn has_key(item: &Item) -> bool {
    claimed_key(item).is_some()
}

pub(super) fn kind(item: &Item) -> &'static str {
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
