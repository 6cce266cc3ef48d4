//! Values that many requests have in common.

use jiff::{
    Timestamp,
    civil::{Date, Time},
};
use serde_json::Value;

use crate::api::{FieldProblem, FieldValue, Source};
use crate::domain::{
    EventScope, Scope,
    ids::{
        ArticleId, DeliveryId, IntegerId, LogId, MAX_SAFE_INTEGER, PatientId, ProductId, ProviderId, RoomId,
        SubscriptionId, TagId, TicketId, VisitId,
    },
    money::{Cents, NoAmount},
    schedule::Minutes,
    ticket::{TicketPriority, TicketStatus},
};

/// Reads an integer: a JSON number without a fraction (`5`, `5.0`, `5e0`), or digits in a query.
pub(in crate::api) fn integer(source: Source<'_>) -> Result<i64, FieldProblem> {
    let wrong_type = || FieldProblem::wrong_type("an integer");
    match source {
        Source::Json(Value::Number(number)) => {
            number.as_i64().or_else(|| number.as_f64().and_then(whole)).ok_or_else(wrong_type)
        }
        Source::Number(text) => {
            text.parse().ok().or_else(|| text.parse().ok().and_then(whole)).ok_or_else(wrong_type)
        }
        Source::Json(_) => Err(wrong_type()),
        Source::Text(text) => {
            let plain = !text.is_empty()
                && text.bytes().enumerate().all(|(i, b)| b.is_ascii_digit() || (i == 0 && b == b'-'));
            plain.then(|| text.parse().ok()).flatten().ok_or_else(wrong_type)
        }
    }
}

/// Returns a number without a fraction as an integer: `5.0` and `5e0` are 5.
///
/// JSON has one kind of number, and in JSON Schema any number with a fraction of zero is an integer
/// (JSON Schema core, 2020-12, section 4.2.3). Above `MAX_SAFE_INTEGER`, a double does not
/// represent every integer.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "within what a double holds exactly"
)]
fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() <= MAX_SAFE_INTEGER as f64).then_some(number as i64)
}

/// Reads an integer from `low` to `high`.
pub fn integer_between(source: Source<'_>, low: i64, high: i64) -> Result<i64, FieldProblem> {
    match integer(source)? {
        value if (low..=high).contains(&value) => Ok(value),
        _ => Err(FieldProblem::invalid(format!("must be {low} to {high}"))),
    }
}

/// Reads an id. A string of digits is accepted, because some endpoints return ids in this form.
fn id(source: Source<'_>, (low, high): (i64, i64)) -> Result<i64, FieldProblem> {
    let digits = match source {
        Source::Json(Value::String(text)) if text.bytes().all(|it| it.is_ascii_digit() || it == b'-') => {
            Source::Text(text)
        }
        Source::Json(Value::String(_)) => {
            return Err(FieldProblem::wrong_type("an integer or a string of digits"));
        }
        source => source,
    };
    integer_between(digits, low, high)
}

macro_rules! id_values {
    ($($id:ident)+) => {$(
        impl FieldValue for $id {
            fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
                id(source, Self::RANGE).map(Self)
            }
        }
    )+};
}

id_values! { ArticleId ProductId PatientId ProviderId RoomId VisitId TagId TicketId LogId SubscriptionId
DeliveryId }

impl FieldValue for Minutes {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        let minutes = integer_between(source, 1, Self::MAX)?;
        Self::new(minutes).ok_or_else(|| FieldProblem::invalid("must be a duration in minutes"))
    }
}

impl FieldValue for Cents {
    /// Reads a JSON number of a [`super::RawObject`], since other sources use binary fractions.
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        let Source::Number(text) = source else { return Err(FieldProblem::wrong_type("a number")) };
        Self::from_json_number(text).map_err(|no| match no {
            NoAmount::TooExact => FieldProblem::invalid("must have at most two decimal places"),
            NoAmount::OutOfRange => FieldProblem::invalid(format!("must be 0 to {}", Self::MAX)),
        })
    }
}

impl FieldValue for bool {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        match source {
            Source::Json(Value::Bool(value)) => Ok(*value),
            Source::Text("true" | "1") => Ok(true),
            Source::Text("false" | "0") => Ok(false),
            _ => Err(FieldProblem::wrong_type("true or false")),
        }
    }
}

/// 0001-01-01T00:00:00Z
const FIRST_SECOND: i64 = -62_135_596_800;

impl FieldValue for Timestamp {
    /// Reads a timestamp in RFC 3339, with its offset.
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        let text = source.text()?;
        let shaped = (20..=40).contains(&text.len()) && text.as_bytes()[10] == b'T';
        // With its offset taken away, an instant of the year 0 may lie before it, which no RFC 3339
        // text can say.
        let sayable = |at: &Timestamp| at.as_second() >= FIRST_SECOND;
        let instant = shaped.then(|| text.parse().ok()).flatten().filter(sayable);
        instant.ok_or_else(|| FieldProblem::invalid("must be a time as in RFC 3339, 2026-03-09T12:00:00Z"))
    }
}

impl FieldValue for Date {
    /// Reads a date: `YYYY-MM-DD`.
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        let text = source.text()?;
        let shaped = text.len() == 10
            && text
                .bytes()
                .enumerate()
                .all(|(i, b)| if i == 4 || i == 7 { b == b'-' } else { b.is_ascii_digit() });
        let date = shaped.then(|| text.parse().ok()).flatten();
        date.filter(|date: &Date| (1900..=2999).contains(&date.year()))
            .ok_or_else(|| FieldProblem::invalid("must be a date, YYYY-MM-DD, from 1900 to 2999"))
    }
}

// Only the schema of `Time`, which has none of its own.
/// A local time: `HH:MM` or `HH:MM:SS`.
#[derive(utoipa::ToSchema)]
#[schema(value_type = String, pattern = "^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$",
    example = "10:00:00")]
pub struct LocalTime(pub Time);

impl FieldValue for Time {
    /// Reads a local time: `HH:MM` or `HH:MM:SS`.
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        let text = source.text()?;
        let shaped = matches!(text.len(), 5 | 8)
            && text
                .bytes()
                .enumerate()
                .all(|(i, b)| if i == 2 || i == 5 { b == b':' } else { b.is_ascii_digit() });
        // Second 60 is a leap second, which local times of visits do not have.
        let time = (shaped && !text.ends_with(":60")).then(|| text.parse().ok()).flatten();
        time.ok_or_else(|| FieldProblem::invalid("must be a time, HH:MM or HH:MM:SS"))
    }
}

macro_rules! enum_values {
    ($($name:ident)+) => {$(
        impl FieldValue for $name {
            fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
                source.text()?.parse().map_err(|()| {
                    let all: Vec<&str> = $name::ALL.iter().map(|it| it.as_str()).collect();
                    FieldProblem::invalid(format!("must be one of {}", all.join(", ")))
                })
            }
        }
    )+};
}

enum_values! { Scope EventScope TicketStatus TicketPriority }

impl<T: FieldValue> FieldValue for Vec<T> {
    /// Reads a JSON array or a comma-separated query parameter of at most 100 items.
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        let items: Vec<Result<T, FieldProblem>> = match source {
            Source::Json(Value::Array(items)) => {
                items.iter().map(|item| T::read(Source::Json(item))).collect()
            }
            Source::Json(_) | Source::Number(_) => return Err(FieldProblem::wrong_type("an array")),
            Source::Text(text) => text.split(',').map(|item| T::read(Source::Text(item.trim()))).collect(),
        };
        if items.len() > 100 {
            return Err(FieldProblem::new("TOO_LONG", "must have at most 100 items"));
        }
        let (mut values, mut problems) = (Vec::with_capacity(items.len()), Vec::new());
        for (index, item) in items.into_iter().enumerate() {
            match item {
                Ok(value) => values.push(value),
                Err(problem) => problems.push((index, problem)),
            }
        }
        FieldProblem::of_items(problems).map_or(Ok(values), Err)
    }
}
