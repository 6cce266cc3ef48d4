//! Query parameters of the list of calls.

use std::net::IpAddr;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use shared::{
    api::{FieldProblem, FieldValue, Source, integer_between},
    control::{Cursor, activity::StatusFilter},
};
use utoipa::ToSchema;

const METHODS: [&str; 8] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "OTHER"];

/// An HTTP method; `OTHER` stands for any method that the API does not know.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(value_type = String, pattern = "^(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS|OTHER)$", example = "POST")]
pub(crate) struct Method(pub(crate) &'static str);

impl FieldValue for Method {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        let text = source.text()?;
        let known = METHODS.into_iter().find(|it| it.eq_ignore_ascii_case(text));
        known.map(Self).ok_or_else(|| FieldProblem::invalid(format!("must be one of {}", METHODS.join(", "))))
    }
}

/// A filter by status: `404`, `4xx` or `errors`.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(value_type = String, pattern = "^([1-5](xx|[0-9]{2})|errors)$")]
pub(crate) struct Status(pub(crate) StatusFilter);

impl FieldValue for Status {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        let text = source.text()?;
        if text == "errors" {
            return Ok(Self(StatusFilter::Errors));
        }
        let digits =
            |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        let class = text.strip_suffix("xx").or_else(|| text.strip_suffix("XX"));
        let status = match class {
            Some(class) => digits(class).filter(|it| (1..=5).contains(it)).map(StatusFilter::Class),
            None => digits(text).filter(|it| (100..=599).contains(it)).map(StatusFilter::Exactly),
        };
        status
            .map(Self)
            .ok_or_else(|| FieldProblem::invalid("must be a status like 404, a class like 4xx, or 'errors'"))
    }
}

#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(value_type = String, max_length = 45, pattern = "^[0-9A-Fa-f:.]+$", example = "203.0.113.8")]
pub(crate) struct Ip(pub(crate) IpAddr);

impl FieldValue for Ip {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        source.text()?.parse().map(Self).map_err(|_| FieldProblem::invalid("must be an IP address"))
    }
}

/// An instant, or the start of a UTC date.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(
    value_type = String, example = "2026-03-09T14:00:00Z", max_length = 40,
    pattern = "^(19|2[0-9])[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])(T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9]))?$",
)]
pub(crate) struct Instant(pub(crate) Timestamp);

impl FieldValue for Instant {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        let text = source.text()?;
        if text.len() == 10 {
            let start = Date::read(source)?.at(0, 0, 0, 0).to_zoned(TimeZone::UTC);
            return start.map(|it| Self(it.timestamp())).map_err(|_| FieldProblem::invalid("is not a date"));
        }
        let instant = text.parse().ok().filter(|at: &Timestamp| (1900..=2999).contains(&year(*at)));
        instant.map(Self).ok_or_else(|| {
            FieldProblem::invalid("must be an instant like 2026-03-09T14:00:00Z or a date YYYY-MM-DD")
        })
    }
}

fn year(at: Timestamp) -> i16 {
    TimeZone::UTC.to_datetime(at).year()
}

#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(value_type = i64, minimum = 1, maximum = 5000)]
pub(crate) struct ActivityLimit(pub(crate) i64);

impl FieldValue for ActivityLimit {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        // The maximum depends on the format, which is another parameter.
        integer_between(source, i64::MIN, i64::MAX).map(Self)
    }
}

#[derive(Clone, Debug, ToSchema)]
#[schema(value_type = String, max_length = 200, pattern = "^[A-Za-z0-9_-]+$")]
pub(crate) struct ActivityCursor(pub(crate) Cursor);

impl FieldValue for ActivityCursor {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        let cursor = Cursor::parse(source.text()?).filter(Cursor::is_of_calls);
        cursor.map(Self).ok_or_else(|| FieldProblem::invalid("must be a 'nextCursor' of this list"))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum Format {
    Json,
    Csv,
}

impl FieldValue for Format {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        match source.text()? {
            "json" => Ok(Self::Json),
            "csv" => Ok(Self::Csv),
            _ => Err(FieldProblem::invalid("must be json or csv")),
        }
    }
}
