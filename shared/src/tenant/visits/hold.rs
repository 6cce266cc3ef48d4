//! Locks of what is about to change, held until the transaction ends.
//!
//! `SQLite` has one writer at a time already. Whoever holds a visit may go on to hold days, never the other way round,
//! and days are held in ascending order: so nobody waits in a circle.

use jiff::civil::Date;

use crate::{
    domain::ids::VisitId,
    tenant::{Conn, Result, round_trip},
};

/// The first half of an advisory lock's name.
#[derive(Clone, Copy)]
enum Kind {
    Day = 1,
    Visit = 2,
}

/// Holds the bookings of some days, which must ascend: what is seen free stays free.
pub async fn hold_days(conn: &mut Conn, dates: &[Date]) -> Result<()> {
    for date in dates {
        hold(conn, Kind::Day, i64::from(date.year()) * 366 + i64::from(date.day_of_year())).await?;
    }
    Ok(())
}

/// Holds one visit.
pub async fn hold_visit(conn: &mut Conn, id: VisitId) -> Result<()> {
    hold(conn, Kind::Visit, id.0).await
}

async fn hold(conn: &mut Conn, kind: Kind, key: i64) -> Result<()> {
    if let Conn::Postgres(connection) = conn {
        // Two numbers far apart may share a lock; that costs a wait, never a conflict.
        let key = i32::try_from(key.rem_euclid(1 << 31)).unwrap_or(i32::MAX);
        round_trip!(connection, c => {
            sqlx::query("select pg_advisory_xact_lock($1, $2)").bind(kind as i32).bind(key).execute(c).await
        })?;
    }
    Ok(())
}
