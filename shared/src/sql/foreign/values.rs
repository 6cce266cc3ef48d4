//! Decodes raw values of the EMR.

use jiff::Timestamp;

use super::{
    Foreign, FromRaw, Raw,
    times::{
        Day, TimeOfDay, day_of_number, midnight, of_number, of_postgres, parse_date, parse_day, parse_time,
        parse_timestamp, split_date, time_of_second, utc_date,
    },
};
use crate::domain::ids::IntegerId;

/// A name that rows are looked up by.
///
/// It is the exact stored text, so that every listed name can be looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key(pub(crate) String);

/// The longest name that partners can look up, in characters.
const MAX_KEY: usize = 2000;

impl FromRaw for String {
    fn from_raw(raw: Raw<'_>) -> Foreign<Self> {
        match raw {
            Raw::Text(bytes) => match str::from_utf8(bytes) {
                Ok(text) => Foreign::Value(text.to_owned()),
                Err(_) => Foreign::Damaged(String::from_utf8_lossy(bytes).into_owned()),
            },
            Raw::Blob(bytes) => {
                str::from_utf8(bytes).map_or(Foreign::Unreadable, |text| Foreign::Value(text.to_owned()))
            }
            Raw::Integer(number) => Foreign::Value(number.to_string()),
            Raw::Real(number) => Foreign::Value(number.to_string()),
            Raw::Boolean(value) => Foreign::Value(value.to_string()),
            Raw::Days(_) | Raw::Microseconds(_) | Raw::Instant(_) | Raw::Other => Foreign::Unreadable,
        }
    }
}

impl FromRaw for Key {
    fn from_raw(raw: Raw<'_>) -> Foreign<Self> {
        let Raw::Text(bytes) = raw else { return Foreign::Unreadable };
        let is_name = |it: &&str| (1..=MAX_KEY).contains(&it.chars().count()) && !it.contains('\0');
        let text = str::from_utf8(bytes).ok().filter(is_name);
        text.map_or(Foreign::Unreadable, |text| Foreign::Value(Self(text.to_owned())))
    }
}

impl FromRaw for i64 {
    fn from_raw(raw: Raw<'_>) -> Foreign<Self> {
        let number = match raw {
            Raw::Integer(number) => Some(number),
            Raw::Real(number) => whole(number),
            Raw::Boolean(value) => Some(value.into()),
            Raw::Text(bytes) | Raw::Blob(bytes) => {
                text(bytes).and_then(|it| it.parse().ok().or_else(|| it.parse().ok().and_then(whole)))
            }
            _ => None,
        };
        number.map_or(Foreign::Unreadable, Foreign::Value)
    }
}

/// An id decodes only from values that SQL treats as equal to it.
///
/// A text must be exactly `2`, and a blob never matches.
impl<T: IntegerId> FromRaw for T {
    fn from_raw(raw: Raw<'_>) -> Foreign<Self> {
        let id = match raw {
            Raw::Text(bytes) => str::from_utf8(bytes).ok().and_then(|it| it.parse().ok()),
            Raw::Blob(_) => None,
            raw => i64::from_raw(raw).value(),
        };
        id.map_or(Foreign::Unreadable, |id: i64| Foreign::Value(T::from(id)))
    }
}

impl FromRaw for bool {
    fn from_raw(raw: Raw<'_>) -> Foreign<Self> {
        let value = match raw {
            Raw::Boolean(value) => Some(value),
            Raw::Integer(number) => Some(number != 0),
            Raw::Real(number) => Some(number != 0.0),
            Raw::Text(bytes) | Raw::Blob(bytes) => {
                let word = str::from_utf8(bytes).ok().map(|it| it.trim_matches(SPACES).to_ascii_lowercase());
                word.and_then(|it| match it.as_str() {
                    "true" | "t" | "yes" | "y" | "on" => Some(true),
                    "false" | "f" | "no" | "n" | "off" => Some(false),
                    other => other.parse().ok().filter(|it: &f64| it.is_finite()).map(|number| number != 0.0),
                })
            }
            _ => None,
        };
        value.map_or(Foreign::Unreadable, Foreign::Value)
    }
}

impl FromRaw for TimeOfDay {
    fn from_raw(raw: Raw<'_>) -> Foreign<Self> {
        let time = match raw {
            Raw::Microseconds(count) => time_of_second(count.div_euclid(1_000_000)),
            // The date part of a time is the program's day zero; it is ignored.
            Raw::Text(bytes) | Raw::Blob(bytes) => text(bytes).and_then(|it| match split_date(it) {
                Some((date, Some(time))) if parse_date(date).is_some() => parse_time(time),
                _ => parse_time(it),
            }),
            _ => None,
        };
        time.map_or(Foreign::Unreadable, Foreign::Value)
    }
}

impl FromRaw for Day {
    fn from_raw(raw: Raw<'_>) -> Foreign<Self> {
        let day = match raw {
            Raw::Days(days) => Some(Self::of_days(days)),
            Raw::Instant(i64::MIN) => Some(Self::Past),
            Raw::Instant(i64::MAX) => Some(Self::Future),
            Raw::Instant(count) => Some(Self::On(utc_date(of_postgres(count)))),
            #[allow(clippy::cast_precision_loss, reason = "integers beyond 2^53 are not dates")]
            Raw::Integer(number) => day_of_number(number as f64),
            Raw::Real(number) => day_of_number(number),
            Raw::Text(bytes) | Raw::Blob(bytes) => {
                let text = text(bytes);
                // A date followed by other text is that date.
                let began = || text?.split(|c: char| !c.is_ascii_digit() && !"-/".contains(c)).next();
                let began = || began().and_then(parse_date).or_else(|| text?.get(..10).and_then(parse_date));
                match text.and_then(parse_day) {
                    None => {
                        return began().map_or(Foreign::Unreadable, |date| Foreign::Damaged(Self::On(date)));
                    }
                    day => day,
                }
            }
            _ => None,
        };
        day.map_or(Foreign::Unreadable, Foreign::Value)
    }
}

impl FromRaw for Timestamp {
    /// Decodes an instant.
    ///
    /// `infinity` and years outside 1 to 9999 become the first or last instant that RFC 3339 can
    /// express.
    fn from_raw(raw: Raw<'_>) -> Foreign<Self> {
        let at = match raw {
            Raw::Instant(count) => Some(of_postgres(count)),
            Raw::Days(days) => Some(midnight(Day::of_days(days))),
            #[allow(clippy::cast_precision_loss, reason = "integers beyond 2^53 are not instants")]
            Raw::Integer(number) => of_number(number as f64),
            Raw::Real(number) => of_number(number),
            Raw::Text(bytes) | Raw::Blob(bytes) => text(bytes).and_then(parse_timestamp),
            _ => None,
        };
        at.map_or(Foreign::Unreadable, Foreign::Value)
    }
}

/// The characters that SQL trims from the words for true.
pub(super) const SPACES: [char; 7] = ['\t', '\n', '\u{b}', '\u{c}', '\r', ' ', '\u{a0}'];

/// Returns the value as trimmed text, if it is UTF-8.
fn text(bytes: &[u8]) -> Option<&str> {
    str::from_utf8(bytes).ok().map(|it| it.trim_matches(|c: char| c.is_whitespace() || c == '\0'))
}

#[allow(clippy::cast_possible_truncation, reason = "the range was checked")]
fn whole(number: f64) -> Option<i64> {
    // 2^63 as a double is out of range for an i64.
    let range = -9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0;
    (number.fract() == 0.0 && range.contains(&number)).then_some(number as i64)
}

#[cfg(test)]
mod tests;
