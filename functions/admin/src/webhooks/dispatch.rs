//! How far the practices' event logs have been read, for the webhook monitor.

use serde::Serialize;
use shared::{
    control::dispatch::DispatchState,
    domain::{PracticePass, ids::LogId, log_progress::UnknownPair},
};
use utoipa::ToSchema;

/// Number of gaps that is normal for a log, because transactions are rolled back.
const FEW_GAPS: usize = 10;

/// How far a practice's event log has been read.
///
/// Fields about anomalies are omitted if there are none.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DispatchStateBody {
    #[schema(example = "DemoOffice")]
    practicepass: PracticePass,
    /// The id of the newest row that was read, apart from `islands`.
    #[schema(example = 14_656_636)]
    last_log_id: LogId,
    /// How often the log started over, because it was restored or its ids began again.
    ///
    /// Event ids change each time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    epoch: Option<u32>,
    /// RFC 3339: when this was last detected.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    epoch_since: Option<String>,
    /// Rows with ids far above the others. They were read; rows below them are read as well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    islands: Vec<IslandBody>,
    /// Number of skipped ranges of ids that may still appear; omitted up to 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    gaps: Option<usize>,
    /// Number of skipped ranges of ids that were abandoned early, because ids are out of order.
    ///
    /// Late rows may be missed.
    #[serde(skip_serializing_if = "is_zero")]
    dropped_gaps: u64,
    /// Number of rows that cannot be read or have ids below 1. They are not events.
    #[serde(skip_serializing_if = "is_zero")]
    unreadable_rows: u64,
    /// The id of the last unreadable row.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    last_unreadable_log_id: Option<LogId>,
    /// Number of rows whose time cannot be read; their events have the time of the poll.
    #[serde(skip_serializing_if = "is_zero")]
    unreadable_times: u64,
    /// At most 20 tables and actions that belong to no event scope, most recent first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown: Vec<UnknownPairBody>,
    /// Number of rows with other tables and actions that belong to no event scope.
    #[serde(skip_serializing_if = "is_zero")]
    other_unknown_rows: u64,
}

/// A range of rows.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct IslandBody {
    from: LogId,
    to: LogId,
}

/// A table and an action that belong to no event scope.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct UnknownPairBody {
    #[schema(example = "sessions")]
    table: String,
    #[schema(example = "login")]
    action: String,
    rows: u64,
    last_log_id: LogId,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // required by serde
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl From<DispatchState> for DispatchStateBody {
    fn from(DispatchState { practicepass, progress }: DispatchState) -> Self {
        let misfits = progress.misfits.clone();
        let islands = progress.islands().into_iter().map(|(from, to)| IslandBody { from, to });
        Self {
            practicepass,
            last_log_id: progress.position(),
            epoch: (progress.epoch > 0).then_some(progress.epoch),
            epoch_since: progress.epoch_since.map(|at| at.to_string()),
            islands: islands.collect(),
            gaps: Some(progress.gaps.len()).filter(|gaps| *gaps > FEW_GAPS),
            dropped_gaps: progress.dropped_gaps,
            unreadable_rows: misfits.unreadable_rows,
            last_unreadable_log_id: misfits.last_unreadable,
            unreadable_times: misfits.unreadable_times,
            unknown: misfits.unknown.into_iter().map(UnknownPairBody::from).collect(),
            other_unknown_rows: misfits.other_unknown,
        }
    }
}

impl From<UnknownPair> for UnknownPairBody {
    fn from(pair: UnknownPair) -> Self {
        Self { table: pair.table, action: pair.action, rows: pair.rows, last_log_id: pair.last_log_id }
    }
}
