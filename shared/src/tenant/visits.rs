//! The `visits` table.

mod lock;
mod write;

use jiff::{
    Span, Timestamp,
    civil::{Date, DateTime, Time},
    tz::TimeZone,
};

use crate::domain::{
    ids::{PatientId, ProviderId, RoomId, VisitId},
    schedule::{self, Interval, Minutes, VisitTime},
    visit_status::VisitStatus,
};
use crate::sql::{
    Conn, Result,
    bounded::short,
    foreign::{Foreign, RowReader},
    on,
};

pub use lock::{RoomSearch, lock_provider_and_patient, lock_visit, try_lock_provider_and_patient};
pub use write::{cancel, insert, reschedule};

/// The longest time that a visit takes, in seconds.
///
/// A visit lasts up to a day. One without a time takes its whole day, which may exceed 24 hours.
const LONGEST: i64 = 2 * 86_400;

/// When and where a visit takes place, in local times and in instants.
#[derive(Clone, Copy, Debug)]
pub struct Appointment {
    pub provider: ProviderId,
    pub room: Option<RoomId>,
    pub time: Time,
    pub duration: Minutes,
    pub provider_time: Time,
    pub provider_duration: Minutes,
    pub place: VisitTime,
}

/// A visit to be booked.
#[derive(Clone, Copy, Debug)]
pub struct NewVisit<'a> {
    pub patient: PatientId,
    pub visit_type: &'a str,
    pub complaint: Option<&'a str>,
    pub notes: Option<&'a str>,
    pub appointment: Appointment,
    pub at: Timestamp,
}

/// A stored visit of the API or the EMR.
#[derive(Clone, Debug)]
pub struct Visit {
    pub id: VisitId,
    pub patient: PatientId,
    pub provider: ProviderId,
    pub room: Option<RoomId>,
    pub visit_type: String,
    pub complaint: Option<String>,
    pub notes: Option<String>,
    pub status: VisitStatus,
    pub duration: Minutes,
    pub provider_duration: Minutes,
    /// The local start date, if it is readable.
    pub date: Option<Date>,
    /// The local start time, if it is readable.
    pub time: Option<Time>,
    pub provider_time: Option<Time>,
    /// The times of the visit and of the provider's part.
    ///
    /// Without a time the whole day; `None` without a date.
    pub instants: Option<(Interval, Interval)>,
    pub created_at: Option<Timestamp>,
    pub updated_at: Option<Timestamp>,
}

/// A provider's visit, without the patient.
#[derive(Clone, Debug)]
pub struct Booked {
    pub visit_id: VisitId,
    pub date: Date,
    /// Midnight if it is unreadable: such a visit takes the whole day.
    pub time: Time,
    pub duration: Minutes,
    pub visit_type: String,
}

#[derive(sqlx_macros::FromRow)]
struct Row {
    visit_id: VisitId,
    patient_id: Foreign<PatientId>,
    provider_id: Foreign<ProviderId>,
    room_id: Foreign<RoomId>,
    visit_type: Foreign<String>,
    visit_duration: i64,
    provider_duration: i64,
    visit_complaint: Foreign<String>,
    visit_notes: Foreign<String>,
    status: String,
    local_day: Option<i64>,
    local_start: Option<i64>,
    local_provider_start: Option<i64>,
    starts_at: Option<i64>,
    ends_at: Option<i64>,
    provider_starts_at: Option<i64>,
    provider_ends_at: Option<i64>,
    created_at: Foreign<Timestamp>,
    updated_at: Foreign<Timestamp>,
}

impl Row {
    /// Decodes the row; `None` if the patient or provider is unreadable.
    fn read(self, conn: &Conn) -> Result<Option<Visit>> {
        let mut reader = RowReader::new(conn, "visits", self.visit_id);
        let people = reader.required(self.patient_id).zip(reader.required(self.provider_id));
        let Some((patient, provider_id)) = people else { return Ok(None) };
        let time = self.local_start.and_then(on_clock);
        if time.is_none() {
            reader.report();
        }
        let visit = self.starts_at.zip(self.ends_at).map(|(from, to)| Interval { from, to });
        let provider =
            self.provider_starts_at.zip(self.provider_ends_at).map(|(from, to)| Interval { from, to });
        // If `provider_time` is not within the visit, the provider attends all of it.
        let (provider_time, provider_duration) = if provider == visit {
            (time, self.visit_duration)
        } else {
            (self.local_provider_start.and_then(on_clock), self.provider_duration)
        };
        let status = self.status.parse();
        Ok(Some(Visit {
            id: self.visit_id,
            patient,
            provider: provider_id,
            room: reader.optional(self.room_id),
            visit_type: reader.or(self.visit_type, String::new()),
            complaint: reader.optional(self.visit_complaint),
            notes: reader.optional(self.visit_notes),
            status: status.map_err(|()| sqlx::Error::Decode("the status of a visit".into()))?,
            duration: minutes(self.visit_duration),
            provider_duration: minutes(provider_duration),
            date: self.local_start.or(self.local_day).and_then(on_clock).map(DateTime::date),
            time: time.map(DateTime::time),
            provider_time: provider_time.map(DateTime::time),
            instants: visit.zip(provider),
            created_at: reader.optional(self.created_at),
            updated_at: reader.optional(self.updated_at),
        }))
    }
}

/// Returns the wall-clock time for seconds after 1970-01-01 00:00, if it is within the calendar.
fn on_clock(second: i64) -> Option<DateTime> {
    let at = Timestamp::from_second(second).ok()?;
    Some(TimeZone::UTC.to_datetime(at)).filter(|it| (1..=9999).contains(&it.year()))
}

/// The schema allows no other durations. SQLite's may have a fraction, which is truncated.
fn minutes(count: i64) -> Minutes {
    Minutes::new(count.clamp(1, Minutes::MAX)).unwrap_or(Minutes::DAY)
}

/// Returns the visit, unless deleted.
pub async fn find(conn: &mut Conn, id: VisitId) -> Result<Option<Visit>> {
    let row: Option<Row> = on!(&mut *conn, |c| sqlx::query_as(concat!(
        "select visit_id, patient_id, provider_id, room_id, ",
        short!("visit_type", 2000),
        ", ",
        short!("visit_complaint", 20000),
        ", ",
        short!("visit_notes", 20000),
        ", status,
                cast(visit_duration as bigint) as visit_duration,
                cast(provider_duration as bigint) as provider_duration,
                local_day, local_start, local_provider_start,
                starts_at, ends_at, provider_starts_at, provider_ends_at, created_at, updated_at
         from visits where visit_id = $1 and status <> 'Deleted'",
    ))
    .bind(id)
    .fetch_optional(c)
    .await)?;
    row.map_or(Ok(None), |row| row.read(conn))
}

/// Whether the practice has this patient.
pub async fn patient_exists(conn: &mut Conn, patient: PatientId) -> Result<bool> {
    Ok(on!(conn, |c| sqlx::query_scalar("select exists (select 1 from patients where patient_id = $1)")
        .bind(patient)
        .fetch_one(c)
        .await)?)
}

/// Returns the patient's blocking visits that overlap a time, in ascending order.
pub async fn of_patient(
    conn: &mut Conn,
    patient: PatientId,
    time: Interval,
    except: Option<VisitId>,
) -> Result<Vec<Interval>> {
    let rows: Vec<(i64, i64)> = on!(conn, |c| sqlx::query_as(
        "select starts_at, ends_at from visits
         where patient_id = $1 and starts_at < $2 and starts_at > $3 and ends_at > $4
           and status not in ('Cancelled', 'NoShow', 'Deleted') and visit_id is distinct from $5
         order by starts_at",
    )
    .bind(patient)
    .bind(time.to)
    .bind(time.from - LONGEST)
    .bind(time.from)
    .bind(except)
    .fetch_all(c)
    .await)?;
    Ok(rows.into_iter().map(|(from, to)| Interval { from, to }).collect())
}

#[derive(sqlx_macros::FromRow)]
struct BookedRow {
    visit_id: VisitId,
    local_day: i64,
    local_start: Option<i64>,
    visit_duration: i64,
    visit_type: Foreign<String>,
}

/// Returns up to `limit` of a provider's blocking visits from `first` to `last`, by time and id.
pub async fn of_provider(
    conn: &mut Conn,
    provider: ProviderId,
    (first, last): (Date, Date),
    visit_type: Option<&str>,
    limit: usize,
) -> Result<Vec<Booked>> {
    // Local times and UTC differ by at most a day, and the index is on instants.
    let (from, to) = (midnight(first), midnight(last.saturating_add(Span::new().days(1))));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows: Vec<BookedRow> = on!(&mut *conn, |c| sqlx::query_as(concat!(
        "select visit_id, local_day, local_start, cast(visit_duration as bigint) as visit_duration, ",
        short!("visit_type", 100),
        "
         from visits
         where provider_id = $1 and provider_starts_at >= $2 - 86400 and provider_starts_at < $3 + 172800
           and coalesce(local_start, local_day) >= $2 and coalesce(local_start, local_day) < $3
           and (visits.visit_type = $4 or cast($4 as text) is null)
           and status not in ('Cancelled', 'NoShow', 'Deleted')
         order by coalesce(local_start, local_day), visit_id limit $5",
    ))
    .bind(provider)
    .bind(from)
    .bind(to)
    .bind(visit_type)
    .bind(limit)
    .fetch_all(c)
    .await)?;
    let conn = &*conn;
    let read = |row: BookedRow| {
        let mut reader = RowReader::new(conn, "visits", row.visit_id);
        if row.local_start.is_none() {
            reader.report();
        }
        let at = on_clock(row.local_start.unwrap_or(row.local_day))?;
        Some(Booked {
            visit_id: row.visit_id,
            date: at.date(),
            time: at.time(),
            duration: minutes(row.visit_duration),
            visit_type: reader.or(row.visit_type, String::new()),
        })
    };
    Ok(rows.into_iter().filter_map(read).collect())
}

/// Returns a date's midnight in wall-clock seconds.
fn midnight(date: Date) -> i64 {
    schedule::instant_of_midnight(&TimeZone::UTC, date)
}
