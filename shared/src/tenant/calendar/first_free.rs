//! The search for the first free start, in windows that grow.

use jiff::{Span, ToSpan, tz::TimeZone};

use super::{AvailabilityQuery, CalendarLookup, Undated};
use crate::{
    domain::schedule::Minutes,
    sql::{Conn, Result},
};

/// Where the windows of a search end, in days from its first date. The last one takes the rest.
///
/// Nearly every search ends in the first window, so it seldom reads more than two weeks of visits.
const WINDOWS: [i64; 2] = [14, 60];

/// Reads the calendar of the first window of the query's dates in which a visit can start.
///
/// If there is none, returns the calendar of the last window. No date is searched twice.
pub async fn read_first_free(
    conn: &mut Conn,
    zone: &TimeZone,
    query: &AvailabilityQuery<'_>,
    duration: Minutes,
) -> Result<CalendarLookup> {
    let undated = match Undated::read(conn, zone, query).await? {
        Ok(undated) => undated,
        Err(missing) => return Ok(missing),
    };
    let (begin, end) = query.dates;
    // Nothing is free beyond the horizon. The calendar rounds the time up to a second, which may
    // be one of the next day.
    let today = zone.to_datetime(query.now).date();
    let horizon = today.saturating_add(Span::new().days(undated.practice.horizon_days + 1));
    let end = end.min(horizon).max(begin);
    let mut windows = WINDOWS.into_iter().map(|days| begin.saturating_add(Span::new().days(days - 1)));
    let mut first = begin;
    loop {
        let last = windows.next().unwrap_or(end).min(end);
        let window = AvailabilityQuery { dates: (first, last), ..*query };
        let calendar = undated.calendar(conn, &window).await?;
        if last == end || calendar.next_slot(duration).is_some() {
            return Ok(CalendarLookup::Calendar(Box::new(calendar)));
        }
        first = last.saturating_add(1.day());
    }
}
