//! Deletes data of a practice's database after its retention period.

use jiff::{SignedDuration, Timestamp};
use sqlx::AssertSqlSafe;

use super::log::{self, LogRow};
use crate::domain::ids::LogId;
use crate::sql::{Database, Result, on};

/// Log rows per round trip.
const BATCH: i64 = 500;
/// The most round trips of one run.
const MOST_READS: u32 = 400;
/// How far a timestamp may lie in the future, as by a clock in the wrong time zone.
/// Beyond that it says nothing about when the row was written.
const AHEAD: SignedDuration = SignedDuration::from_hours(24);
/// How many younger rows may precede an old one.
///
/// Ids are assigned in order: a row after more than this many younger rows was written after them,
/// whatever its date. Fewer may have wrong dates, or come from a block of ids that a session used
/// late.
const MOST_YOUNGER: usize = 20;

/// Which rows of a log may be deleted.
#[derive(Clone, Copy, Debug)]
pub struct Prunable<'a> {
    pub now: Timestamp,
    /// Rows logged before this instant may be deleted.
    pub before: Timestamp,
    /// Rows with lower ids may be deleted.
    pub below: LogId,
    /// Exceptions, which are kept.
    pub kept: &'a [LogId],
}

/// What a row's timestamp says about its age.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Age {
    Old,
    Younger,
    /// The timestamp is unreadable or in the future.
    Unknown,
}

impl Prunable<'_> {
    fn age(&self, row: &LogRow) -> Age {
        match row.entry.as_ref().and_then(|it| it.logged_at) {
            Some(at) if at < self.before => Age::Old,
            Some(at) if at.duration_since(self.now) <= AHEAD => Age::Younger,
            _ => Age::Unknown,
        }
    }
}

/// What a batch of rows contains.
#[derive(Default)]
struct Batch {
    old: Vec<LogId>,
    younger: usize,
    /// No later row may be deleted.
    is_end: bool,
    last: Option<LogId>,
}

/// Deletes log rows from the lowest id on: `most`, or up to a batch more. Returns their number.
///
/// Rows whose timestamp is unreadable or in the future are kept and do not end the run. Neither do
/// some younger rows, up to the limit.
///
/// The work per day is bounded, however many rows are kept: a stretch of rows of which none may be
/// deleted is crossed in leaps of doubling length. Old rows beyond it are found at the latest when
/// they are as many as the stretch is long.
pub async fn prune_log(db: &Database, rows: &Prunable<'_>, most: u64) -> Result<u64> {
    let (mut after, mut leap, mut growing) = (LogId(i64::MIN), 0, true);
    let (mut younger, mut deleted) = (0, 0);
    for _ in 0..MOST_READS {
        if most <= deleted {
            break;
        }
        let mut conn = db.connection().await?;
        let batch = read(&mut conn, LogId(after.0.saturating_add(leap)), rows, younger).await?;
        if leap > 0 && (batch.is_end || !batch.old.is_empty()) {
            // Some of the skipped rows may be deletable.
            leap = if leap < 2 * BATCH { 0 } else { leap / 2 };
            growing = false;
            continue;
        }
        if !batch.old.is_empty() {
            let ids: Vec<String> = batch.old.iter().map(|id| id.0.to_string()).collect();
            // Only numbers are formatted into the SQL.
            let delete = AssertSqlSafe(format!("delete from log where log_id in ({})", ids.join(", ")));
            on!(&mut conn, |c| sqlx::raw_sql(delete).execute(c).await.map(|_| ()))?;
            deleted += ids.len() as u64;
        }
        let Some(last) = batch.last.filter(|_| !batch.is_end) else { break };
        after = last;
        younger += batch.younger;
        growing |= leap == 0;
        leap = match (batch.old.is_empty(), growing) {
            (false, _) => 0,
            (true, true) => leap.saturating_mul(2).max(BATCH),
            (true, false) => leap / 2,
        };
    }
    Ok(deleted)
}

/// Reads rows above `after`; `younger` were counted before.
async fn read(
    conn: &mut crate::sql::Conn,
    after: LogId,
    rows: &Prunable<'_>,
    younger: usize,
) -> Result<Batch> {
    let found = log::above(conn, after, BATCH).await?;
    let mut batch =
        Batch { is_end: found.is_empty(), last: found.last().map(|row| row.log_id), ..Batch::default() };
    for row in &found {
        let age = rows.age(row);
        batch.younger += usize::from(age == Age::Younger);
        if rows.below <= row.log_id || MOST_YOUNGER < younger + batch.younger {
            batch.is_end = true;
            break;
        }
        if age == Age::Old && !rows.kept.contains(&row.log_id) {
            batch.old.push(row.log_id);
        }
    }
    Ok(batch)
}

/// Deletes expired stored responses. Returns their number.
pub async fn prune_answers(db: &Database, now: Timestamp) -> Result<u64> {
    let mut conn = db.connection().await?;
    let now = now.as_second();
    Ok(on!(&mut conn, |c| {
        sqlx::query("delete from idempotency_keys where expires_at <= $1")
            .bind(now)
            .execute(c)
            .await
            .map(|done| done.rows_affected())
    })?)
}
