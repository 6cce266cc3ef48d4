//! Reads the data for the scheduling rules: one query per table for a range of dates.

mod first_free;

use jiff::{Span, Timestamp, ToSpan, civil::Date, tz::TimeZone};
use jiff_sqlx::ToSqlx;
use sqlx::AssertSqlSafe;

use super::visit_types::{self, StoredRules};
use crate::domain::{
    ids::{ProviderId, RoomId, VisitId},
    schedule::{
        Calendar, Facts, Interval, Practice, ProviderVisit, RoomVisit, ScheduleException, WorkingHours,
        instant_of_midnight, local,
    },
};
use crate::sql::{
    Conn, Error, Result,
    foreign::{
        Columns, Day, Foreign, ForeignRow, FromColumns, Read, RowReader, TimeOfDay, accept_all, names_a_day,
    },
    on,
};

pub use first_free::read_first_free;

/// The most rows to read from one statement: hundreds a day for the longest date range.
/// If a statement returns more, nothing is free.
const MOST_ROWS: usize = 20_000;

/// Selects a date, time or keyword column.
///
/// On `SQLite` it is truncated, because its columns hold texts of any length.
fn written(conn: &Conn, column: &str) -> String {
    match conn {
        Conn::Postgres(_) => column.to_owned(),
        Conn::Sqlite(_) => format!(
            "case when typeof({column}) in ('text', 'blob') then substr({column}, 1, 50) else {column} end \
                as {column}"
        ),
    }
}

/// Whose availability is requested, and when.
#[derive(Clone, Copy, Debug)]
pub struct AvailabilityQuery<'a> {
    pub provider: ProviderId,
    pub visit_type: Option<&'a str>,
    /// The first and last date on which a visit may start.
    pub dates: (Date, Date),
    pub now: Timestamp,
    /// The visit that is being rescheduled, which therefore does not count.
    pub except: Option<VisitId>,
}

/// A calendar, or why there is none.
#[derive(Debug)]
pub enum CalendarLookup {
    Calendar(Box<Calendar>),
    /// The provider is unknown or inactive.
    NoProvider,
    NoVisitType,
}

/// Reads the calendar for the query.
pub async fn read(conn: &mut Conn, zone: &TimeZone, query: &AvailabilityQuery<'_>) -> Result<CalendarLookup> {
    match Undated::read(conn, zone, query).await? {
        Ok(undated) => Ok(CalendarLookup::Calendar(Box::new(undated.calendar(conn, query).await?))),
        Err(missing) => Ok(missing),
    }
}

/// What applies to all dates of a query.
struct Undated {
    practice: Practice,
    rules: Option<StoredRules>,
    hours: Vec<WorkingHours>,
}

impl Undated {
    /// Reads it. The inner error is the answer to a query for something that does not exist.
    async fn read(
        conn: &mut Conn,
        zone: &TimeZone,
        query: &AvailabilityQuery<'_>,
    ) -> Result<std::result::Result<Self, CalendarLookup>> {
        let Some((grid_minutes, horizon_days, time_zone)) = practice(conn, query.provider).await? else {
            return Ok(Err(CalendarLookup::NoProvider));
        };
        // The stored instants of visits are based on the database's current time zone.
        if time_zone.is_some_and(|name| zone.iana_name() != Some(name.as_str())) {
            conn.set_outdated();
            return Err(Error::TimeZoneChanged);
        }
        let rules = match query.visit_type {
            None => None,
            Some(name) => match visit_types::rules(conn, name, query.provider).await? {
                None => return Ok(Err(CalendarLookup::NoVisitType)),
                found => found,
            },
        };
        let hours = hours(conn, query.provider).await?;
        let practice = Practice { time_zone: zone.clone(), grid_minutes, horizon_days };
        Ok(Ok(Self { practice, rules, hours }))
    }

    /// Reads the calendar of the query's dates.
    async fn calendar(&self, conn: &mut Conn, query: &AvailabilityQuery<'_>) -> Result<Calendar> {
        let margin = Span::new().days(Calendar::MARGIN_DAYS);
        let (first, last) = query.dates;
        let around = (first.saturating_sub(margin), last.saturating_add(margin));
        let exceptions = exceptions(conn, query.provider, around).await?;
        let (busy, in_rooms) = blocking(conn, &self.practice.time_zone, query, around).await?;
        let visit_type = self.rules.as_ref().map(|rules| rules.with_visits(&in_rooms));
        let facts = Facts { hours: self.hours.clone(), exceptions, busy, visit_type };
        Ok(Calendar::new(self.practice.clone(), query.now, query.dates, facts))
    }
}

/// Returns the practice's grid, horizon and time zone, if the provider is active.
async fn practice(conn: &mut Conn, provider: ProviderId) -> Result<Option<(i64, i64, Option<String>)>> {
    let row: Option<Read<ActiveProvider>> = on!(&mut *conn, |c| sqlx::query_as(
        "select p.provider_id, p.active, t.grid_minutes, t.horizon_days, t.time_zone
         from tenant_identity t cross join providers p where p.provider_id = $1",
    )
    .bind(provider)
    .fetch_optional(c)
    .await)?;
    Ok(row.and_then(|row| row.accept(conn)).map(|it| (it.grid_minutes, it.horizon_days, it.time_zone)))
}

struct ActiveProvider {
    grid_minutes: i64,
    horizon_days: i64,
    time_zone: Option<String>,
}

impl FromColumns for ActiveProvider {
    const TABLE: &'static str = "providers";
    const KEY: &'static str = "provider_id";

    fn from_columns<R: ForeignRow>(columns: &mut Columns<'_, R>) -> sqlx::Result<Option<Self>> {
        let (grid_minutes, horizon_days) =
            (columns.required("grid_minutes")?, columns.required("horizon_days")?);
        let practice = grid_minutes.zip(horizon_days).filter(|(grid, _)| *grid > 0);
        let (active, time_zone) = (columns.or("active", false)?, columns.optional("time_zone")?);
        Ok(practice.filter(|_| active).map(|(grid_minutes, horizon_days)| Self {
            grid_minutes,
            horizon_days,
            time_zone,
        }))
    }
}

async fn hours(conn: &mut Conn, provider: ProviderId) -> Result<Vec<WorkingHours>> {
    // Working hours beyond the limit are not offered.
    let statement = format!(
        "select working_hours_id, weekday, {}, {}, {}, {} from working_hours where provider_id = $1
         order by working_hours_id limit {MOST_ROWS}",
        written(conn, "start_time"),
        written(conn, "end_time"),
        written(conn, "valid_from"),
        written(conn, "valid_to"),
    );
    let rows: Vec<Read<WorkingHours>> =
        on!(&mut *conn, |c| { sqlx::query_as(AssertSqlSafe(statement)).bind(provider).fetch_all(c).await })?;
    Ok(accept_all(conn, rows))
}

impl FromColumns for WorkingHours {
    const TABLE: &'static str = "working_hours";
    const KEY: &'static str = "working_hours_id";

    fn from_columns<R: ForeignRow>(columns: &mut Columns<'_, R>) -> sqlx::Result<Option<Self>> {
        let weekday: Option<i64> = columns.required("weekday")?;
        let (start, end) = (columns.required("start_time")?, columns.required("end_time")?);
        let valid_from: Foreign<Day> = columns.get("valid_from")?;
        let valid_to: Foreign<Day> = columns.get("valid_to")?;
        let (Some(weekday), Some(start), Some(end)) = (weekday, start, end) else { return Ok(None) };
        if valid_from.is_problem() || valid_to.is_problem() {
            return Ok(None);
        }
        let (start, end): (TimeOfDay, TimeOfDay) = (start, end);
        // Hours that start at the end of a day start at midnight of the next day.
        let late = start == TimeOfDay::EndOfDay;
        let bound = |day: Day| if late { day.clamped().saturating_add(1.day()) } else { day.clamped() };
        Ok(Some(Self {
            weekday: if late { weekday % 7 + 1 } else { weekday },
            start: start.on_clock(),
            end: end.on_clock(),
            valid_from: valid_from.value().filter(|day| *day != Day::Past).map(bound),
            valid_to: valid_to.value().filter(|day| *day != Day::Future).map(bound),
        }))
    }
}

async fn exceptions(
    conn: &mut Conn,
    provider: ProviderId,
    (first, last): (Date, Date),
) -> Result<Vec<ScheduleException>> {
    let select = format!(
        "select exception_id, provider_id, {}, {}, {}, {} from schedule_exceptions",
        written(conn, "exception_date"),
        written(conn, "kind"),
        written(conn, "start_time"),
        written(conn, "end_time"),
    );
    let of_dates = format!(
        "{select} where schedule_exceptions.exception_date >= $1 and schedule_exceptions.exception_date < $2
           and (provider_id = $3 or provider_id is null)"
    );
    let all = match conn {
        Conn::Postgres(_) => of_dates,
        // Dates are texts here, which compare as dates only in this format.
        Conn::Sqlite(_) => format!(
            "{of_dates} union all {select}
             where (typeof(schedule_exceptions.exception_date) <> 'text'
                    or schedule_exceptions.exception_date not glob \
                    '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*'
                    or date(substr(schedule_exceptions.exception_date, 1, 10), '+0 days')
                       is not substr(schedule_exceptions.exception_date, 1, 10))
               and (provider_id = $3 or provider_id is null)"
        ),
    };
    let statement = format!("{all} limit {}", MOST_ROWS + 1);
    // An exception that starts at the end of a day affects the next day.
    let (from, to) = (first.saturating_sub(1.day()), last.saturating_add(1.day()));
    let rows: Vec<Read<Exception>> = on!(&mut *conn, |c| sqlx::query_as(AssertSqlSafe(statement))
        .bind(from.to_sqlx())
        .bind(to.to_sqlx())
        .bind(provider)
        .fetch_all(c)
        .await)?;
    let (count, exceptions) = (rows.len(), accept_all(conn, rows));
    if count > MOST_ROWS || exceptions.iter().any(|it| matches!(it, Exception::AnyDay)) {
        // The exceptions that were not read may close any day.
        tracing::warn!(%provider, count,
            "too many schedule exceptions, or one whose date is unreadable; all days are closed");
        let days = from.series(1.day()).take_while(|date| *date < to);
        return Ok(days.map(|date| ScheduleException::DayOff { date }).collect());
    }
    let known = |it| if let Exception::Known(exception) = it { Some(exception) } else { None };
    Ok(exceptions.into_iter().filter_map(known).collect())
}

enum Exception {
    Known(ScheduleException),
    /// Time off on a day that the row names in a form that cannot be read.
    AnyDay,
}

impl FromColumns for Exception {
    const TABLE: &'static str = "schedule_exceptions";
    const KEY: &'static str = "exception_id";

    /// An unreadable exception closes its day, or every day if its date is unreadable too.
    fn from_columns<R: ForeignRow>(columns: &mut Columns<'_, R>) -> sqlx::Result<Option<Self>> {
        let date: Option<Day> = columns.required("exception_date")?;
        let own = columns.get::<i64>("provider_id")? != Foreign::Null;
        let kind = columns.text("kind")?;
        let start: Foreign<TimeOfDay> = columns.get("start_time")?;
        let end: Foreign<TimeOfDay> = columns.get("end_time")?;
        let Some(date) = date.and_then(Day::date) else {
            if date.is_some() || kind == "custom" {
                return Ok(None);
            }
            let written: Foreign<String> = columns.get("exception_date")?;
            return Ok(written.value().is_none_or(|it| names_a_day(&it)).then_some(Self::AnyDay));
        };
        let times = start.value().zip(end.value());
        Ok(Some(Self::Known(match (kind.as_str(), times) {
            ("custom", Some((start, end))) => {
                let (date, start) = start.on(date);
                ScheduleException::Custom { date, start, end: end.on_clock(), own }
            }
            ("off", Some((start, end))) => {
                let (date, start) = start.on(date);
                ScheduleException::Off { date, start, end: end.on_clock() }
            }
            _ => ScheduleException::DayOff { date },
        })))
    }
}

/// A blocking visit: id, start, end, buffer before, buffer after.
///
/// The id is null for a visit of the provider, and otherwise the room. For a visit whose date is
/// unreadable, it is the visit, and start and end are null.
type BlockingRow = (Foreign<i64>, Option<i64>, Option<i64>, i64, i64);

/// Returns the condition for upcoming visits whose date names a day in an unreadable form.
///
/// Only on `SQLite`. Any day could be meant. The rule is that of [`names_a_day`], for a text that
/// ends at NUL.
fn on_unknown_days(conn: &Conn) -> &'static str {
    match conn {
        Conn::Postgres(_) => "false",
        Conn::Sqlite(_) => {
            "overlap_allowed and local_day is null and status in ('Scheduled', 'Confirmed')
             and (cast(visit_date as text) glob '*[1-9]*' or cast(visit_date as text) glob '*[^ -~]*'
                  or instr(cast(visit_date as text), char(0)) > 0)"
        }
    }
}

/// Reads the provider's blocking visits, and all providers' visits in the visit type's rooms.
///
/// A visit whose time is unreadable blocks its day; one whose date is unreadable blocks every day.
async fn blocking(
    conn: &mut Conn,
    zone: &TimeZone,
    query: &AvailabilityQuery<'_>,
    (first, last): (Date, Date),
) -> Result<(Vec<ProviderVisit>, Vec<RoomVisit>)> {
    let from = instant_of_midnight(zone, first);
    let to = instant_of_midnight(zone, last.saturating_add(Span::new().days(1)));
    let on_unknown_days = on_unknown_days(conn);
    let rows: Vec<BlockingRow> = on!(&mut *conn, |c| {
        sqlx::query_as(AssertSqlSafe(format!(
            "select cast(null as bigint), v.provider_starts_at, v.provider_ends_at,
                cast(coalesce(t.buffer_before, 0) as bigint), cast(coalesce(t.buffer_after, 0) as bigint)
         from visits v left join visit_types t on t.visit_type = v.visit_type
         where v.provider_id = $1 and v.provider_starts_at >= $2 and v.provider_starts_at < $3
           and v.status not in ('Cancelled', 'NoShow', 'Deleted') and v.visit_id is distinct from $4
         union all
         select room_id, starts_at, ends_at, cast(0 as bigint), cast(0 as bigint)
         from visits
         where room_id in (select resource_id from visit_type_resources where visit_type = $5)
           and starts_at >= $2 and starts_at < $3
           and status not in ('Cancelled', 'NoShow', 'Deleted') and visit_id is distinct from $4
         union all
         select * from (
             select visit_id, cast(null as bigint), cast(null as bigint), cast(0 as bigint), \
             cast(0 as bigint)
             from visits
             where overlap_allowed and local_day is null and provider_id = $1
               and status not in ('Cancelled', 'NoShow', 'Deleted')
             order by visit_id desc limit 20
         ) undated
         union all
         select distinct cast(null as bigint), cast($2 as bigint), cast($3 as bigint), cast(0 as bigint), \
         cast(0 as bigint)
         from visits
         where {on_unknown_days} and provider_id = $1 and visit_id is distinct from $4
         union all
         select distinct room_id, cast($2 as bigint), cast($3 as bigint), cast(0 as bigint), cast(0 as \
         bigint)
         from visits
         where {on_unknown_days} and room_id in (select resource_id from visit_type_resources where \
         visit_type = $5)
           and visit_id is distinct from $4
         limit {}",
            MOST_ROWS + 1,
        )))
        .bind(query.provider)
        .bind(from)
        .bind(to)
        .bind(query.except)
        .bind(query.visit_type)
        .fetch_all(c)
        .await
    })?;
    let mut busy = Vec::new();
    let mut in_rooms = Vec::new();
    if rows.len() > MOST_ROWS {
        // The visits that were not read may take any time.
        tracing::warn!(provider = %query.provider,
            "too many visits to read; the whole date range counts as booked");
        busy.push(ProviderVisit { time: Interval { from, to }, buffer_before: 0, buffer_after: 0 });
    }
    for (id, from, to, buffer_before, buffer_after) in rows {
        let time = from.zip(to).map(|(from, to)| Interval { from, to });
        match (id, id.value(), time) {
            (Foreign::Null, _, Some(time)) => busy.push(ProviderVisit { time, buffer_before, buffer_after }),
            (_, Some(room), Some(visit)) => {
                in_rooms.push(RoomVisit { room: RoomId(room), date: local(zone, visit.from).date(), visit });
            }
            (_, Some(visit), None) => RowReader::new(conn, "visits", VisitId(visit)).report(),
            // A value that is not an id cannot be one of these rooms.
            _ => (),
        }
    }
    Ok((busy, in_rooms))
}
