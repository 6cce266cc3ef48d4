//! Conversion between local times and instants.

use jiff::{
    Timestamp,
    civil::{Date, DateTime, Time},
    tz::{AmbiguousOffset, Offset, TimeZone},
};

/// Returns the first instant of a local time, in Unix seconds; `None` if the clocks skip it.
pub fn instant(zone: &TimeZone, date: Date, time: Time) -> Option<i64> {
    instants(zone, date, time).next()
}

/// Returns every instant of a local time: none in a gap, two when the clocks are set back.
pub fn instants(zone: &TimeZone, date: Date, time: Time) -> impl Iterator<Item = i64> + use<> {
    let local = date.to_datetime(time);
    let (first, second) = match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } => (Some(offset), None),
        AmbiguousOffset::Gap { .. } => (None, None),
        AmbiguousOffset::Fold { before, after } => (Some(before), Some(after)),
    };
    first.into_iter().chain(second).map(move |offset| seconds(offset, local))
}

/// Returns the instant at which a working window or time off begins or ends.
///
/// It is the first instant of the local time or, if the clocks skip that time, the instant of the
/// jump.
pub(super) fn boundary(zone: &TimeZone, date: Date, time: Time) -> i64 {
    let local = date.to_datetime(time);
    match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
            seconds(offset, local)
        }
        // With the offset after the jump, the skipped time is an instant before the jump.
        AmbiguousOffset::Gap { after, .. } => {
            let before_jump = seconds(after, local);
            Timestamp::from_second(before_jump)
                .ok()
                .and_then(|it| zone.following(it).next())
                .map_or(before_jump, |jump| jump.timestamp().as_second())
        }
    }
}

/// Returns the instant at which a local date begins, in Unix seconds.
pub fn instant_of_midnight(zone: &TimeZone, date: Date) -> i64 {
    boundary(zone, date, Time::midnight())
}

/// Returns the local date and time of an instant in Unix seconds.
pub fn local(zone: &TimeZone, second: i64) -> DateTime {
    zone.to_datetime(timestamp(second))
}

/// Converts Unix seconds, clamped to the range of [`Timestamp`].
pub(super) fn timestamp(second: i64) -> Timestamp {
    let end = if second < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_second(second).unwrap_or(end)
}

fn seconds(offset: Offset, local: DateTime) -> i64 {
    let end = if local.year() < 1970 { Timestamp::MIN } else { Timestamp::MAX };
    offset.to_timestamp(local).unwrap_or(end).as_second()
}

#[cfg(test)]
mod tests {
    use jiff::civil::{date, time};

    use super::*;

    #[test]
    fn a_skipped_time_is_invalid_and_a_repeated_one_is_its_first_occurrence() {
        let new_york = crate::domain::zones::get("America/New_York").unwrap();
        assert_eq!(instant(&new_york, date(2026, 3, 8), time(2, 30, 0, 0)), None);
        let jump = "2026-03-08T07:00:00Z".parse::<Timestamp>().unwrap().as_second();
        for minute in [0, 30, 59] {
            assert_eq!(boundary(&new_york, date(2026, 3, 8), time(2, minute, 0, 0)), jump);
        }
        let first = "2026-11-01T05:30:00Z".parse::<Timestamp>().unwrap().as_second();
        let both: Vec<i64> = instants(&new_york, date(2026, 11, 1), time(1, 30, 0, 0)).collect();
        assert_eq!(both, [first, first + 3600]);
        assert_eq!(boundary(&new_york, date(2026, 11, 1), time(1, 30, 0, 0)), first);
        assert_eq!(local(&new_york, first + 3600), date(2026, 11, 1).at(1, 30, 0, 0));
    }
}
