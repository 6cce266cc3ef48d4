//! Keys, partners and claim links that were ended and must not live again.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use shared::auth::KeyStatus;
use shared::control::access_requests::{AccessRequest, AccessStatus};
use shared::control::audit::AuditRecord;
use shared::control::partners::PartnerStatus;
use shared::control::{self, Store};
use shared::domain::ids::{KeyId, PartnerId};

use super::audit::{Lost, described};
use super::repair::Repair;
use super::report::{Check, Verdict};

/// Requests for access of one read.
const PAGE: usize = 500;

pub(super) async fn checks(
    control: &Store,
    lost: &Lost,
    now: Timestamp,
) -> control::Result<Vec<(Check, Vec<Repair>)>> {
    let mut checks = keys(control, lost).await?;
    checks.extend(partners(control, lost).await?);
    checks.push(claim_links(control, lost, now).await?);
    Ok(checks)
}

fn acts<'a>(lost: &'a Lost, actions: &'a [&str]) -> impl Iterator<Item = (&'a AuditRecord, String)> {
    lost.acts.iter().filter_map(move |act| {
        let target = act.target.clone().filter(|_| actions.contains(&act.action.as_str()))?;
        Some((act, target))
    })
}

async fn keys(control: &Store, lost: &Lost) -> control::Result<Vec<(Check, Vec<Repair>)>> {
    let (mut living, mut repairs, mut by_hand) = (Vec::new(), Vec::new(), Vec::new());
    let made: BTreeSet<String> = acts(lost, &["keys.create", "keys.claim"]).map(|(_, id)| id).collect();
    for (act, id) in acts(lost, &["keys.revoke", "keys.rotate", "keys.update", "keys.create", "keys.claim"]) {
        let key = control.api_key(&KeyId(id.clone())).await?;
        let lives = key.filter(|key| key.status == KeyStatus::Active);
        match (act.action.as_str(), lives) {
            ("keys.revoke", Some(key)) => {
                living.push(format!(
                    "{} of {} for {}: {}",
                    id,
                    key.partner,
                    key.practicepass,
                    described(act)
                ));
                repairs.push(Repair::RevokeKey(key.id));
            }
            // The secret that it replaced is good again, and nobody knows the new one.
            ("keys.rotate", Some(key)) if !lost.is_settled(act, &["keys.rotate"]) => {
                living.push(format!(
                    "{} of {} for {} with the secret before: {}; the partner needs a new key",
                    id,
                    key.partner,
                    key.practicepass,
                    described(act)
                ));
                repairs.push(Repair::RevokeKey(key.id));
            }
            ("keys.update", Some(key)) if !lost.is_settled(act, &["keys.update"]) => by_hand.push(format!(
                "{id} of {} has its terms of before ({}): set them again, or revoke it: {}",
                key.partner,
                act.fields.join(", "),
                described(act)
            )),
            ("keys.create" | "keys.claim", None) if !ended_later(lost, &id) => {
                by_hand.push(format!(
                    "{id} is lost, and refused: its partner needs a new one: {}",
                    described(act)
                ));
            }
            _ => {}
        }
    }
    let count = living.len();
    let ended = Check::new(
        "control/keys",
        "No key lives that was revoked, and no secret that was replaced",
        "none",
        format!("{count} of {} ended", acts(lost, &["keys.revoke", "keys.rotate"]).count()),
    );
    let narrowed = by_hand.iter().any(|it| it.contains("terms of before"));
    let terms = Check::new(
        "control/key-terms",
        "Keys are there, with the terms that administrators gave them",
        "all",
        format!("{} lost or with earlier terms; {} were made", by_hand.len(), made.len()),
    );
    Ok(vec![
        (ended.of_rows(Verdict::Open, true, living), repairs),
        (terms.of_rows(Verdict::ByHand, narrowed, by_hand), Vec::new()),
    ])
}

fn ended_later(lost: &Lost, id: &str) -> bool {
    acts(lost, &["keys.revoke"]).any(|(_, revoked)| revoked == id)
}

async fn partners(control: &Store, lost: &Lost) -> control::Result<Vec<(Check, Vec<Repair>)>> {
    const STATES: [&str; 3] = ["partners.suspend", "partners.reinstate", "partners.update"];
    let mut newest: BTreeMap<String, (PartnerStatus, &AuditRecord)> = BTreeMap::new();
    for (act, id) in acts(lost, &STATES) {
        let changed = act.changes.iter().find(|it| it.field == "status").and_then(|it| it.to.as_deref());
        let status = match (act.action.as_str(), changed) {
            ("partners.suspend", _) | (_, Some("suspended")) => PartnerStatus::Suspended,
            ("partners.reinstate", _) | (_, Some("active")) => PartnerStatus::Active,
            _ => continue,
        };
        newest.insert(id, (status, act));
    }
    let (mut living, mut repairs, mut by_hand) = (Vec::new(), Vec::new(), Vec::new());
    for (id, (status, act)) in &newest {
        let Some(partner) = control.partner(&PartnerId(id.clone())).await? else { continue };
        match (status, partner.status) {
            (PartnerStatus::Suspended, PartnerStatus::Active) if !lost.is_settled(act, &STATES) => {
                living.push(format!("{id} ({}): {}", partner.company, described(act)));
                repairs.push(Repair::SuspendPartner(partner.id));
            }
            (PartnerStatus::Active, PartnerStatus::Suspended) if !lost.is_settled(act, &STATES) => {
                by_hand.push(format!("{id} ({}) was reinstated: {}", partner.company, described(act)));
            }
            _ => {}
        }
    }
    for (act, id) in acts(lost, &["partners.create"]) {
        if control.partner(&PartnerId(id.clone())).await?.is_none() {
            by_hand.push(format!("{id} is lost: make it again: {}", described(act)));
        }
    }
    let found = format!("{} of {} with a changed status", living.len(), newest.len());
    let ended = Check::new("control/partners", "No partner is active that was suspended", "none", found);
    let found = format!("{} lost", by_hand.len());
    let there =
        Check::new("control/partners-lost", "Partners are there, and active if they were", "all", found);
    Ok(vec![
        (ended.of_rows(Verdict::Open, true, living), repairs),
        (there.of_rows(Verdict::ByHand, false, by_hand), Vec::new()),
    ])
}

/// A link that was used or withdrawn is good again, and its holder could make a second key.
async fn claim_links(control: &Store, lost: &Lost, now: Timestamp) -> control::Result<(Check, Vec<Repair>)> {
    const ENDS: [&str; 4] =
        ["access-requests.withdraw", "access-requests.reissue", "access-requests.deny", "keys.claim"];
    let ended: Vec<(&AuditRecord, String)> = acts(lost, &ENDS).collect();
    let (mut living, mut repairs, mut after) = (Vec::new(), Vec::new(), None);
    loop {
        let page = control.access_requests(Some(AccessStatus::Approved), PAGE, after.as_ref(), now).await?;
        for request in page.items.into_iter().filter(|it| is_open(it, now)) {
            let decided = request.decided_at.unwrap_or(request.created_at);
            // The record of a claim names the key, not the request: any link that was open then may be the one.
            let end = ended.iter().find(|(act, target)| {
                decided <= act.time && (act.action == "keys.claim" || *target == request.id.as_str())
            });
            if let Some((act, _)) = end {
                living.push(format!("{} ({}): {}", request.id, request.company, described(act)));
                repairs.push(Repair::WithdrawLink(Box::new(request)));
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let found = format!("{} open, after {} ends", living.len(), ended.len());
    let guarantee = "No claim link is good that was used or ended";
    let check = Check::new("control/claim-links", guarantee, "none", found);
    Ok((check.of_rows(Verdict::Open, true, living), repairs))
}

fn is_open(request: &AccessRequest, now: Timestamp) -> bool {
    request.approval.as_ref().is_some_and(|it| it.key_id.is_none() && now < it.claim_until)
}
