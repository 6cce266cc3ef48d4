//! Advisory locks for bookings, held until the transaction ends.
//!
//! `SQLite` allows only one writer anyway.
//!
//! A booking locks the days of its provider and of its patient and then those of one room. Other
//! bookings continue meanwhile, even while this one waits for a row that the EMR has not committed.
//! The lock order is fixed to avoid deadlocks: the visit that is rescheduled, the provider, the
//! patient, one room; within a kind in ascending order.

use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use jiff::civil::Date;
use sqlx::{AssertSqlSafe, Row};

use crate::{
    domain::{
        ids::{PatientId, ProviderId, RoomId, VisitId},
        schedule::Interval,
    },
    sql::{Conn, Constraint, Error, Result, round_trip},
};

/// The wait for one room is this fraction of the remaining time, since another room may be free.
const SHARE: u32 = 4;

/// The first key of an advisory lock.
#[derive(Clone, Copy)]
enum Kind {
    Provider = 1,
    Patient = 2,
    Room = 3,
    Visit = 4,
}

/// Locks the days of a provider and of a patient, so that free times stay free.
///
/// The dates must include neighboring days whose visits' buffers reach into them.
pub async fn lock_provider_and_patient(
    conn: &mut Conn,
    (provider, provider_dates): (ProviderId, &[Date]),
    (patient, patient_dates): (PatientId, &[Date]),
) -> Result<()> {
    let locks = of_provider_and_patient((provider, provider_dates), (patient, patient_dates));
    lock(conn, "", &locks).await
}

/// The same as [`lock_provider_and_patient`], unless another transaction has one of the locks.
///
/// Then it returns `false`, with those before that one locked.
pub async fn try_lock_provider_and_patient(
    conn: &mut Conn,
    (provider, provider_dates): (ProviderId, &[Date]),
    (patient, patient_dates): (PatientId, &[Date]),
) -> Result<bool> {
    let Conn::Postgres(connection) = conn else { return Ok(true) };
    // CASE stops at the first lock that it does not get, so the lock order is kept.
    let mut statement = "select case".to_owned();
    for (kind, number) in of_provider_and_patient((provider, provider_dates), (patient, patient_dates)) {
        // Writing to a string cannot fail.
        let _ = write!(statement, " when not pg_try_advisory_xact_lock({kind}, {number}) then false");
    }
    statement.push_str(" else true end");
    let statement = AssertSqlSafe(statement);
    Ok(round_trip!(connection, |c| sqlx::raw_sql(statement).fetch_one(c).await?.try_get(0))?)
}

fn of_provider_and_patient(
    (provider, provider_dates): (ProviderId, &[Date]),
    (patient, patient_dates): (PatientId, &[Date]),
) -> Vec<(i32, i32)> {
    [names(Kind::Provider, provider.0, provider_dates), names(Kind::Patient, patient.0, patient_dates)]
        .concat()
}

/// A search for a free room.
///
/// Other transactions may hold rooms for visits that are not committed and so not visible. As long
/// as other rooms remain, the wait for each is short. The whole search takes no longer than a
/// wait for one lock.
#[derive(Debug, Default)]
pub struct RoomSearch {
    begun: Option<Instant>,
    held: Vec<RoomId>,
    refused: Vec<RoomId>,
}

impl RoomSearch {
    /// The rooms whose lock timed out, or that the database refused twice.
    ///
    /// Choose one only if no other room is free.
    pub fn held(&self) -> &[RoomId] {
        &self.held
    }

    fn left(&self, limit: Duration) -> Duration {
        limit.saturating_sub(self.begun.map_or(Duration::ZERO, |begun| begun.elapsed()))
    }

    /// Locks the room's days; `false` if the room is taken, in which case it is not locked.
    ///
    /// Later statements of the transaction wait for locks no longer than this one did.
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
        // Zero would mean no limit.
        let wait = wait.as_millis().max(1);
        let statements = format!(
            "savepoint room; set local lock_timeout = {wait}; {}{}",
            acquiring(&names(Kind::Room, room.0, dates)),
            asking_whether_free(room, time, except),
        );
        match last_answer(conn, statements).await {
            Ok(true) => return Ok(true),
            // Another room may be chosen next. Waiting for it with this one locked would violate
            // the lock order.
            Ok(false) => give_up_room(conn).await?,
            Err(error) if self.leave(conn, Some(room), &error).await? => (),
            Err(error) => return Err(error),
        }
        Ok(false)
    }

    /// Releases the room if it caused the error and time is left to try another.
    ///
    /// Rolls back to before the room's lock.
    pub async fn leave(&mut self, conn: &mut Conn, room: Option<RoomId>, error: &Error) -> Result<bool> {
        let (Conn::Postgres(connection), Some(room)) = (&*conn, room) else { return Ok(false) };
        let is_refused = matches!(error, Error::Refused(Constraint::RoomFree));
        let leaves = (error.is_lock_timeout() || is_refused) && !self.held.contains(&room);
        if !leaves || self.left(connection.lock_limit()).is_zero() {
            return Ok(false);
        }
        give_up_room(conn).await?;
        // From here on, visits committed in the meantime are visible, except those that only an EMR
        // on its own server knows.
        if is_refused && !self.refused.contains(&room) {
            self.refused.push(room);
        } else {
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

/// Returns the question whether a room is free. Asked after the locks, it sees what is committed.
fn asking_whether_free(room: RoomId, time: Interval, except: Option<VisitId>) -> String {
    let except = except.map_or("null".to_owned(), |visit| visit.0.to_string());
    format!(
        "select not exists (
             select 1 from visits
             where room_id = {} and starts_at < {} and starts_at > {} and ends_at > {}
               and status not in ('Cancelled', 'NoShow', 'Deleted') and visit_id is distinct from {except})",
        room.0,
        time.to,
        time.from - super::LONGEST,
        time.from,
    )
}

/// Runs statements in one round trip; returns the answer of the last one.
async fn last_answer(conn: &mut Conn, statements: String) -> Result<bool> {
    let Conn::Postgres(connection) = conn else { return Ok(true) };
    // Only numbers were formatted into the text.
    let statements = AssertSqlSafe(statements);
    Ok(round_trip!(connection, |c| {
        let rows = sqlx::raw_sql(statements).fetch_all(c).await?;
        rows.last().map_or(Ok(false), |row| row.try_get(0))
    })?)
}

/// Returns the lock keys of the given days, in ascending order.
fn names(kind: Kind, id: i64, dates: &[Date]) -> Vec<(i32, i32)> {
    let day = |date: &Date| i64::from(date.year()) * 366 + i64::from(date.day_of_year());
    let mut names: Vec<_> = dates
        .iter()
        .map(|date| (kind as i32, number(id.wrapping_mul(4_000_037).wrapping_add(day(date)))))
        .collect();
    names.sort_unstable();
    names
}

/// Maps an id to a lock key. Distant ids may share a lock; that costs a wait, never a conflict.
fn number(of: i64) -> i32 {
    i32::try_from(of.rem_euclid(1 << 31)).unwrap_or(i32::MAX)
}

/// Acquires these locks in order, in one round trip.
async fn lock(conn: &mut Conn, before: &str, names: &[(i32, i32)]) -> Result<()> {
    if let Conn::Postgres(connection) = conn {
        let statements = AssertSqlSafe(format!("{before}{}", acquiring(names)));
        round_trip!(connection, |c| sqlx::raw_sql(statements).execute(c).await.map(|_| ()))?;
    }
    Ok(())
}

/// Returns the statements that acquire these locks in order.
fn acquiring(names: &[(i32, i32)]) -> String {
    names.iter().fold(String::new(), |all, (kind, number)| {
        all + &format!("select pg_advisory_xact_lock({kind}, {number}); ")
    })
}
