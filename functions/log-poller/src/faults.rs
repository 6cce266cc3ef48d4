//! Faults of a log that a database sequence never causes. Each is logged and counted for an alarm.

use shared::{
    domain::{PracticePass, ids::LogId, log_progress::LogProgress},
    telemetry::metrics,
};

pub(crate) fn unreadable_row(practicepass: &PracticePass, log_id: LogId) {
    tracing::error!(
        target: metrics::POLLS,
        LogFaults = 1,
        practice = %practicepass,
        logId = log_id.0,
        "a row of the log can't be read; it is passed"
    );
}

pub(crate) fn rows_without_ids(practicepass: &PracticePass, rows: u64, last: Option<LogId>) {
    tracing::error!(
        target: metrics::POLLS,
        LogFaults = 1,
        practice = %practicepass,
        rows,
        logId = last.unwrap_or_default().0,
        "rows of the log have ids below 1; they are no events"
    );
}

pub(crate) fn restarted(practicepass: &PracticePass, before: LogId, after: &LogProgress) {
    tracing::error!(
        target: metrics::POLLS,
        LogFaults = 1,
        practice = %practicepass,
        lastLogId = before.0,
        readAgainAfter = after.top.0,
        epoch = after.epoch,
        "the log was restored or started over; event ids have a new epoch"
    );
}

/// Reports the faults found by comparing the progress before and after a batch.
pub(crate) fn report(practicepass: &PracticePass, before: &LogProgress, after: &LogProgress) {
    let known = before.islands();
    // A row that extends an island does not create a new one.
    let is_new = |(from, _): &&(LogId, LogId)| known.iter().all(|(known, _)| known != from);
    if let Some((from, to)) =
        after.islands().iter().find(is_new).filter(|_| after.islands().len() > known.len())
    {
        tracing::error!(
            target: metrics::POLLS,
            LogFaults = 1,
            practice = %practicepass,
            lastLogId = after.position().0,
            from = from.0,
            to = to.0,
            "log ids jump; rows on both sides of the jump are read"
        );
    }
    if after.dropped_gaps > before.dropped_gaps {
        tracing::error!(
            target: metrics::POLLS,
            LogFaults = 1,
            practice = %practicepass,
            droppedGaps = after.dropped_gaps,
            "log ids follow no order; rows that come late may be missed"
        );
    }
}
