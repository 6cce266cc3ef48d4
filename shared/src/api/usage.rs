//! Usage as the API tells it.

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use serde::Serialize;
use utoipa::ToSchema;

use super::{FieldProblem, FieldValue, Source, values::integer_between};
use crate::domain::usage::Usage;

/// How many days, today included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(value_type = i64, minimum = 1, maximum = 90, default = 7)]
pub struct Days(pub i64);

impl FieldValue for Days {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        integer_between(source, 1, 90).map(Self)
    }
}

impl Days {
    /// The days (UTC) that end with today, the oldest first.
    pub fn until(days: Option<Self>, now: Timestamp) -> Vec<Date> {
        let Self(count) = days.unwrap_or(Self(7));
        let ago = |days: i64| TimeZone::UTC.to_datetime(now - SignedDuration::from_hours(24 * days)).date();
        (0..count).rev().map(ago).collect()
    }
}

/// What calls of several days add up to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageSummary {
    pub total_calls: u64,
    /// Per cent of the calls that were answered with a status below 400, to two decimals; 0 without calls.
    #[schema(example = 98.75)]
    pub success_rate: f64,
    /// From the call's arrival at the function to its answer; to one decimal.
    #[schema(example = 12.4)]
    pub avg_duration_ms: f64,
    /// 95 of 100 calls took at most so long. Less than a quarter above the exact figure: durations are kept in buckets.
    #[schema(example = 27)]
    pub p95_duration_ms: u64,
    /// Calls that were answered with 400 and above.
    pub error_count: u64,
    /// Every day, also those without a call, the oldest first.
    pub days: Vec<DayUsage>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DayUsage {
    /// A day of UTC.
    #[schema(value_type = String, format = Date, example = "2026-03-09")]
    pub date: Date,
    pub calls: u64,
    pub errors: u64,
}

impl UsageSummary {
    pub fn of(days: &[(Date, Usage)]) -> Self {
        let mut total = Usage::default();
        for (_, usage) in days {
            total.add(usage);
        }
        Self {
            total_calls: total.calls,
            success_rate: total.success_rate(),
            avg_duration_ms: total.average_ms(),
            p95_duration_ms: total.p95_ms(),
            error_count: total.errors(),
            days: days
                .iter()
                .map(|(date, usage)| DayUsage { date: *date, calls: usage.calls, errors: usage.errors() })
                .collect(),
        }
    }
}
