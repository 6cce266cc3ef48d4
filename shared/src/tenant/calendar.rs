//! What the schedule's rules need to know, read with one query a table for the whole range of dates.

use jiff::{Span, Timestamp, civil::Date, tz::TimeZone};
use jiff_sqlx::ToSqlx;

use super::{Conn, Error, Result, on, visit_types};
use crate::domain::{
    ids::{ProviderId, RoomId, VisitId},
    schedule::{
        Calendar, Facts, Interval, Practice, ProviderVisit, RoomVisit, ScheduleException, WorkingHours,
        instant_of_midnight, local,
    },
};

/// Whose time is asked for, and when.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub provider: ProviderId,
    pub visit_type: Option<&'a str>,
    /// The first and the last date a visit may begin on.
    pub dates: (Date, Date),
    pub now: Timestamp,
    /// A visit that is to be moved and so doesn't count.
    pub except: Option<VisitId>,
}

/// A calendar, or what there is none for.
#[derive(Debug)]
pub enum Found {
    Calendar(Box<Calendar>),
    /// Unknown or inactive.
    NoProvider,
    NoVisitType,
}

/// Reads the calendar that answers the question.
pub async fn read(conn: &mut Conn, zone: &TimeZone, question: &Question<'_>) -> Result<Found> {
    let Some((grid_minutes, horizon_days, time_zone)) = practice(conn, question.provider).await? else {
        return Ok(Found::NoProvider);
    };
    // The instants of visits are of the zone that the database has now.
    if time_zone.is_some_and(|name| zone.iana_name() != Some(name.as_str())) {
        conn.set_outdated();
        return Err(Error::TimeZoneChanged);
    }
    let rules = match question.visit_type {
        None => None,
        Some(name) => match visit_types::rules(conn, name, question.provider).await? {
            None => return Ok(Found::NoVisitType),
            found => found,
        },
    };
    let margin = Span::new().days(Calendar::MARGIN_DAYS);
    let (first, last) = question.dates;
    let around = (first.saturating_sub(margin), last.saturating_add(margin));
    let hours = hours(conn, question.provider).await?;
    let exceptions = exceptions(conn, question.provider, around).await?;
    let (busy, in_rooms) = blocking(conn, zone, question, around).await?;
    let facts =
        Facts { hours, exceptions, busy, visit_type: rules.map(|rules| rules.with_visits(&in_rooms)) };
    let practice = Practice { time_zone: zone.clone(), grid_minutes, horizon_days };
    Ok(Found::Calendar(Box::new(Calendar::new(practice, question.now, question.dates, facts))))
}

/// The practice's grid, horizon and time zone, if the provider is active.
async fn practice(conn: &mut Conn, provider: ProviderId) -> Result<Option<(i64, i64, Option<String>)>> {
    Ok(on!(conn, c => sqlx::query_as(
        "select t.grid_minutes, t.horizon_days, t.time_zone from tenant_identity t cross join providers p
         where p.provider_id = $1 and p.active",
    ).bind(provider).fetch_optional(c).await)?)
}

#[derive(sqlx::FromRow)]
struct HoursRow {
    weekday: i64,
    start_time: jiff_sqlx::Time,
    end_time: jiff_sqlx::Time,
    valid_from: Option<jiff_sqlx::Date>,
    valid_to: Option<jiff_sqlx::Date>,
}

async fn hours(conn: &mut Conn, provider: ProviderId) -> Result<Vec<WorkingHours>> {
    let rows: Vec<HoursRow> = on!(conn, c => sqlx::query_as(
        "select weekday, start_time, end_time, valid_from, valid_to from working_hours where provider_id = $1",
    ).bind(provider).fetch_all(c).await)?;
    Ok(rows
        .into_iter()
        .map(|row| WorkingHours {
            weekday: row.weekday,
            start: row.start_time.to_jiff(),
            end: row.end_time.to_jiff(),
            valid_from: row.valid_from.map(jiff_sqlx::Date::to_jiff),
            valid_to: row.valid_to.map(jiff_sqlx::Date::to_jiff),
        })
        .collect())
}

#[derive(sqlx::FromRow)]
struct ExceptionRow {
    provider_id: Option<ProviderId>,
    exception_date: jiff_sqlx::Date,
    kind: String,
    start_time: Option<jiff_sqlx::Time>,
    end_time: Option<jiff_sqlx::Time>,
}

async fn exceptions(
    conn: &mut Conn,
    provider: ProviderId,
    (first, last): (Date, Date),
) -> Result<Vec<ScheduleException>> {
    let rows: Vec<ExceptionRow> = on!(conn, c => sqlx::query_as(
        "select provider_id, exception_date, kind, start_time, end_time from schedule_exceptions
         where exception_date between $1 and $2 and (provider_id = $3 or provider_id is null)",
    ).bind(first.to_sqlx()).bind(last.to_sqlx()).bind(provider).fetch_all(c).await)?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let date = row.exception_date.to_jiff();
            let times = row.start_time.zip(row.end_time).map(|(start, end)| (start.to_jiff(), end.to_jiff()));
            match times {
                Some((start, end)) if row.kind == "custom" => {
                    ScheduleException::Custom { date, start, end, own: row.provider_id.is_some() }
                }
                Some((start, end)) => ScheduleException::Off { date, start, end },
                None => ScheduleException::DayOff { date },
            }
        })
        .collect())
}

#[derive(sqlx::FromRow)]
struct BlockingRow {
    /// The room's part of a visit; else the provider's.
    room_id: Option<RoomId>,
    starts_at: i64,
    ends_at: i64,
    buffer_before: i64,
    buffer_after: i64,
}

/// The provider's blocking visits, and those in the rooms of the visit type, of whichever provider. One whose time can't be
/// read takes its day.
async fn blocking(
    conn: &mut Conn,
    zone: &TimeZone,
    question: &Question<'_>,
    (first, last): (Date, Date),
) -> Result<(Vec<ProviderVisit>, Vec<RoomVisit>)> {
    let from = instant_of_midnight(zone, first);
    let to = instant_of_midnight(zone, last.saturating_add(Span::new().days(1)));
    let rows: Vec<BlockingRow> = on!(conn, c => sqlx::query_as(
        "select cast(null as bigint) as room_id, v.provider_starts_at as starts_at, v.provider_ends_at as ends_at,
                cast(coalesce(t.buffer_before, 0) as bigint) as buffer_before,
                cast(coalesce(t.buffer_after, 0) as bigint) as buffer_after
         from visits v left join visit_types t on t.visit_type = v.visit_type
         where v.provider_id = $1 and v.provider_starts_at >= $2 and v.provider_starts_at < $3
           and v.status not in ('Cancelled', 'NoShow', 'Deleted') and v.visit_id <> $4
         union all
         select room_id, starts_at, ends_at, cast(0 as bigint), cast(0 as bigint)
         from visits
         where room_id in (select resource_id from visit_type_resources where visit_type = $5)
           and starts_at >= $2 and starts_at < $3
           and status not in ('Cancelled', 'NoShow', 'Deleted') and visit_id <> $4",
    )
    .bind(question.provider)
    .bind(from)
    .bind(to)
    .bind(question.except.map_or(0, |visit| visit.0))
    .bind(question.visit_type)
    .fetch_all(c).await)?;
    let mut busy = Vec::new();
    let mut in_rooms = Vec::new();
    for row in rows {
        let time = Interval { from: row.starts_at, to: row.ends_at };
        match row.room_id {
            None => busy.push(ProviderVisit {
                time,
                buffer_before: row.buffer_before,
                buffer_after: row.buffer_after,
            }),
            Some(room) => in_rooms.push(RoomVisit { room, date: local(zone, time.from).date(), visit: time }),
        }
    }
    Ok((busy, in_rooms))
}
