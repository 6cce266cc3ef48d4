//! How far practices' logs have been read, as the monitor shows it.

use serde::Serialize;
use shared::{
    control::dispatch::DispatchState,
    domain::{PracticePass, ids::LogId, log_progress::UnknownPair},
};
use utoipa::ToSchema;

/// Some ids are missing in every log: transactions are rolled back.
const FEW_GAPS: usize = 10;

/// How far a practice's log has been turned into events. What is out of the ordinary is named only where there is something to
/// name.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DispatchStateBody {
    #[schema(example = "DemoOffice")]
    practicepass: PracticePass,
    /// The newest row that was read, leaving out `islands`.
    #[schema(example = 14_656_636)]
    last_log_id: LogId,
    /// How often the log began anew: it was restored or its ids restarted. Events have had other ids since.
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<u32>,
    /// RFC 3339: when that was found out last.
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch_since: Option<String>,
    /// Rows whose ids are far above the others. They were read; rows below them are read as well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    islands: Vec<IslandBody>,
    /// Ranges of ids that were skipped and may still come, if they are more than 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    gaps: Option<usize>,
    /// Ranges of ids that were given up too early, because the ids follow no order: rows that came late may be missed.
    #[serde(skip_serializing_if = "is_zero")]
    dropped_gaps: u64,
    /// Rows that could not be read or have ids below 1, and are no event, and the last of them.
    #[serde(skip_serializing_if = "is_zero")]
    unreadable_rows: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_unreadable_log_id: Option<LogId>,
    /// Rows whose time could not be read; their events have the time of the poll.
    #[serde(skip_serializing_if = "is_zero")]
    unreadable_times: u64,
    /// Tables and verbs that no event scope has, at most 20, the most recent first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown: Vec<UnknownPairBody>,
    /// Rows with further ones.
    #[serde(skip_serializing_if = "is_zero")]
    other_unknown_rows: u64,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct IslandBody {
    from: LogId,
    to: LogId,
}

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

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
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
