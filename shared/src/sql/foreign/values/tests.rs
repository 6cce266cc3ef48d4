use jiff::{
    SignedDuration,
    civil::{Time, date},
};

use super::*;

fn of<T: FromRaw>(text: &str) -> Option<T> {
    T::from_raw(Raw::Text(text.as_bytes())).value()
}

fn hm(hour: i8, minute: i8) -> TimeOfDay {
    TimeOfDay::At(Time::constant(hour, minute, 0, 0))
}

#[test]
fn a_time_is_read_in_every_common_format() {
    for (text, time) in [
        ("09:00", hm(9, 0)),
        ("9:00", hm(9, 0)),
        ("09:00:00.999", hm(9, 0)),
        (" 9:30 pm ", hm(21, 30)),
        ("12:00 AM", hm(0, 0)),
        ("9 AM", hm(9, 0)),
        ("1899-12-30 14:15:00", hm(14, 15)),
        ("24:00", TimeOfDay::EndOfDay),
        ("24:00:00", TimeOfDay::EndOfDay),
    ] {
        assert_eq!(of(text), Some(time), "{text}");
    }
    for text in
        ["", "9", "900", "24:01", "25:00", "09:60", "09:00Z", "13:00 PM", "noon", "-1:00", "9:00:00:00"]
    {
        assert_eq!(of::<TimeOfDay>(text), None, "{text}");
    }
    assert_eq!(TimeOfDay::from_raw(Raw::Microseconds(86_400_000_000)), Foreign::Value(TimeOfDay::EndOfDay));
    assert_eq!(TimeOfDay::from_raw(Raw::Microseconds(32_400_000_001)), Foreign::Value(hm(9, 0)));
    assert_eq!(TimeOfDay::EndOfDay.on(date(2026, 2, 28)), (date(2026, 3, 1), Time::midnight()));
}

#[test]
fn a_date_is_read_in_every_common_format_and_may_be_infinite() {
    for text in [
        "2026-03-09",
        "2026-3-9",
        "2026/03/09",
        "20260309",
        "2026-03-09 00:00:00",
        "2026-03-09T23:00:00Z",
        "3/9/2026",
        "20260309.0",
        "03-09-2026 10:00",
    ] {
        assert_eq!(of(text), Some(Day::On(date(2026, 3, 9))), "{text}");
    }
    assert_eq!(of("infinity"), Some(Day::Future));
    assert_eq!(of("-Infinity"), Some(Day::Past));
    for text in [
        "",
        "19/03/2026",
        "3/9/26",
        "46401",
        "2026",
        "20261399.5",
        "-2026-03-09",
        "03.09.2026",
        "3/9/20261",
        "26-03-09",
        "2026-13-01",
        "2026-02-30",
        "0000-01-01",
        "soon",
    ] {
        assert_eq!(of::<Day>(text), None, "{text}");
    }
    for text in
        ["2026-03-09 noon", "2026-03-09Z", "2026-03-09 (holiday)", "2026-3-9x", "3/9/2026?", "2026-03-09-5"]
    {
        let read = Day::from_raw(Raw::Text(text.as_bytes()));
        assert_eq!(read, Foreign::Damaged(Day::On(date(2026, 3, 9))), "{text}");
    }
    let days = |days| Day::from_raw(Raw::Days(days));
    assert_eq!(days(i32::MAX), Foreign::Value(Day::Future));
    assert_eq!(days(i32::MIN), Foreign::Value(Day::Past));
    // 5874897-12-31 and 4713-01-01 BC, the limits of PostgreSQL's dates.
    assert_eq!(days(2_145_031_948), Foreign::Value(Day::Future));
    assert_eq!(days(-2_451_545), Foreign::Value(Day::Past));
    assert_eq!(days(0), Foreign::Value(Day::On(date(2000, 1, 1))));
}

#[test]
fn a_timestamp_is_read_in_every_common_format_within_rfc_3339_years() {
    let at: Timestamp = "2026-11-01T10:00:00Z".parse().unwrap();
    for text in [
        "2026-11-01 10:00:00",
        "2026-11-01 10:00",
        "2026-11-01T10:00:00Z",
        "2026-11-01T10:00:00.000+00:00",
        "2026-11-01 11:00:00+01",
        "2026-11-01 05:00:00-0500",
        "2026-11-01 10:00:00 UTC",
        "1793527200",
        "1793527200000",
        "2461345.916666667",
    ] {
        let read = of::<Timestamp>(text).unwrap();
        assert!(read.duration_since(at).abs() < SignedDuration::from_millis(1), "{text}: {read}");
    }
    let exact: Timestamp = "2026-11-01T10:00:00.123456789Z".parse().unwrap();
    assert_eq!(of("2026-11-01 10:00:00.123456789"), Some(exact));
    assert_eq!(of("2026-11-01"), Some("2026-11-01T00:00:00Z".parse::<Timestamp>().unwrap()));
    for text in ["", "now", "yesterday", "2026-11-01 25:00", "2026-11-01 10:00+99", "nan", "1e300"] {
        assert_eq!(of::<Timestamp>(text), None, "{text}");
    }
    let first: Timestamp = "0001-01-01T00:00:00Z".parse().unwrap();
    for (count, read) in [(i64::MIN, first), (i64::MAX, Timestamp::MAX), (-211_813_488_000_000_000, first)] {
        assert_eq!(Timestamp::from_raw(Raw::Instant(count)), Foreign::Value(read));
    }
    for text in ["-infinity", "0001-01-01 00:00:00+23:59", "-99999999999999"] {
        assert_eq!(of(text), Some(first), "{text}");
    }
    assert!(of::<Timestamp>("infinity").unwrap() > at);
}

#[test]
fn texts_numbers_and_booleans_are_read_from_any_storage_class() {
    assert_eq!(String::from_raw(Raw::Integer(5)), Foreign::Value("5".to_owned()));
    assert_eq!(String::from_raw(Raw::Blob(b"abc")), Foreign::Value("abc".to_owned()));
    assert_eq!(String::from_raw(Raw::Blob(b"\x89PNG")), Foreign::Unreadable);
    assert_eq!(String::from_raw(Raw::Text(b"Jos\xe9")), Foreign::Damaged("Jos\u{fffd}".to_owned()));
    for (raw, number) in [
        (Raw::Text(b" 7 "), Some(7)),
        (Raw::Text(b"7.0"), Some(7)),
        (Raw::Real(7.0), Some(7)),
        (Raw::Real(7.5), None),
        (Raw::Real(f64::INFINITY), None),
        (Raw::Real(9_223_372_036_854_775_808.0), None),
        (Raw::Integer(i64::MIN), Some(i64::MIN)),
        (Raw::Blob(b"\0\x01"), None),
        (Raw::Text(b"seven"), None),
    ] {
        assert_eq!(i64::from_raw(raw).value(), number, "{raw:?}");
    }
    for (raw, truth) in [
        (Raw::Text(b"True"), Some(true)),
        (Raw::Text(b"n"), Some(false)),
        (Raw::Text(b"0.0"), Some(false)),
        (Raw::Integer(2), Some(true)),
        (Raw::Real(0.5), Some(true)),
        (Raw::Text(b"maybe"), None),
    ] {
        assert_eq!(bool::from_raw(raw).value(), truth, "{raw:?}");
    }
}
