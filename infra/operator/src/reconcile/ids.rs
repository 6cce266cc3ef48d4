//! Checks for ids and stored responses of the control plane that could be used a second time.

use shared::control::reconciliation::Counter;
use shared::control::{self, Store};

use super::audit::Acts;
use super::repair::Repair;
use super::report::{Check, Verdict};

/// Margin above the highest known id: environments lease ids in blocks, and may hold ids that no
/// delivery has yet.
const ABOVE: i64 = 100_000;

pub(super) async fn checks(control: &Store, acts: &Acts) -> control::Result<Vec<(Check, Vec<Repair>)>> {
    let deliveries = control.deliveries_since(None, acts.since).await?;
    let highest = [
        (Counter::Deliveries, deliveries.iter().map(|it| it.id.0).max()),
        (Counter::Subscriptions, deliveries.iter().map(|it| it.subscription_id.0).max()),
    ];
    let mut counters = Vec::new();
    for (counter, highest) in highest {
        let leased = control.leased_up_to(counter).await?;
        counters.push((counter, leased, highest.unwrap_or_default().max(leased)));
    }
    let is_behind = counters.iter().any(|(_, leased, highest)| leased < highest);
    // A store that was not restored, or was reconciled since, has lost nothing.
    let is_unknown = (acts.is_restored || is_behind) && !acts.is_reconciled;
    let (mut rows, mut repairs) = (Vec::new(), Vec::new());
    for (counter, leased, highest) in counters {
        if leased < highest || is_unknown {
            rows.push(format!("{counter:?}: ids up to {highest} are in use, new ones begin above {leased}"));
            repairs.push(Repair::LeaseAbove(counter, highest + ABOVE));
        }
    }
    let found = if rows.is_empty() { "above all ids in use" } else { "ids could be used again" };
    let ids = Check::new(
        "control/ids",
        "No id of a delivery or subscription is used twice",
        "above all ids in use",
        found,
    );
    let answers = if is_unknown { control.answers_since(acts.since, false).await? } else { 0 };
    let stale = Check::new(
        "control/answers",
        "No stored response of the control plane is about something the restore lost",
        "none from after the restored moment",
        format!("{answers}"),
    );
    let rows_of_answers =
        Vec::from_iter((answers > 0).then(|| format!("{answers} responses stored since {}", acts.since)));
    let forget = Vec::from_iter((answers > 0).then_some(Repair::ForgetAnswers(acts.since)));
    Ok(vec![
        (ids.of_rows(Verdict::Open, false, rows), repairs),
        (stale.of_rows(Verdict::Open, false, rows_of_answers), forget),
    ])
}
