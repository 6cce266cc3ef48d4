//! The `visits` table.

mod hold;
mod write;

use jiff::{
    Timestamp,
    civil::{Date, Time},
};
use jiff_sqlx::ToSqlx;

use super::{Conn, Error, Result, bounded::short, on};
use crate::domain::{
    ids::{PatientId, ProviderId, RoomId, VisitId},
    schedule::{Interval, Minutes, Place},
    visit_status::VisitStatus,
};

pub use hold::{hold_days, hold_visit};
pub use write::{cancel, insert, reschedule};

/// When and where a visit is, in local times and in instants.
#[derive(Clone, Copy, Debug)]
pub struct Appointment {
    pub provider: ProviderId,
    pub room: Option<RoomId>,
    pub time: Time,
    pub duration: Minutes,
    pub provider_time: Time,
    pub provider_duration: Minutes,
    pub place: Place,
}

/// A visit to be.
#[derive(Clone, Copy, Debug)]
pub struct NewVisit<'a> {
    pub patient: PatientId,
    pub visit_type: &'a str,
    pub complaint: Option<&'a str>,
    pub notes: Option<&'a str>,
    pub appointment: Appointment,
    pub at: Timestamp,
}

/// A stored visit.
#[derive(Clone, Debug)]
pub struct Visit {
    pub id: VisitId,
    pub patient: PatientId,
    pub visit_type: String,
    pub complaint: Option<String>,
    pub notes: Option<String>,
    pub status: VisitStatus,
    pub appointment: Appointment,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A provider's visit, without the patient.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Booked {
    pub visit_id: VisitId,
    visit_date: jiff_sqlx::Date,
    visit_time: jiff_sqlx::Time,
    pub visit_duration: i64,
    pub visit_type: String,
}

impl Booked {
    pub fn date(&self) -> Date {
        self.visit_date.to_jiff()
    }

    pub fn time(&self) -> Time {
        self.visit_time.to_jiff()
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    visit_id: VisitId,
    patient_id: PatientId,
    provider_id: ProviderId,
    room_id: Option<RoomId>,
    visit_type: String,
    visit_date: jiff_sqlx::Date,
    visit_time: jiff_sqlx::Time,
    visit_duration: i64,
    provider_time: jiff_sqlx::Time,
    provider_duration: i64,
    visit_complaint: Option<String>,
    visit_notes: Option<String>,
    status: String,
    starts_at: i64,
    ends_at: i64,
    provider_starts_at: i64,
    provider_ends_at: i64,
    created_at: jiff_sqlx::Timestamp,
    updated_at: jiff_sqlx::Timestamp,
}

impl TryFrom<Row> for Visit {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let unreadable =
            |what: &str| Error::from(sqlx::Error::Decode(format!("visit {}: {what}", row.visit_id).into()));
        let minutes = |count| Minutes::new(count).ok_or_else(|| unreadable("its duration"));
        let place = Place {
            date: row.visit_date.to_jiff(),
            visit: Interval { from: row.starts_at, to: row.ends_at },
            provider: Interval { from: row.provider_starts_at, to: row.provider_ends_at },
            skipped: false,
        };
        Ok(Self {
            id: row.visit_id,
            patient: row.patient_id,
            status: row.status.parse().map_err(|()| unreadable("its status"))?,
            appointment: Appointment {
                provider: row.provider_id,
                room: row.room_id,
                time: row.visit_time.to_jiff(),
                duration: minutes(row.visit_duration)?,
                provider_time: row.provider_time.to_jiff(),
                provider_duration: minutes(row.provider_duration)?,
                place,
            },
            visit_type: row.visit_type,
            complaint: row.visit_complaint,
            notes: row.visit_notes,
            created_at: row.created_at.to_jiff(),
            updated_at: row.updated_at.to_jiff(),
        })
    }
}

/// The visit, unless deleted.
pub async fn find(conn: &mut Conn, id: VisitId) -> Result<Option<Visit>> {
    let row: Option<Row> = on!(conn, c => sqlx::query_as(
        concat!("select visit_id, patient_id, provider_id, room_id, visit_type, visit_date, visit_time, visit_duration,
                provider_time, provider_duration, ", short!("visit_complaint", 20000), ", ", short!("visit_notes", 20000), ", status,
                starts_at, ends_at, provider_starts_at, provider_ends_at, created_at, updated_at
         from visits where visit_id = $1 and status <> 'Deleted'"),
    ).bind(id).fetch_optional(c).await)?;
    row.map(Visit::try_from).transpose()
}

/// Whether the practice has this patient.
pub async fn patient_exists(conn: &mut Conn, patient: PatientId) -> Result<bool> {
    Ok(on!(conn, c => sqlx::query_scalar("select exists (select 1 from patients where patient_id = $1)")
        .bind(patient).fetch_one(c).await)?)
}

/// The blocking visits of a patient that overlap a time, ascending.
pub async fn of_patient(
    conn: &mut Conn,
    patient: PatientId,
    time: Interval,
    except: Option<VisitId>,
) -> Result<Vec<Interval>> {
    let rows: Vec<(i64, i64)> = on!(conn, c => sqlx::query_as(
        "select starts_at, ends_at from visits
         where patient_id = $1 and starts_at < $2 and starts_at > $3 and ends_at > $4
           and status not in ('Cancelled', 'NoShow', 'Deleted') and visit_id <> $5
         order by starts_at",
    )
    .bind(patient)
    .bind(time.to)
    .bind(time.from - Minutes::MAX * 60)
    .bind(time.from)
    .bind(except.map_or(0, |visit| visit.0))
    .fetch_all(c).await)?;
    Ok(rows.into_iter().map(|(from, to)| Interval { from, to }).collect())
}

/// Up to `limit` of a provider's blocking visits that begin on the dates from `first` to `last`, by time and id.
pub async fn of_provider(
    conn: &mut Conn,
    provider: ProviderId,
    (first, last): (Date, Date),
    visit_type: Option<&str>,
    limit: usize,
) -> Result<Vec<Booked>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    Ok(on!(conn, c => sqlx::query_as(concat!(
        "select visit_id, visit_date, visit_time, visit_duration, ", short!("visit_type", 100), " from visits
         where provider_id = $1 and visit_date between $2 and $3
           and (visit_type = $4 or cast($4 as text) is null)
           and status not in ('Cancelled', 'NoShow', 'Deleted')
         order by visit_date, visit_time, visit_id limit $5",
    ))
    .bind(provider).bind(first.to_sqlx()).bind(last.to_sqlx()).bind(visit_type).bind(limit)
    .fetch_all(c).await)?)
}
