//! Checks webhook subscriptions: deleted ones that came back, lost ones, paused ones active again.

use std::collections::BTreeMap;

use jiff::Timestamp;
use shared::control::activity::CallRecord;
use shared::control::subscriptions::Subscription;
use shared::control::{self, Store};
use shared::domain::PracticePass;
use shared::domain::ids::{PartnerId, SubscriptionId};

use super::audit::{Acts, described};
use super::repair::Repair;
use super::report::{Check, Verdict};

#[derive(Default)]
struct SubscriptionFindings {
    back: Vec<String>,
    repairs: Vec<Repair>,
    manual: Vec<String>,
}

pub(super) async fn checks(
    control: &Store,
    acts: &Acts,
    now: Timestamp,
) -> control::Result<Vec<(Check, Vec<Repair>)>> {
    let mut found = SubscriptionFindings::default();
    by_administrators(control, acts, &mut found).await?;
    let calls = control.writes_of(None, (acts.since, now)).await?;
    by_partners(control, &calls, &mut found).await?;
    let back = Check::new(
        "control/subscriptions",
        "No deleted or paused subscription is active",
        "none",
        format!("{} came back", found.back.len()),
    );
    let there = Check::new(
        "control/subscriptions-lost",
        "All subscriptions exist, with the URL, scopes and secret that partners know",
        "all",
        format!("{} lost or outdated", found.manual.len()),
    );
    Ok(vec![
        (back.of_rows(Verdict::Open, true, found.back), found.repairs),
        (there.of_rows(Verdict::Manual, false, found.manual), Vec::new()),
    ])
}

async fn by_administrators(
    control: &Store,
    acts: &Acts,
    found: &mut SubscriptionFindings,
) -> control::Result<()> {
    for target in acts.newest_of(&["webhooks.delete", "webhooks.pause", "webhooks.resume"]).into_keys() {
        let Ok(id) = target.parse() else { continue };
        let Some(subscription) = control.subscription_by_id(SubscriptionId(id)).await? else { continue };
        if let Some(act) = acts.deletion_of(target, subscription.created_at) {
            found.back.push(format!("{}: {}", named(&subscription), described(act)));
            found.repairs.push(Repair::DeleteSubscription(Box::new(subscription)));
            continue;
        }
        match (acts.pause_of(target, subscription.created_at), subscription.paused_at) {
            (Some((true, act)), None) => {
                found.back.push(format!("{}: {}", named(&subscription), described(act)));
                found.repairs.push(Repair::PauseSubscription(Box::new(subscription)));
            }
            (Some((false, act)), Some(_)) => {
                found.manual.push(format!("{} is paused again: {}", named(&subscription), described(act)));
            }
            _ => {}
        }
    }
    Ok(())
}

/// A partner's last calls in a practice.
#[derive(Default)]
struct Calls<'a> {
    /// The last sign-up or deletion.
    last: Option<&'a CallRecord>,
    deletion: Option<&'a CallRecord>,
    rotation: Option<&'a CallRecord>,
}

async fn by_partners(
    control: &Store,
    calls: &[CallRecord],
    found: &mut SubscriptionFindings,
) -> control::Result<()> {
    let mut last: BTreeMap<(&str, &str), Calls<'_>> = BTreeMap::new();
    for call in calls {
        let Some(owner) = call.practicepass.as_deref().zip(call.partner_id.as_deref()) else { continue };
        match (call.method.as_str(), call.endpoint.as_str()) {
            ("DELETE", "/v1/webhooks") => {
                let calls = last.entry(owner).or_default();
                (calls.last, calls.deletion) = (Some(call), Some(call));
            }
            ("POST", "/v1/webhooks/signup") => last.entry(owner).or_default().last = Some(call),
            ("POST", "/v1/webhooks/rotate-secret") => last.entry(owner).or_default().rotation = Some(call),
            _ => {}
        }
    }
    for ((practice, partner), calls) in last {
        let Ok(practicepass) = PracticePass::try_from(practice) else { continue };
        let partner = PartnerId(partner.to_owned());
        let subscription = control.subscription(&practicepass, &partner).await?;
        let described_call = |call: &CallRecord| {
            let company = call.partner.as_deref().unwrap_or("?");
            format!(
                "{company} ({partner}) in {practice}, {} {} at {} ({})",
                call.method, call.endpoint, call.time, call.request_id
            )
        };
        let deletion = calls.deletion.zip(subscription.clone());
        let deletion = deletion.filter(|(call, subscription)| subscription.created_at < call.time);
        if let Some((call, subscription)) = deletion {
            found.back.push(format!("{}: {}", named(&subscription), described_call(call)));
            found.repairs.push(Repair::DeleteSubscription(Box::new(subscription)));
        }
        match (calls.last, &subscription) {
            (Some(call), None) if call.method == "POST" => {
                found.manual.push(format!("lost; the partner must sign up again: {}", described_call(call)));
            }
            (Some(call), Some(subscription))
                if call.method == "POST" && subscription.updated_at < call.time =>
            {
                found.manual.push(format!(
                    "{} has its earlier URL and scopes; the partner must sign up again: {}",
                    named(subscription),
                    described_call(call)
                ));
            }
            _ => {}
        }
        if let (Some(call), Some(subscription)) = (calls.rotation, &subscription)
            && subscription.updated_at < call.time
        {
            found.manual.push(format!(
                "{} signs with its previous secret; the partner must rotate it again: {}",
                named(subscription),
                described_call(call)
            ));
        }
    }
    Ok(())
}

fn named(subscription: &Subscription) -> String {
    format!(
        "subscription {} of {} in {}",
        subscription.id, subscription.partner_id, subscription.practicepass
    )
}
