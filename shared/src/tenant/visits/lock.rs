//! Locks of what is about to change, held until the transaction ends. `SQLite` has one writer at a time already.
//!
//! A booking locks its provider's and its patient's days and then one room's, no more: visits of others go on meanwhile,
//! also while this one waits for a row that the EMR has not committed. The order is fixed (the visit that is moved, the
//! provider, the patient, one room; within a kind ascending), so that nobody waits in a circle.

use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use jiff::civil::Date;
use sqlx::AssertSqlSafe;

use crate::{
    domain::{
        ids::{PatientId, ProviderId, RoomId, VisitId},
        schedule::Interval,
    },
    tenant::{Conn, Constraint, Error, Result, on, round_trip},
};

/// A room is waited for during this part of the time that is left, for there may be another one.
const SHARE: u32 = 4;

/// The first half of an advisory lock's name.
#[derive(Clone, Copy)]
enum Kind {
    Provider = 1,
    Patient = 2,
    Room = 3,
    Visit = 4,
}

/// Locks the days of a provider and of a patient: what is seen free stays free. The provider's visits on these days are also
/// those whose buffers reach into them.
pub async fn lock_provider_and_patient(
    conn: &mut Conn,
    (provider, provider_dates): (ProviderId, &[Date]),
    (patient, patient_dates): (PatientId, &[Date]),
) -> Result<()> {
    let locks =
        [names(Kind::Provider, provider.0, provider_dates), names(Kind::Patient, patient.0, patient_dates)];
    lock(conn, "", &locks.concat()).await
}

/// A search for a room. Others may hold one without having committed, and nobody can see for whom: while another room is free, each
/// is waited for shortly, and the whole search takes no longer than one lock may be waited for.
#[derive(Debug, Default)]
pub struct RoomSearch {
    begun: Option<Instant>,
    held: Vec<RoomId>,
}

impl RoomSearch {
    /// Rooms that were waited for in vain. One of them is the right one only if no other is free.
    pub fn held(&self) -> &[RoomId] {
        &self.held
    }

    fn left(&self, limit: Duration) -> Duration {
        limit.saturating_sub(self.begun.map_or(Duration::ZERO, |begun| begun.elapsed()))
    }

    /// Locks the days of the room that is to be taken. `false`: somebody else has it, and it is not locked.
    ///
    /// Later statements of the transaction wait for a lock no longer than this one.
    pub async fn lock(
        &mut self,
        conn: &mut Conn,
        room: RoomId,
        dates: &[Date],
        time: Interval,
        except: Option<VisitId>,
    ) -> Result<bool> {
        let Conn::Postgres(connection) = &*conn else { return Ok(true) };
        self.begun.get_or_insert_with(Instant::now);
        let left = self.left(connection.lock_limit());
        let wait = if self.held.contains(&room) { left } else { left / SHARE };
        // Zero would be for ever.
        let wait = wait.as_millis().max(1);
        let before = format!("savepoint room; set local lock_timeout = {wait}; ");
        let locked = lock(conn, &before, &names(Kind::Room, room.0, dates)).await;
        match locked {
            Ok(()) if is_free(conn, room, time, except).await? => return Ok(true),
            // Another room may be chosen next; to wait for that with this one locked would break the order.
            Ok(()) => give_up_room(conn).await?,
            Err(error) if self.leave(conn, Some(room), &error).await? => (),
            Err(error) => return Err(error),
        }
        Ok(false)
    }

    /// Leaves the room and takes back what was written since it was locked, if it was in the way and another one is worth a try.
    pub async fn leave(&mut self, conn: &mut Conn, room: Option<RoomId>, error: &Error) -> Result<bool> {
        let (Conn::Postgres(connection), Some(room)) = (&*conn, room) else { return Ok(false) };
        let is_held = error.is_lock_timeout() && !self.held.contains(&room);
        let is_taken = matches!(error, Error::Refused(Constraint::RoomFree));
        if !(is_held || is_taken) || self.left(connection.lock_limit()).is_zero() {
            return Ok(false);
        }
        give_up_room(conn).await?;
        // A visit that was committed meanwhile is seen from now on.
        if is_held {
            self.held.push(room);
        }
        Ok(true)
    }
}

async fn give_up_room(conn: &mut Conn) -> Result<()> {
    lock(conn, "rollback to savepoint room; ", &[]).await
}

/// Locks one visit.
pub async fn lock_visit(conn: &mut Conn, id: VisitId) -> Result<()> {
    lock(conn, "", &[(Kind::Visit as i32, number(id.0))]).await
}

async fn is_free(conn: &mut Conn, room: RoomId, time: Interval, except: Option<VisitId>) -> Result<bool> {
    Ok(on!(conn, c => sqlx::query_scalar(
        "select not exists (
             select 1 from visits
             where room_id = $1 and starts_at < $2 and starts_at > $3 and ends_at > $4
               and status not in ('Cancelled', 'NoShow', 'Deleted') and visit_id is distinct from $5)",
    )
    .bind(room)
    .bind(time.to)
    .bind(time.from - super::LONGEST)
    .bind(time.from)
    .bind(except)
    .fetch_one(c).await)?)
}

/// The names of the locks of some days, ascending.
fn names(kind: Kind, id: i64, dates: &[Date]) -> Vec<(i32, i32)> {
    let day = |date: &Date| i64::from(date.year()) * 366 + i64::from(date.day_of_year());
    let mut names: Vec<_> = dates
        .iter()
        .map(|date| (kind as i32, number(id.wrapping_mul(4_000_037).wrapping_add(day(date)))))
        .collect();
    names.sort_unstable();
    names
}

/// Numbers far apart may share a lock; that costs a wait, never a conflict.
fn number(of: i64) -> i32 {
    i32::try_from(of.rem_euclid(1 << 31)).unwrap_or(i32::MAX)
}

/// Waits for these locks, one after the other, in one round trip.
async fn lock(conn: &mut Conn, before: &str, names: &[(i32, i32)]) -> Result<()> {
    if let Conn::Postgres(connection) = conn {
        let mut statements = before.to_owned();
        for (kind, number) in names {
            // Writing to a string can't fail.
            let _ = write!(statements, "select pg_advisory_xact_lock({kind}, {number}); ");
        }
        let statements = AssertSqlSafe(statements);
        round_trip!(connection, c => sqlx::raw_sql(statements).execute(c).await.map(|_| ()))?;
    }
    Ok(())
}
