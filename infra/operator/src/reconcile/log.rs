//! Compares how far a practice's log was read with the log that exists.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use shared::control::activity::CallRecord;
use shared::control::deliveries::Delivery;
use shared::control::subscriptions::Subscription;
use shared::domain::PracticePass;
use shared::domain::ids::LogId;
use shared::domain::log_progress::{LogProgress, Sighting};
use shared::tenant::reconciliation::{Facts, SeenRow};

use super::MARGIN;
use super::Plan;
use super::repair::Repair;
use super::report::{Check, Verdict};

/// Returns the ids of the log rows whose events were sent.
pub(super) fn ids(deliveries: &[Delivery]) -> impl Iterator<Item = LogId> {
    events(deliveries).map(|it| LogId(it.payload.log_id))
}

/// Returns the deliveries of events, without test deliveries.
fn events(deliveries: &[Delivery]) -> impl Iterator<Item = &Delivery> {
    deliveries.iter().filter(|it| it.payload.event().is_some())
}

/// Whether the event was created from this row.
fn is_same(row: &SeenRow, event: &Delivery) -> bool {
    let payload = &event.payload;
    row.event.is_some_and(|(scope, action, record)| {
        scope.to_string() == payload.event
            && action.to_string() == payload.action
            && record == payload.record_id
    }) && row.logged_at.is_none_or(|at| at == payload.occurred_at)
}

/// Whether the row that the event was created from no longer exists.
fn is_gone(event: &Delivery, rows: &HashMap<LogId, &SeenRow>, restored_to: Option<Timestamp>) -> bool {
    match rows.get(&LogId(event.payload.log_id)) {
        Some(row) => !is_same(row, event),
        // Programs clear logs, so a missing row is meaningful only in a restored database.
        None => restored_to.is_some_and(|at| event.created_at >= at - MARGIN),
    }
}

/// Checks where the poller must continue, and in which epoch, so that it skips no row and no event
/// id is used for two events.
pub(super) fn check(
    practicepass: &PracticePass,
    progress: Option<LogProgress>,
    subscriptions: &[Subscription],
    deliveries: &[Delivery],
    facts: &Facts,
    plan: Plan,
) -> (Check, Vec<Repair>) {
    let rows: HashMap<LogId, &SeenRow> = facts.log_rows.iter().map(|it| (it.log_id, it)).collect();
    let epoch = progress.as_ref().map(|it| it.epoch);
    let used = events(deliveries).map(|it| it.payload.log_epoch);
    let used =
        used.chain(subscriptions.iter().map(|it| it.start_epoch)).chain(epoch).max().unwrap_or_default();
    let of_epoch = events(deliveries).filter(|it| it.payload.log_epoch == used);
    let contradicted = of_epoch
        .filter(|it| is_gone(it, &rows, plan.moments.database))
        .map(|it| LogId(it.payload.log_id))
        .min();
    let restart = progress.clone().and_then(|progress| restart(progress, &rows, facts, plan.now));
    let position = progress.as_ref().map(LogProgress::position);
    let state = match position {
        Some(position) => format!(
            "read up to {position} in epoch {}; the log ends at {}",
            epoch.unwrap_or_default(),
            facts.highest_log_id
        ),
        None => format!("never read; the log ends at {}", facts.highest_log_id),
    };
    let found = format!("{state}; {} rows remain to be read", facts.rows_above);
    let check = Check::new(
        format!("{practicepass}/log"),
        "No event is skipped, and no event id is used for two events",
        format!("the same log as before, in epoch {used} or later"),
        found,
    );
    let behind = epoch
        .unwrap_or_else(|| subscriptions.iter().map(|it| it.start_epoch).max().unwrap_or_default())
        < used;
    if contradicted.is_none() && restart.is_none() && !behind {
        return (check, Vec::new());
    }
    let mut reasons = Vec::new();
    if behind {
        reasons.push(format!("events were sent in epoch {used}, which the control plane doesn't know of"));
    }
    if let Some(id) = contradicted {
        reasons.push(format!("from {id} on, events were sent for rows that are gone or different now"));
    }
    if let Some(after) = restart {
        reasons.push(format!("rows after {after} differ from those that were read"));
    }
    let start = subscriptions.iter().filter(|it| it.is_active()).map(|it| it.start_after_log_id).min();
    let progress = progress.unwrap_or_else(|| LogProgress::after(start.unwrap_or(facts.highest_log_id)));
    let next = next(progress, (contradicted, restart), used, deliveries, facts, plan.now);
    reasons.push(format!("continue reading after {} in epoch {}", next.top, next.epoch));
    let repair = Repair::ReadOn(practicepass.clone(), Box::new(next));
    (check.of_rows(Verdict::Open, true, reasons), vec![repair])
}

/// Returns the row after which the poller itself would restart.
fn restart(
    mut progress: LogProgress,
    rows: &HashMap<LogId, &SeenRow>,
    facts: &Facts,
    now: Timestamp,
) -> Option<LogId> {
    let prints: HashMap<LogId, u64> = rows.iter().map(|(id, row)| (*id, row.print)).collect();
    let position = progress.position();
    if progress.is_same_log(&prints, now) {
        return None;
    }
    let any_above = facts.rows_above > 0;
    progress.anchors.restart(position, &Sighting { prints, any_below: facts.any_up_to_position, any_above })
}

fn next(
    progress: LogProgress,
    (contradicted, restart): (Option<LogId>, Option<LogId>),
    used: u32,
    deliveries: &[Delivery],
    facts: &Facts,
    now: Timestamp,
) -> LogProgress {
    if contradicted.is_none() && restart.is_none() {
        let floor = progress.top;
        return LogProgress { epoch: used, epoch_floor: floor, epoch_since: Some(now), ..progress };
    }
    let rows: HashMap<LogId, &SeenRow> = facts.log_rows.iter().map(|it| (it.log_id, it)).collect();
    let mut after = restart.unwrap_or_else(|| progress.position());
    if let Some(limit) = contradicted.filter(|id| id.0 <= after.0) {
        let same = |id: &LogId| {
            rows.get(id).is_some_and(|row| progress.anchors.agrees(*id, row.print) == Some(true))
        };
        let by_anchor = progress.anchors.ids().filter(same);
        let by_event = events(deliveries)
            .filter(|it| rows.get(&LogId(it.payload.log_id)).is_some_and(|row| is_same(row, it)));
        let by_event = by_event.map(|it| LogId(it.payload.log_id));
        after = by_anchor.chain(by_event).filter(|id| *id < limit).max().unwrap_or_default();
    }
    LogProgress { epoch: used + 1, ..progress.restarted(after, facts.highest_log_id, now) }
}

/// Returns patients and visits created by lost calls that partners received events about.
///
/// Records created by the EMR's programs are not included: they may have existed before.
pub(super) fn lost_records(
    deliveries: &[Delivery],
    facts: &Facts,
    (restored_to, lost): (Timestamp, &[&CallRecord]),
) -> BTreeSet<(String, i64)> {
    let calls: BTreeSet<&str> = lost.iter().map(|it| it.request_id.as_str()).collect();
    let is_of_call = |it: &&Delivery| it.request_id.as_ref().is_some_and(|it| calls.contains(it.as_str()));
    let rows: HashMap<LogId, &SeenRow> = facts.log_rows.iter().map(|it| (it.log_id, it)).collect();
    let made = events(deliveries)
        .filter(|it| it.created_at >= restored_to - MARGIN && it.payload.action == "created")
        .filter(|it| is_gone(it, &rows, Some(restored_to)))
        .filter(is_of_call);
    let table = |event: &str| match event {
        "Patients" => Some("patients"),
        "Encounters" => Some("visits"),
        _ => None,
    };
    made.filter_map(|it| Some((table(&it.payload.event)?.to_owned(), it.payload.record_id))).collect()
}

/// Checks for events that were sent to partners but are missing from the restored log.
pub(super) fn deliveries(
    practicepass: &PracticePass,
    deliveries: &[Delivery],
    facts: &Facts,
    restored_to: Timestamp,
) -> (Check, Vec<Repair>) {
    let rows: HashMap<LogId, &SeenRow> = facts.log_rows.iter().map(|it| (it.log_id, it)).collect();
    let mut gone: Vec<String> = events(deliveries)
        .filter(|it| it.created_at >= restored_to - MARGIN && is_gone(it, &rows, Some(restored_to)))
        .map(|it| {
            let request = it.request_id.as_ref().map_or("-", |it| it.as_str());
            format!(
                "{}: {} {} {}, {} to {}, request {request}",
                it.payload.event_id,
                it.payload.event,
                it.payload.action,
                it.payload.record_id,
                it.status,
                it.partner_id
            )
        })
        .collect();
    gone.sort();
    let check = Check::new(
        format!("{practicepass}/events-told"),
        "Partners received only events that are in the log",
        "none for lost rows",
        format!("{} deliveries", gone.len()),
    );
    (check.of_rows(Verdict::Manual, false, gone), Vec::new())
}
