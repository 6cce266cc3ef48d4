//! Checks that access that was ended stays ended: keys, partners, claim links and practices.

use std::collections::BTreeSet;

use jiff::Timestamp;
use shared::auth::KeyStatus;
use shared::control::access_requests::{AccessRequest, AccessStatus};
use shared::control::partners::PartnerStatus;
use shared::control::{self, Store};
use shared::domain::PracticePass;
use shared::domain::ids::{KeyId, PartnerId};

use super::audit::{Acts, described};
use super::repair::Repair;
use super::report::{Check, Verdict};

/// Access requests per read.
const PAGE: usize = 500;

pub(super) async fn checks(
    control: &Store,
    acts: &Acts,
    now: Timestamp,
) -> control::Result<Vec<(Check, Vec<Repair>)>> {
    let mut checks = keys(control, acts, now).await?;
    checks.extend(partners(control, acts).await?);
    checks.push(claim_links(control, acts, now).await?);
    checks.push(practices(control, acts).await?);
    Ok(checks)
}

async fn keys(control: &Store, acts: &Acts, now: Timestamp) -> control::Result<Vec<(Check, Vec<Repair>)>> {
    const KINDS: [&str; 5] = ["keys.create", "keys.claim", "keys.update", "keys.rotate", "keys.revoke"];
    let (mut living, mut repairs, mut lost, mut earlier) = (vec![], vec![], vec![], vec![]);
    let changed: BTreeSet<&str> = acts.of(&KINDS).map(|(_, id)| id).collect();
    for id in &changed {
        let Some(key) = control.api_key(&KeyId((*id).to_owned())).await? else {
            // A key that was also revoked is not missed.
            let made = acts.of(&["keys.create", "keys.claim"]).find(|(_, made)| made == id);
            let is_revoked = acts.of(&["keys.revoke"]).any(|(_, revoked)| revoked == *id);
            if let Some((act, _)) = made.filter(|_| !is_revoked) {
                lost.push(format!(
                    "{id} is lost and rejected; its partner needs a new one: {}",
                    described(act)
                ));
            }
            continue;
        };
        if key.status != KeyStatus::Active {
            continue;
        }
        let named = format!("{id} of {} for {}", key.partner, key.practicepass);
        if let Some(act) = acts.end_of_key(&key, now) {
            let secret = if act.action == "keys.rotate" {
                " accepts its previous secret; the partner needs a new key"
            } else {
                ""
            };
            living.push(format!("{named}{secret}: {}", described(act)));
            repairs.push(Repair::RevokeKey(key.id));
        } else if let Some((act, fields)) = acts.lost_terms(&key) {
            let fields = fields.join(", ");
            earlier.push(format!(
                "{named} has its earlier settings ({fields}); set them again, or revoke it: {}",
                described(act)
            ));
        }
    }
    let count = living.len();
    let ended = Check::new(
        "control/keys",
        "No revoked key and no replaced secret works",
        "none",
        format!(
            "{count} of {} revoked or rotated keys work again",
            acts.newest_of(&["keys.revoke", "keys.rotate"]).len()
        ),
    );
    let (critical, found) =
        (!earlier.is_empty(), format!("{} lost, {} with earlier settings", lost.len(), earlier.len()));
    let terms = Check::new(
        "control/key-terms",
        "All keys exist, with the settings that administrators chose",
        "all",
        found,
    );
    lost.extend(earlier);
    Ok(vec![
        (ended.of_rows(Verdict::Open, true, living), repairs),
        (terms.of_rows(Verdict::Manual, critical, lost), Vec::new()),
    ])
}

async fn partners(control: &Store, acts: &Acts) -> control::Result<Vec<(Check, Vec<Repair>)>> {
    let (mut living, mut repairs, mut manual) = (Vec::new(), Vec::new(), Vec::new());
    let newest = acts.partners();
    for (id, (status, act)) in &newest {
        let Some(partner) = control.partner(&PartnerId((*id).to_owned())).await? else { continue };
        match (status, partner.status) {
            (PartnerStatus::Suspended, PartnerStatus::Active) => {
                living.push(format!("{id} ({}): {}", partner.company, described(act)));
                repairs.push(Repair::SuspendPartner(partner.id));
            }
            (PartnerStatus::Active, PartnerStatus::Suspended) => {
                manual.push(format!("{id} ({}) was reinstated: {}", partner.company, described(act)));
            }
            _ => {}
        }
    }
    for (act, id) in acts.of(&["partners.create"]) {
        if control.partner(&PartnerId(id.to_owned())).await?.is_none() {
            manual.push(format!("{id} is lost; create it again: {}", described(act)));
        }
    }
    let found =
        format!("{} of {} partners with a changed status are active again", living.len(), newest.len());
    let ended = Check::new("control/partners", "No suspended partner is active", "none", found);
    let found = format!("{} lost or suspended", manual.len());
    let there =
        Check::new("control/partners-lost", "All partners exist, and are active if they were", "all", found);
    Ok(vec![
        (ended.of_rows(Verdict::Open, true, living), repairs),
        (there.of_rows(Verdict::Manual, false, manual), Vec::new()),
    ])
}

/// Finds used or withdrawn links that work again; their holders could create a second key.
async fn claim_links(control: &Store, acts: &Acts, now: Timestamp) -> control::Result<(Check, Vec<Repair>)> {
    let (mut approved, mut after) = (Vec::new(), None);
    loop {
        let page = control.access_requests(Some(AccessStatus::Approved), PAGE, after.as_ref(), now).await?;
        approved.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let (mut living, mut repairs) = (Vec::new(), Vec::new());
    for request in approved.into_iter().filter(|it| is_open(it, now)) {
        let decided = request.decided_at.unwrap_or(request.created_at);
        if let Some(act) = acts.end_of_link(request.id.as_str(), decided) {
            living.push(format!("{} ({}): {}", request.id, request.company, described(act)));
            repairs.push(Repair::WithdrawLink(Box::new(request)));
        }
    }
    let found = format!("{} work again", living.len());
    let guarantee = "No used or withdrawn claim link works";
    let check = Check::new("control/claim-links", guarantee, "none", found);
    Ok((check.of_rows(Verdict::Open, true, living), repairs))
}

fn is_open(request: &AccessRequest, now: Timestamp) -> bool {
    request.approval.as_ref().is_some_and(|it| it.key_id.is_none() && now < it.claim_until)
}

async fn practices(control: &Store, acts: &Acts) -> control::Result<(Check, Vec<Repair>)> {
    let mut rows = Vec::new();
    for (id, act) in acts.newest_of(&["practices.add", "practices.remove", "practices.update"]) {
        let Ok(practicepass) = PracticePass::try_from(id) else { continue };
        match control.practice(&practicepass).await? {
            Some(practice) if acts.removal_of(id, practice.registered_at).is_some() => {
                rows.push(format!(
                    "{id} is registered again; remove it with `remove-practice`: {}",
                    described(act)
                ));
            }
            Some(practice) => {
                let zone = acts.time_zone_of(id).filter(|(zone, _)| *zone != practice.time_zone);
                rows.extend(zone.map(|(zone, act)| {
                    format!(
                        "{id} is in {} again; correct it with `set-time-zone {id} {zone}`: {}",
                        practice.time_zone,
                        described(act)
                    )
                }));
            }
            None if act.action != "practices.remove" => {
                rows.push(format!("{id} is lost; register it again with `add-practice`: {}", described(act)));
            }
            _ => {}
        }
    }
    let found = format!("{} differ from what operators last set", rows.len());
    let guarantee = "No removed practice is registered, and none is missing";
    let check = Check::new("control/practices", guarantee, "as operators last set them", found);
    Ok((check.of_rows(Verdict::Manual, true, rows), Vec::new()))
}
