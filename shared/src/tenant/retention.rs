//! What is deleted of a practice's database because it has been kept for long enough.

use jiff::{SignedDuration, Timestamp};
use sqlx::AssertSqlSafe;

use super::{
    Database, Result,
    log::{self, LogRow},
    on,
};
use crate::domain::ids::LogId;

/// Rows of the log of one round trip.
const BATCH: i64 = 500;
/// Round trips of one pruning.
const MOST_READS: u32 = 400;
/// A date so far ahead can be a clock's that is wrong by a time zone; one further ahead says nothing of when the row was written.
const AHEAD: SignedDuration = SignedDuration::from_hours(24);
/// Ids are given out in order: what follows so many younger rows was written after them, whatever its date says. Fewer may be dated
/// wrongly, or come from a block of ids that a session used later.
const MOST_YOUNGER: usize = 20;

/// Which rows of a log may go.
#[derive(Clone, Copy, Debug)]
pub struct Prunable<'a> {
    pub now: Timestamp,
    /// Those that were logged before.
    pub before: Timestamp,
    /// Those with lower ids.
    pub below: LogId,
    /// These stay all the same.
    pub kept: &'a [LogId],
}

/// What a row's time says of when it was written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Age {
    Old,
    Younger,
    /// It can't be read, or lies in the future.
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

/// What was found in a batch of rows.
#[derive(Default)]
struct Batch {
    old: Vec<LogId>,
    younger: usize,
    /// Nothing that comes later may go.
    is_end: bool,
    last: Option<LogId>,
}

/// Deletes rows of the log from the lowest id on, `most` or a batch more, and how many. Rows whose time can't be read or lies in the
/// future stay, and end nothing: so do some younger rows, but not many.
///
/// A day's work is bounded whatever stays: a stretch of rows of which none may go is crossed in leaps of doubled length, and old rows
/// beyond it are found at the latest when they are as many as it is long.
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
            // The rows that were leapt over may be such, too.
            leap = if leap < 2 * BATCH { 0 } else { leap / 2 };
            growing = false;
            continue;
        }
        if !batch.old.is_empty() {
            let ids: Vec<String> = batch.old.iter().map(|id| id.0.to_string()).collect();
            // Only numbers were put into the text.
            let delete = AssertSqlSafe(format!("delete from log where log_id in ({})", ids.join(", ")));
            on!(&mut conn, c => sqlx::raw_sql(delete).execute(c).await.map(|_| ()))?;
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

/// The rows above `after`, of which `younger` were seen before.
async fn read(conn: &mut super::Conn, after: LogId, rows: &Prunable<'_>, younger: usize) -> Result<Batch> {
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

/// Deletes kept answers that have expired. How many.
pub async fn prune_answers(db: &Database, now: Timestamp) -> Result<u64> {
    let mut conn = db.connection().await?;
    let now = now.as_second();
    Ok(on!(&mut conn, c => {
        sqlx::query("delete from idempotency_keys where expires_at <= $1")
            .bind(now)
            .execute(c)
            .await
            .map(|done| done.rows_affected())
    })?)
}
