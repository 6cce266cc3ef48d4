//! The practice's time zone in its database.
//!
//! The triggers on `visits` convert with a table of ours, so that stored instants and the API's
//! calendar follow the same compiled rules.

use std::fmt::Write;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;

use super::TenantDb;
use crate::domain::{ids::VisitId, zones};
use crate::sql::{Conn, Error, Result, on, round_trip};

/// A visit that overlaps others since the time-zone rules changed.
///
/// It keeps its local time; the practice has to move one of the visits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collision {
    pub visit: VisitId,
    /// Blocking visits of the same provider, room or patient at the same time.
    pub with: Vec<VisitId>,
}

/// The zone, and the version of its rules, that a database converts with.
#[derive(sqlx_macros::FromRow)]
struct Stored {
    time_zone: Option<String>,
    tzdata: Option<String>,
}

/// Makes the database convert with the compiled rules of `time_zone`, and returns the collisions.
///
/// Local times stay and instants follow; visits in the past are converted only if the zone itself
/// changes. Rules newer than the compiled ones stay: after a rollback this program is the older
/// one.
///
/// The result lists every visit that still overlaps another one since its instant changed.
pub(super) async fn apply(db: &TenantDb, time_zone: &str, now: Timestamp) -> Result<Vec<Collision>> {
    let zone =
        zones::get(time_zone).ok_or_else(|| Error::Registry(format!("unknown time zone {time_zone:?}")))?;
    crate::in_transaction!(db, Error, |conn| {
        let stored: Stored = on!(&mut *conn, |c| sqlx::query_as(
            "select time_zone, tzdata from tenant_identity where singleton = 1",
        )
        .fetch_one(c)
        .await)?;
        let is_same_zone = stored.time_zone.as_deref() == Some(time_zone);
        if !is_same_zone || stored.tzdata.as_deref() < Some(zones::version()) {
            lock_visits(conn).await?;
            replace_offsets(conn, &zones::offsets(&zone)).await?;
            on!(&mut *conn, |c| sqlx::query(
                "update tenant_identity set time_zone = $1, tzdata = $2 where singleton = 1",
            )
            .bind(time_zone)
            .bind(zones::version())
            .execute(c)
            .await
            .map(|_| ()))?;
            let since =
                if is_same_zone { (now - SignedDuration::from_hours(48)).as_second() } else { i64::MIN };
            follow(conn, since).await?;
        }
        collisions(conn).await
    })
}

/// Blocks other writers of visits while instants change. `SQLite` allows only one writer anyway.
async fn lock_visits(conn: &mut Conn) -> Result<()> {
    if let Conn::Postgres(connection) = conn {
        round_trip!(connection, |c| {
            sqlx::raw_sql("lock table visits in share row exclusive mode").execute(c).await.map(|_| ())
        })?;
    }
    Ok(())
}

async fn replace_offsets(conn: &mut Conn, offsets: &[zones::ZoneOffset]) -> Result<()> {
    let mut rows = String::new();
    for it in offsets {
        let comma = if rows.is_empty() { "" } else { ", " };
        let repeats_from = it.repeats_from.map_or("null".to_owned(), |second| second.to_string());
        // Writing to a string cannot fail.
        let _ = write!(rows, "{comma}({}, {}, {repeats_from})", it.local_from, it.utc_offset);
    }
    let statement = AssertSqlSafe(format!(
        "delete from zone_offsets; insert into zone_offsets (local_from, utc_offset, repeats_from) values \
            {rows}"
    ));
    on!(conn, |c| sqlx::raw_sql(statement).execute(c).await.map(|_| ()))?;
    Ok(())
}

/// Sets visits to the instants of the current rules.
///
/// They may overlap temporarily: a visit that one moves onto may be about to move itself.
async fn follow(conn: &mut Conn, since: i64) -> Result<()> {
    on!(conn, |c| sqlx::query(
        "update visits set overlap_allowed = true where visit_id in (
             select v.visit_id from visits v join visit_instants i on i.visit_id = v.visit_id
             where (v.ends_at is null or v.ends_at >= $1)
               and (v.starts_at is distinct from i.starts_at or v.ends_at is distinct from i.ends_at
                    or v.provider_starts_at is distinct from i.provider_starts_at
                    or v.provider_ends_at is distinct from i.provider_ends_at))",
    )
    .bind(since)
    .execute(c)
    .await
    .map(|_| ()))?;
    Ok(())
}

/// Enforces the constraints again for visits that may overlap; returns those that really do.
async fn collisions(conn: &mut Conn) -> Result<Vec<Collision>> {
    // A visit without a date or time may always overlap.
    let visits: Vec<VisitId> = on!(&mut *conn, |c| sqlx::query_scalar(
        "select visit_id from visits where overlap_allowed and local_start is not null order by visit_id",
    )
    .fetch_all(c)
    .await)?;
    let mut collisions = Vec::new();
    for visit in visits {
        execute(conn, "savepoint visit").await?;
        let constrained = on!(&mut *conn, |c| {
            sqlx::query("update visits set overlap_allowed = false where visit_id = $1")
                .bind(visit)
                .execute(c)
                .await
                .map(|_| ())
        });
        match constrained.map_err(Error::from) {
            Ok(()) => (),
            Err(Error::Refused(_)) => {
                execute(conn, "rollback to savepoint visit").await?;
                collisions.push(Collision { visit, with: others_at_the_same_time(conn, visit).await? });
            }
            Err(error) => return Err(error),
        }
        execute(conn, "release savepoint visit").await?;
    }
    Ok(collisions)
}

async fn others_at_the_same_time(conn: &mut Conn, visit: VisitId) -> Result<Vec<VisitId>> {
    Ok(on!(conn, |c| sqlx::query_scalar(
        "select other.visit_id from visits mine join visits other on other.visit_id <> mine.visit_id
         where mine.visit_id = $1 and other.status not in ('Cancelled', 'NoShow', 'Deleted')
           and ((other.provider_id = mine.provider_id and other.provider_starts_at < mine.provider_ends_at
                 and other.provider_ends_at > mine.provider_starts_at)
             or ((other.patient_id = mine.patient_id or other.room_id = mine.room_id)
                 and other.starts_at < mine.ends_at and other.ends_at > mine.starts_at))
         order by other.visit_id",
    )
    .bind(visit)
    .fetch_all(c)
    .await)?)
}

async fn execute(conn: &mut Conn, statement: &'static str) -> Result<()> {
    on!(conn, |c| sqlx::raw_sql(statement).execute(c).await.map(|_| ()))?;
    Ok(())
}
