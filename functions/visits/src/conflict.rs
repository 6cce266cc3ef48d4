//! The 409 for a visit at a time that is not free.

use jiff::{Timestamp, tz::TimeZone};
use shared::sql;
use shared::{
    api::{ApiError, BlockingTime, Code, VisitConflict},
    domain::schedule::{Interval, Refusal, Refused},
    sql::Constraint,
};

/// Maximum number of blocking times per conflict. A room conflict has one for each room of the
/// type.
const MOST_BLOCKING: usize = 20;

/// Returns every conflict with its blocking times; the first one is also the problem's code.
pub(crate) fn conflict(zone: &TimeZone, refused: &[Refused], patient_busy: &[Interval]) -> ApiError {
    let mut conflicts: Vec<(Code, &[Interval])> = refused
        .iter()
        .filter_map(|it| code_of(it.refusal).map(|code| (code, it.blocking.as_slice())))
        .collect();
    if !patient_busy.is_empty() {
        conflicts.push((Code::PatientConflict, patient_busy));
    }
    let first = conflicts.first().map_or(Code::ConcurrentChange, |(code, _)| *code);
    let listed = conflicts.iter().map(|(code, blocking)| one(zone, *code, blocking));
    problem(first, listed.collect())
}

/// Converts a constraint violation: another program booked without taking our locks.
pub(crate) fn refused_by_database(error: sql::Error) -> ApiError {
    let code = match &error {
        sql::Error::Refused(Constraint::ProviderFree) => Code::ProviderConflict,
        sql::Error::Refused(Constraint::RoomFree) => Code::ResourceConflict,
        sql::Error::Refused(Constraint::PatientFree) => Code::PatientConflict,
        _ => return error.into(),
    };
    problem(code, vec![VisitConflict { code, blocking: Vec::new(), blocking_omitted: None }])
}

fn problem(code: Code, conflicts: Vec<VisitConflict>) -> ApiError {
    let detail = "See 'conflicts' for every conflict and the times of the visits that cause it.";
    ApiError::new(code, detail).with("conflicts", serde_json::to_value(conflicts).unwrap_or_default())
}

fn code_of(refusal: Refusal) -> Option<Code> {
    match refusal {
        Refusal::OutsideHours | Refusal::TimeOff => Some(Code::OutsideHours),
        Refusal::Booked => Some(Code::ProviderConflict),
        Refusal::NoResource => Some(Code::ResourceConflict),
        _ => None,
    }
}

fn one(zone: &TimeZone, code: Code, blocking: &[Interval]) -> VisitConflict {
    let text = |second: i64| {
        let instant = Timestamp::from_second(second).unwrap_or_default();
        instant.display_with_offset(zone.to_offset(instant)).to_string()
    };
    let shown = blocking.iter().take(MOST_BLOCKING);
    VisitConflict {
        code,
        blocking: shown.map(|it| BlockingTime { from: text(it.from), to: text(it.to) }).collect(),
        blocking_omitted: blocking.len().checked_sub(MOST_BLOCKING).filter(|it| *it > 0),
    }
}
