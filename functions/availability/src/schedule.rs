//! Handles `GET …/providers/{id}/schedule`.

use std::collections::BTreeMap;

use jiff::{
    Span,
    civil::{Date, Time},
};
use serde::Serialize;
use shared::{
    api::{
        ApiError, ApiResult, Code, Data, FieldError, LocalTime, PathId, PracticePath, Problem, Query, Tenant,
        fit, scope::Providers,
    },
    domain::ids::{ProviderId, VisitId},
    params,
    tenant::{
        providers,
        visits::{self, Booked},
    },
};
use utoipa::ToSchema;

use crate::{calendar::VisitTypeParam, providers::ProviderBody};

/// Maximum length of the range, in days.
const MAX_DAYS: i32 = 92;
/// Maximum number of visits in a response.
const MOST_VISITS: usize = 5_000;
/// Maximum size of all visits in a response, approximately.
const MOST_BYTES: usize = 900_000;
/// Size of a visit without its type, approximately.
const VISIT_BYTES: usize = 120;

params! {
    pub(crate) struct ScheduleQuery {
        /// First local date. Defaults to today.
        "startDate" => start_date: Option<Date>,
        /// Last local date; the range has at most 92 days. Defaults to six days after the first.
        "endDate" => end_date: Option<Date>,
        /// Lists only visits of this type.
        "visitType" => visit_type: Option<VisitTypeParam>,
    }
}

/// A provider's visits by date.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ScheduleBody {
    provider: ProviderBody,
    start_date: Date,
    end_date: Date,
    /// The visits by local date, ordered by time and `VisitID`. Dates without visits are omitted.
    schedule: BTreeMap<String, Vec<ScheduledVisit>>,
    /// Number of visits on the listed dates.
    total_visits: usize,
    /// The first date that did not fit in the response; send it as `startDate` to continue. Omitted
    /// if all visits are listed. A date is listed completely unless it alone exceeds a response.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    next_start_date: Option<Date>,
}

/// A visit that blocks the provider's time.
#[derive(Serialize, ToSchema)]
pub(crate) struct ScheduledVisit {
    #[serde(rename = "VisitID")]
    visit_id: VisitId,
    /// Local time.
    #[schema(value_type = LocalTime, example = "09:00:00")]
    time: Time,
    /// Duration in minutes.
    duration: i64,
    #[serde(rename = "type")]
    #[schema(example = "FOLLOWUP")]
    kind: String,
    /// Always true: canceled and missed visits are not listed.
    booked: bool,
}

/// Get scheduled visits for a provider within a date range.
///
/// Canceled, missed and deleted visits are left out. The response contains no patient data.
#[utoipa::path(
    get,
    path = "/v1/{PPass}/availability/providers/{id}/schedule",
    tag = "Providers",
    params(PracticePath, ("id" = ProviderId, Path, description = "The provider's id"), ScheduleQuery),
    responses(
        (status = 200, body = Data<ScheduleBody>),
        (status = 404, body = Problem, description = "`NOT_FOUND`: the provider is unknown or inactive"),
    ),
)]
pub(crate) async fn get_schedule(
    tenant: Tenant<Providers>,
    PathId(id): PathId<ProviderId>,
    Query(query): Query<ScheduleQuery>,
) -> ApiResult<Data<ScheduleBody>> {
    let today = tenant.db.time_zone().to_datetime(tenant.now).date();
    let dates = range(today, query.start_date, query.end_date)?;
    let mut conn = tenant.db.connection().await?;
    let provider = providers::find(&mut conn, id).await?.ok_or_else(ApiError::not_found)?;
    let visit_type = VisitTypeParam::stored(query.visit_type.as_ref(), &tenant).await?;
    let mut booked = match visit_type.as_deref() {
        Some(name) if !tenant.db.can_hold(name) => Vec::new(),
        name => visits::of_provider(&mut conn, id, dates, name, MOST_VISITS + 1).await?,
    };
    let next_start_date = cut_to_fit(&mut booked, dates.1);
    let total_visits = booked.len();
    let mut schedule: BTreeMap<String, Vec<ScheduledVisit>> = BTreeMap::new();
    for visit in booked {
        schedule.entry(visit.date.to_string()).or_default().push(ScheduledVisit {
            visit_id: visit.visit_id,
            time: visit.time,
            duration: visit.duration.get(),
            kind: visit.visit_type,
            booked: true,
        });
    }
    let (start_date, end_date) = dates;
    Ok(Data {
        data: ScheduleBody {
            provider: provider.into(),
            start_date,
            end_date,
            schedule,
            total_visits,
            next_start_date,
        },
    })
}

/// Truncates the visits to what fits in a response and returns the first date left out.
///
/// Dates stay whole, with one exception: the EMR can put more visits on a date than a response
/// holds, at times that cannot be read. Such a date is cut.
fn cut_to_fit(booked: &mut Vec<Booked>, last: Date) -> Option<Date> {
    let sizes = booked.iter().map(|visit| fit::text_bytes(&visit.visit_type) + VISIT_BYTES);
    let fit = fit::fill(MOST_BYTES, sizes).min(MOST_VISITS);
    let (first, next) = (booked.first()?.date, booked.get(fit)?.date);
    if first < next {
        booked.retain(|visit| visit.date < next);
        return Some(next);
    }
    tracing::warn!(date = %first, listed = fit, "a date has more visits than a schedule response holds");
    booked.truncate(fit);
    first.tomorrow().ok().filter(|next| *next <= last)
}

/// Returns the first and last requested date.
///
/// # Errors
/// 400 if the range is empty or too long.
fn range(today: Date, start: Option<Date>, end: Option<Date>) -> ApiResult<(Date, Date)> {
    let start = start.unwrap_or(today);
    let end = end.unwrap_or_else(|| start.saturating_add(Span::new().days(6)));
    let problem = if end < start {
        Some("must not be before startDate (default: today)".to_owned())
    } else if (end - start).get_days() >= MAX_DAYS {
        Some(format!("must not make the range longer than {MAX_DAYS} days"))
    } else {
        None
    };
    match problem {
        None => Ok((start, end)),
        Some(message) => {
            let location = "query.endDate".to_owned();
            Err(ApiError::new(Code::InvalidQuery, "The date range is not valid.")
                .with_errors(vec![FieldError { location, code: "INVALID_VALUE", message }]))
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use shared::domain::schedule::Minutes;

    use super::*;

    #[test]
    fn a_range_spans_at_most_92_days_and_defaults_to_a_week() {
        let today = date(2026, 3, 9);
        assert_eq!(range(today, None, None).unwrap(), (today, date(2026, 3, 15)));
        assert_eq!(range(today, Some(today), Some(date(2026, 6, 8))).unwrap().1, date(2026, 6, 8));
        assert_eq!(range(today, Some(today), Some(date(2026, 6, 9))).unwrap_err().code(), Code::InvalidQuery);
        assert_eq!(range(today, None, Some(date(2026, 3, 8))).unwrap_err().code(), Code::InvalidQuery);
    }

    #[test]
    fn a_long_schedule_keeps_whole_dates_and_truncates_a_long_date() {
        let visit = |day, name: &str| Booked {
            visit_id: VisitId(1),
            date: date(2026, 3, day),
            time: Time::midnight(),
            duration: Minutes::new(30).unwrap(),
            visit_type: name.to_owned(),
        };
        let left = |mut booked: Vec<Booked>| {
            let next = cut_to_fit(&mut booked, date(2026, 3, 10));
            (booked.len(), next)
        };
        let days = |counts: &[usize], name: &str| {
            let of_day = |(day, count): (i8, &usize)| vec![visit(day, name); *count];
            (9..).zip(counts).flat_map(of_day).collect::<Vec<_>>()
        };
        assert_eq!(left(Vec::new()), (0, None));
        assert_eq!(left(days(&[10, MOST_VISITS - 10], "")), (MOST_VISITS, None));
        assert_eq!(left(days(&[10, MOST_VISITS - 9], "")), (10, Some(date(2026, 3, 10))));
        assert_eq!(left(days(&[MOST_VISITS + 1], "")), (MOST_VISITS, Some(date(2026, 3, 10))));
        assert_eq!(left(days(&[0, MOST_VISITS + 1], "")), (MOST_VISITS, None));
        let (most, next) = left(days(&[1000], &"x".repeat(2000)));
        assert!(most * 2_100 < MOST_BYTES && most > 400, "{most}");
        assert_eq!(next, Some(date(2026, 3, 10)));
    }
}
