//! Dates, times of day and instants in the formats that EMRs write.

use jiff::{
    SignedDuration, Span, Timestamp, ToSpan,
    civil::{Date, Time, date},
    tz::{Offset, TimeZone},
};

/// A local time, or the end of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeOfDay {
    /// Whole seconds; fractions are truncated.
    At(Time),
    /// The end of the day, `24:00`.
    EndOfDay,
}

impl TimeOfDay {
    /// Returns the date and time for a given date: the end of a day is midnight of the next day.
    pub fn on(self, date: Date) -> (Date, Time) {
        match self {
            Self::At(time) => (date, time),
            Self::EndOfDay => (date.saturating_add(1.day()), Time::midnight()),
        }
    }

    /// Returns the time on a clock: `00:00` for the end of the day.
    pub fn on_clock(self) -> Time {
        match self {
            Self::At(time) => time,
            Self::EndOfDay => Time::midnight(),
        }
    }
}

/// A date, or one outside the calendar: `infinity`, `-infinity`, and years before 1 or after 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Day {
    Past,
    On(Date),
    Future,
}

/// RFC 3339 has no year before 0.
const FIRST_DATE: Date = date(1, 1, 1);
/// 2000-01-01, the epoch of `PostgreSQL`.
const POSTGRES_EPOCH: Date = date(2000, 1, 1);
const POSTGRES_EPOCH_SECOND: i64 = 946_684_800;
/// 0001-01-01T00:00:00Z in Unix seconds.
const FIRST_SECOND: i64 = -62_135_596_800;
/// The Unix epoch as a Julian day.
const UNIX_EPOCH_JULIAN: f64 = 2_440_587.5;
/// Smaller numbers are Julian days, others Unix seconds, as for `SQLite`'s modifier `auto`.
const LAST_JULIAN: f64 = 5_373_484.5;
/// Larger numbers are milliseconds: as seconds they would be after the year 9999.
const LAST_SECOND: f64 = 253_402_300_799.0;

impl Day {
    /// Returns the date, or the first or last one for a date outside the calendar.
    pub fn clamped(self) -> Date {
        match self {
            Self::Past => FIRST_DATE,
            Self::On(date) => date,
            Self::Future => Date::MAX,
        }
    }

    /// Returns the date, if it is within the calendar.
    pub fn date(self) -> Option<Date> {
        match self {
            Self::On(date) => Some(date),
            Self::Past | Self::Future => None,
        }
    }

    pub(super) fn of_days(days: i32) -> Self {
        match days {
            i32::MIN => Self::Past,
            i32::MAX => Self::Future,
            days => match Span::new().try_days(days).and_then(|span| POSTGRES_EPOCH.checked_add(span)) {
                Ok(date) if date >= FIRST_DATE => Self::On(date),
                _ if days < 0 => Self::Past,
                _ => Self::Future,
            },
        }
    }
}

/// Converts a second of the day, up to and including 24:00.
pub(super) fn time_of_second(second: i64) -> Option<TimeOfDay> {
    if second == 86_400 {
        return Some(TimeOfDay::EndOfDay);
    }
    let part = |value: i64| i8::try_from(value).ok();
    let (hour, minute) = (part(second.div_euclid(3600))?, part(second / 60 % 60)?);
    Time::new(hour, minute, part(second % 60)?, 0).ok().map(TimeOfDay::At)
}

/// Parses `H:MM[:SS[.fff]]`, with or without AM and PM. Second 60 becomes 59.
pub(super) fn parse_time(text: &str) -> Option<TimeOfDay> {
    let upper = text.trim().to_ascii_uppercase();
    let half = [("AM", 0), ("PM", 12)]
        .iter()
        .find_map(|(name, hours)| upper.strip_suffix(name).map(|rest| (rest.trim_end().to_owned(), *hours)));
    let (clock, half) = half.map_or((upper, None), |(rest, hours)| (rest, Some(hours)));
    let mut parts = clock.split(':');
    let hour: i64 = digits(parts.next()?, 2)?;
    let minute: i64 = match parts.next() {
        Some(minute) => digits(minute, 2)?,
        // "9 AM", but not "9".
        None => half.map(|_| 0)?,
    };
    let second = parts.next().map_or(Some(0), |part| {
        let (second, fraction) = part.split_once('.').unwrap_or((part, "0"));
        digits(fraction, usize::MAX)?;
        digits(second, 2)
    })?;
    if parts.next().is_some() || minute > 59 || second > 60 {
        return None;
    }
    let hour = match half {
        None => hour,
        Some(hours) if (1..=12).contains(&hour) => hour % 12 + hours,
        Some(_) => return None,
    };
    time_of_second(hour * 3600 + minute * 60 + second.min(59))
}

/// Parses up to `most` ASCII digits and nothing else; too large numbers become the largest integer.
fn digits(text: &str, most: usize) -> Option<i64> {
    let plain = (1..=most).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_digit());
    plain.then(|| text.parse().unwrap_or(i64::MAX))
}

/// Parses `Y-M-D`, `Y/M/D` or `YYYYMMDD` (four-digit year), or in US order `M/D/Y` or `M-D-Y`.
pub(super) fn parse_date(text: &str) -> Option<Date> {
    let (year, month, day) = if text.len() == 8 && text.bytes().all(|it| it.is_ascii_digit()) {
        (&text[..4], &text[4..6], &text[6..])
    } else {
        let separator = ['-', '/'].into_iter().find(|it| text.contains(*it))?;
        let mut parts = text.split(separator);
        let (first, second, third) = (parts.next()?, parts.next()?, parts.next()?);
        match (first.len(), third.len(), parts.next()) {
            (4, _, None) => (first, second, third),
            (_, 4, None) => (third, first, second),
            _ => return None,
        }
    };
    let part = |text| digits(text, 2).and_then(|it| i8::try_from(it).ok());
    let year = digits(year, 4)?.try_into().ok()?;
    let date = Date::new(year, part(month)?, part(day)?).ok()?;
    (date >= FIRST_DATE).then_some(date)
}

/// Splits a text into its date and the rest.
pub(super) fn split_date(text: &str) -> Option<(&str, Option<&str>)> {
    let date = text.split(['T', 't', ' ']).next()?;
    let rest = text[date.len()..].get(1..).map(str::trim);
    Some((date, rest.filter(|it| !it.is_empty())))
}

fn infinite(text: &str) -> Option<Day> {
    match text.to_ascii_lowercase().as_str() {
        "infinity" | "+infinity" | "inf" => Some(Day::Future),
        "-infinity" | "-inf" => Some(Day::Past),
        _ => None,
    }
}

/// Parses a date, or the date part of a local date and time.
pub(super) fn parse_day(text: &str) -> Option<Day> {
    if let Some(day) = infinite(text) {
        return Some(day);
    }
    let (date, time) = split_date(text)?;
    match parse_date(date) {
        Some(date) => match time {
            None => Some(Day::On(date)),
            Some(time) => split_offset(time).and_then(|(time, _)| parse_time(time)).map(|_| Day::On(date)),
        },
        // `20261221.0`
        None if date.get(8..).is_some_and(|rest| rest.starts_with('.')) => {
            parse_date(&date[..8]).map(Day::On)
        }
        None => text.parse().ok().and_then(day_of_number),
    }
}

/// Returns the day of a number that [`of_number`] accepts, if it is within the calendar.
pub(super) fn day_of_number(number: f64) -> Option<Day> {
    if number.is_infinite() {
        return Some(if number > 0.0 { Day::Future } else { Day::Past });
    }
    of_number(number).map(utc_date).filter(|date| *date > FIRST_DATE).map(Day::On)
}

/// Whether a text that is not a date may still name a day.
///
/// It does if it has a digit other than zero, or a character outside printable ASCII, which may be
/// a digit elsewhere. The calendar's query of visits applies the same rule.
pub(crate) fn names_a_day(text: &str) -> bool {
    text.contains(|c: char| matches!(c, '1'..='9') || !matches!(c, ' '..='~'))
}

/// Parses an instant as `SQLite` does: without an offset it is UTC.
pub(super) fn parse_timestamp(text: &str) -> Option<Timestamp> {
    if let Some(day) = infinite(text) {
        return Some(midnight(day));
    }
    let (date, rest) = split_date(text)?;
    let Some(date) = parse_date(date) else {
        return text.parse().ok().and_then(of_number);
    };
    let Some(rest) = rest else { return Some(midnight(Day::On(date))) };
    let (time, offset) = split_offset(rest)?;
    let fraction: String = time.split_once('.').map_or("", |(_, it)| it).chars().take(9).collect();
    let nanosecond: i64 = if fraction.is_empty() { 0 } else { digits(&format!("{fraction:0<9}"), 9)? };
    let (date, time) = parse_time(time)?.on(date);
    let at = offset.to_timestamp(date.to_datetime(time)).ok()?;
    Some(clamp(at.checked_add(SignedDuration::from_nanos(nanosecond)).unwrap_or(Timestamp::MAX)))
}

/// Splits a time from its UTC offset: `Z`, `UTC`, `GMT`, `+hh`, `+hhmm` or `+hh:mm`.
fn split_offset(text: &str) -> Option<(&str, Offset)> {
    for utc in ["Z", "z", "UTC", "GMT"] {
        if let Some(time) = text.strip_suffix(utc) {
            return Some((time.trim_end(), Offset::UTC));
        }
    }
    let Some(at) = text.rfind(['+', '-']) else { return Some((text, Offset::UTC)) };
    let (time, offset) = text.split_at(at);
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let offset = offset[1..].replace(':', "");
    let (hours, minutes) = match offset.len() {
        2 => (digits(&offset, 2)?, 0),
        4 if offset.is_char_boundary(2) => (digits(&offset[..2], 2)?, digits(&offset[2..], 2)?),
        _ => return None,
    };
    let seconds = i32::try_from(sign * (hours * 3600 + minutes * 60)).ok()?;
    (hours < 24 && minutes < 60).then_some(())?;
    Some((time.trim_end(), Offset::from_seconds(seconds).ok()?))
}

/// Converts a Julian day, Unix seconds or Unix milliseconds.
pub(super) fn of_number(number: f64) -> Option<Timestamp> {
    if !number.is_finite() {
        return (!number.is_nan()).then(|| midnight(if number > 0.0 { Day::Future } else { Day::Past }));
    }
    let seconds = if (0.0..LAST_JULIAN).contains(&number) {
        (number - UNIX_EPOCH_JULIAN) * 86_400.0
    } else if number.abs() > LAST_SECOND {
        number / 1000.0
    } else {
        number
    };
    // A double holds an instant to the microsecond at best.
    let micros = SignedDuration::try_from_secs_f64(seconds).ok()?.as_micros();
    let at = Timestamp::from_microsecond(i64::try_from(micros).ok()?).ok()?;
    Some(clamp(at))
}

pub(super) fn of_postgres(count: i64) -> Timestamp {
    let (second, rest) = (count.div_euclid(1_000_000), count.rem_euclid(1_000_000));
    let second = second.saturating_add(POSTGRES_EPOCH_SECOND);
    let nanosecond = i32::try_from(rest * 1000).unwrap_or(0);
    let bound = if count < 0 { Timestamp::MIN } else { Timestamp::MAX };
    clamp(Timestamp::new(second, nanosecond).unwrap_or(bound))
}

pub(super) fn midnight(day: Day) -> Timestamp {
    let of_date = |date: Date| Offset::UTC.to_timestamp(date.to_datetime(Time::midnight()));
    of_date(day.clamped()).unwrap_or(Timestamp::MAX)
}

fn clamp(at: Timestamp) -> Timestamp {
    at.max(Timestamp::from_second(FIRST_SECOND).unwrap_or(Timestamp::UNIX_EPOCH))
}

pub(super) fn utc_date(at: Timestamp) -> Date {
    TimeZone::UTC.to_datetime(at).date()
}
