//! Ids and answers of the control plane that would be given a second time.

use jiff::Timestamp;
use shared::control::reconciliation::Counter;
use shared::control::{self, Store};

use super::audit::Lost;
use super::repair::Repair;
use super::report::{Check, Verdict};

/// Environments lease ids in blocks and may hold some that no delivery shows yet.
const ABOVE: i64 = 100_000;

pub(super) async fn checks(
    control: &Store,
    lost: &Lost,
    at: Timestamp,
) -> control::Result<Vec<(Check, Vec<Repair>)>> {
    let deliveries = control.deliveries_since(None, at).await?;
    let highest = [
        (Counter::Deliveries, deliveries.iter().map(|it| it.id.0).max()),
        (Counter::Subscriptions, deliveries.iter().map(|it| it.subscription_id.0).max()),
    ];
    let (mut rows, mut repairs) = (Vec::new(), Vec::new());
    for (counter, highest) in highest {
        let leased = control.leased_up_to(counter).await?;
        let highest = highest.unwrap_or_default().max(leased);
        if leased < highest || !lost.is_reconciled() {
            rows.push(format!("{counter:?}: ids up to {highest} are in use, new ones begin above {leased}"));
            repairs.push(Repair::LeaseAbove(counter, highest + ABOVE));
        }
    }
    let found = if rows.is_empty() { "above all that are in use" } else { "they may be given again" };
    let ids = Check::new(
        "control/ids",
        "No id of a delivery or subscription is given twice",
        "above all that are in use",
        found,
    );
    let answers = if lost.is_reconciled() { 0 } else { control.answers_since(at, false).await? };
    let stale = Check::new(
        "control/answers",
        "No kept answer of the control plane is about what a restore lost",
        "none of after the restored moment",
        format!("{answers}"),
    );
    let rows_of_answers = Vec::from_iter((answers > 0).then(|| format!("{answers} answers kept since {at}")));
    let forget = Vec::from_iter((answers > 0).then_some(Repair::ForgetAnswers(at)));
    Ok(vec![
        (ids.of_rows(Verdict::Open, false, rows), repairs),
        (stale.of_rows(Verdict::Open, false, rows_of_answers), forget),
    ])
}
