//! Items of a copied control table: their kinds, and how to write them given what happened since.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use shared::auth::{KeyRecord, KeyStatus};
use shared::control::access_requests::{AccessRequest, AccessStatus};
use shared::control::partners::{Partner, PartnerStatus};
use shared::control::reconciliation::decoded;
use shared::control::subscriptions::Subscription;
use shared::control::{self, Item, Store};

use super::audit::{Acts, described};

/// What was ended or changed since the restored moment.
pub(super) struct Since {
    pub(super) acts: Acts,
    /// By practice and partner, when the partner last deleted its subscription.
    deleted: BTreeMap<(String, String), Timestamp>,
    now: Timestamp,
}

/// How an item of a copy is written.
pub(super) enum Written {
    AsItIs(Item),
    /// Written as ended; the audit action to record, and its target with the reason.
    Ended(Item, &'static str, String),
    /// Not written; the reason.
    Not(String),
}

impl Since {
    pub(super) async fn of(control: &Store, at: Timestamp, now: Timestamp) -> control::Result<Self> {
        let acts = Acts::since(control, at, now).await?;
        let mut deleted = BTreeMap::new();
        for call in control.writes_of(None, (acts.since, now)).await? {
            let Some(owner) = call.practicepass.zip(call.partner_id) else { continue };
            if (call.method.as_str(), call.endpoint.as_str()) == ("DELETE", "/v1/webhooks") {
                deleted.insert(owner, call.time);
            }
        }
        Ok(Self { acts, deleted, now })
    }

    pub(super) fn applied(&self, kind: &str, mut item: Item) -> Written {
        let now = self.now.to_string();
        let ended = match kind {
            "keys" => decoded::<KeyRecord>(&item).and_then(|key| {
                let act =
                    (key.status == KeyStatus::Active).then(|| self.acts.end_of_key(&key, self.now))??;
                set(&mut item, "status", "revoked");
                set(&mut item, "gsi2pk", &format!("REVOKED_KEYS#{}", key.partner_id));
                item.remove("previous");
                Some(("keys.revoke", key.id.0, described(act)))
            }),
            "partners" => decoded::<Partner>(&item).and_then(|partner| {
                let (status, act) = *self.acts.partners().get(partner.id.0.as_str())?;
                (status == PartnerStatus::Suspended && partner.status != status).then_some(())?;
                set(&mut item, "status", "suspended");
                set(&mut item, "suspendedAt", &now);
                Some(("partners.suspend", partner.id.0, described(act)))
            }),
            "subscriptions" => match decoded::<Subscription>(&item) {
                Some(subscription) => {
                    let owner = (subscription.practicepass.to_string(), subscription.partner_id.to_string());
                    let (id, created) = (subscription.id.to_string(), subscription.created_at);
                    let by_partner = self.deleted.get(&owner).filter(|at| created < **at);
                    let removal = self.acts.removal_of(&owner.0, Some(created));
                    let deletion = self.acts.deletion_of(&id, created).or(removal).map(described);
                    let deletion =
                        deletion.or_else(|| by_partner.map(|at| format!("deleted by its partner at {at}")));
                    if let Some(why) = deletion {
                        return Written::Not(format!("subscription {id}: {why}"));
                    }
                    let pause = self.acts.pause_of(&id, created);
                    let pause = pause.filter(|(paused, _)| *paused && subscription.paused_at.is_none());
                    pause.map(|(_, act)| {
                        set(&mut item, "pausedAt", &now);
                        ("webhooks.pause", id, described(act))
                    })
                }
                None => None,
            },
            "access requests" => decoded::<AccessRequest>(&item).and_then(|request| {
                request.approval.as_ref().filter(|it| it.key_id.is_none())?;
                (request.status == AccessStatus::Approved).then_some(())?;
                let decided = request.decided_at.unwrap_or(request.created_at);
                let act = self.acts.end_of_link(request.id.as_str(), decided)?;
                set(&mut item, "status", "withdrawn");
                set(&mut item, "gsi2pk", "ACCESS_REQUESTS#withdrawn");
                set(&mut item, "decidedAt", &now);
                Some(("access-requests.withdraw", request.id.as_str().to_owned(), described(act)))
            }),
            "practices" => {
                let practice = text(&item, "practicepass");
                if let Some(act) = self.acts.removal_of(practice, moment(&item, "registeredAt")) {
                    return Written::Not(format!("practice {practice}: {}", described(act)));
                }
                None
            }
            "poller positions" => {
                let practice = text(&item, "pk").trim_start_matches("PRACTICE#").to_owned();
                if let Some(act) = self.acts.removal_of(&practice, None) {
                    return Written::Not(format!("position in {practice}: {}", described(act)));
                }
                // The lease of that time has ended.
                item.remove("leaseUntil");
                item.remove("leaseOwner");
                None
            }
            // Old runs would look as if the pollers had stopped.
            "poller runs" => return Written::Not("runs from that time".to_owned()),
            _ => None,
        };
        match ended {
            Some((action, id, why)) => Written::Ended(item, action, format!("{id}: {why}")),
            None => Written::AsItIs(item),
        }
    }

    /// Whether an existing item may be overwritten: not counters, positions or records, and nothing
    /// that anyone changed since.
    pub(super) fn may_be_overwritten(&self, kind: &str, live: &Item) -> bool {
        let id = match kind {
            "keys" | "partners" | "access requests" => text(live, "id"),
            "practices" => text(live, "practicepass"),
            "subscriptions" => live.get("id").and_then(|it| it.as_n().ok()).map_or("", String::as_str),
            _ => return false,
        };
        let marks = ["updatedAt", "decidedAt", "registeredAt", "suspendedAt", "createdAt"];
        let is_newer = marks.iter().any(|name| moment(live, name).is_some_and(|it| self.acts.since < it));
        let has_key =
            live.get("approval").and_then(|it| it.as_m().ok()).is_some_and(|it| it.contains_key("keyId"));
        !(is_newer || has_key || self.acts.touched(id))
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

pub(super) fn kind(item: &Item) -> &'static str {
    let (pk, sk) = (text(item, "pk"), text(item, "sk"));
    match (pk.split('#').next().unwrap_or_default(), sk.split('#').next().unwrap_or_default()) {
        ("KEY", _) => "keys",
        ("PARTNER", _) => "partners",
        ("ACCESS", _) => "access requests",
        ("AUDIT", _) => "audit records",
        ("COUNTER", _) => "counters",
        ("COUNTS", _) => "delivery counts",
        ("POLLERS", _) => "poller runs",
        ("PRACTICE", "PRACTICE") => "practices",
        ("PRACTICE", "DISPATCH") => "poller positions",
        ("PRACTICE", "SUB") => "subscriptions",
        _ => "others",
    }
}
