//! The JSON representation of usage figures.

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::{FieldProblem, FieldValue, Source, integer_between};
use crate::domain::usage::Usage;

/// The number of days, today included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(value_type = i64, minimum = 1, maximum = 90, default = 7)]
pub struct Days(pub i64);

impl FieldValue for Days {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        integer_between(source, 1, 90).map(Self)
    }
}

impl Days {
    /// Returns the days (UTC) up to today, oldest first.
    pub fn until(days: Option<Self>, now: Timestamp) -> Vec<Date> {
        let Self(count) = days.unwrap_or(Self(7));
        let ago = |days: i64| TimeZone::UTC.to_datetime(now - SignedDuration::from_hours(24 * days)).date();
        (0..count).rev().map(ago).collect()
    }
}

/// The usage figures of several days.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageSummary {
    pub total_calls: u64,
    /// The percentage of calls with a response status below 400, to two decimal places; 0 without
    /// calls.
    #[schema(example = 98.75)]
    pub success_rate: f64,
    /// The average time from the arrival of a call to its response, to one decimal place.
    #[schema(example = 12.4)]
    pub avg_duration_ms: f64,
    /// The 95th percentile of the durations. It is less than 25% above the exact figure, because
    /// durations are counted in buckets.
    #[schema(example = 27)]
    pub p95_duration_ms: u64,
    /// The number of calls with a response status of 400 or higher.
    pub error_count: u64,
    /// Every day, including those without calls, oldest first.
    pub days: Vec<DayUsage>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DayUsage {
    /// The day in UTC.
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
