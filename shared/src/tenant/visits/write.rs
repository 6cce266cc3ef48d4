//! Writes visits. Each change belongs in one transaction with its `log` and audit rows.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::AssertSqlSafe;

use super::{Appointment, NewVisit};
use crate::{
    domain::ids::VisitId,
    sql::{Conn, Result, free_ids::free_id, on},
};

/// Books a visit. The database derives the instants from the local columns.
///
/// # Errors
/// [`crate::sql::Error::Refused`] if the provider, the room or the patient is not free.
pub async fn insert(conn: &mut Conn, visit: &NewVisit<'_>) -> Result<VisitId> {
    let it = &visit.appointment;
    let statement = format!(
        "insert into visits (visit_id, patient_id, provider_id, room_id, visit_type, visit_date, visit_time, \
            visit_duration,
                             provider_time, provider_duration, visit_complaint, visit_notes, created_at, \
                             updated_at)
         values ({}, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)
         returning visit_id",
        free_id(conn, "visits", "visit_id"),
    );
    Ok(on!(conn, |c| sqlx::query_scalar(AssertSqlSafe(statement))
        .bind(visit.patient)
        .bind(it.provider)
        .bind(it.room)
        .bind(visit.visit_type)
        .bind(it.place.date.to_sqlx())
        .bind(it.time.to_sqlx())
        .bind(it.duration.get())
        .bind(it.provider_time.to_sqlx())
        .bind(it.provider_duration.get())
        .bind(visit.complaint)
        .bind(visit.notes)
        .bind(visit.at.to_sqlx())
        .fetch_one(c)
        .await)?)
}

/// Reschedules an open visit; `false` if it is no longer open.
///
/// The instants are written too: to a writer of local times only, the provider's time would follow
/// the visit's. Wherever the practice had placed the visit, it overlaps no other at its new time.
///
/// # Errors
/// The same as for [`insert`].
pub async fn reschedule(conn: &mut Conn, id: VisitId, to: &Appointment, at: Timestamp) -> Result<bool> {
    let done = on!(conn, |c| {
        sqlx::query(
        "update visits set provider_id = $2, room_id = $3, visit_date = $4, visit_time = $5, visit_duration \
            = $6,
                provider_time = $7, provider_duration = $8, starts_at = $9, ends_at = $10,
                provider_starts_at = $11, provider_ends_at = $12, updated_at = $13, bound = true
         where visit_id = $1 and status in ('Scheduled', 'Confirmed')",
    )
    .bind(id)
    .bind(to.provider)
    .bind(to.room)
    .bind(to.place.date.to_sqlx())
    .bind(to.time.to_sqlx())
    .bind(to.duration.get())
    .bind(to.provider_time.to_sqlx())
    .bind(to.provider_duration.get())
    .bind(to.place.visit.from)
    .bind(to.place.visit.to)
    .bind(to.place.provider.from)
    .bind(to.place.provider.to)
    .bind(at.to_sqlx())
    .execute(c).await.map(|done| done.rows_affected())
    })?;
    Ok(done == 1)
}

/// Cancels an open visit; `false` if it is no longer open.
pub async fn cancel(conn: &mut Conn, id: VisitId, at: Timestamp) -> Result<bool> {
    let done = on!(conn, |c| sqlx::query(
        "update visits set status = 'Cancelled', updated_at = $2
         where visit_id = $1 and status in ('Scheduled', 'Confirmed')",
    )
    .bind(id)
    .bind(at.to_sqlx())
    .execute(c)
    .await
    .map(|done| done.rows_affected()))?;
    Ok(done == 1)
}
