//! Checks how many messages wait in the queues, and how long retries are overdue.

use jiff::Timestamp;
use shared::{
    app::App,
    control::{self, queue::Lane},
};
use tokio::try_join;

use super::{
    check::{Check, CheckName, CheckStatus, seconds_between},
    thresholds::{DEAD_LETTERS, OLDEST_DUE_SECONDS, WAITING_EVENTS, WAITING_SLOW_EVENTS},
};

pub(super) async fn depth(app: &App, name: CheckName, lane: Lane) -> control::Result<Vec<Check>> {
    let depth = app.queue.depth(lane).await?;
    let most = match lane {
        Lane::Events => WAITING_EVENTS,
        Lane::SlowEvents => WAITING_SLOW_EVENTS,
        Lane::DeadLetters => DEAD_LETTERS,
    };
    let (status, detail) = match (depth.waiting > most, lane) {
        (true, Lane::DeadLetters) => (CheckStatus::Degraded, "Events wait in the dead-letter queue."),
        (false, Lane::DeadLetters) => (CheckStatus::Ok, "No event waits in the dead-letter queue."),
        (true, _) => (CheckStatus::Degraded, "More events wait than can be delivered in 15 minutes."),
        (false, _) => (CheckStatus::Ok, "All waiting events can be delivered in 15 minutes."),
    };
    let check = Check::new(name, status, detail).at_most("waiting", depth.waiting, most);
    Ok(vec![check.figure("inFlight", depth.in_flight).figure("delayed", depth.delayed)])
}

pub(super) async fn due_retries(app: &App, now: Timestamp) -> control::Result<Vec<Check>> {
    let (count, oldest) = try_join!(app.control.count_due(now), app.control.oldest_due(now))?;
    let overdue = oldest.map_or(0, |oldest| seconds_between(oldest, now));
    let (status, detail) = if overdue > OLDEST_DUE_SECONDS {
        (CheckStatus::Degraded, "Some deliveries are long overdue for their next attempt.")
    } else {
        (CheckStatus::Ok, "No delivery is long overdue for its next attempt.")
    };
    let mut check = Check::new(CheckName::DueRetries, status, detail);
    if let Some(oldest) = oldest {
        check = check.since(oldest, now);
    }
    // The count stops at 10,000.
    Ok(vec![check.at_most("oldestDueSeconds", overdue, OLDEST_DUE_SECONDS).figure("due", count)])
}
