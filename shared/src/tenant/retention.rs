//! What is deleted of a practice's database because it has been kept for long enough.

use jiff::Timestamp;
use sqlx::AssertSqlSafe;

use super::{Database, Result, log, on};
use crate::domain::ids::LogId;

/// Rows of the log of one round trip.
const BATCH: i64 = 500;

/// Deletes rows of the log from the lowest id on: those that were logged before `before` and have an id below `below`, but for those
/// in `kept`. A row whose time can't be read stays. Ends at the first younger row, and after `most` rows. How many were deleted.
pub async fn prune_log(
    db: &Database,
    before: Timestamp,
    below: LogId,
    kept: &[LogId],
    most: u64,
) -> Result<u64> {
    let (mut after, mut deleted) = (LogId(i64::MIN), 0);
    while deleted < most {
        let mut conn = db.connection().await?;
        let rows = log::above(&mut conn, after, BATCH).await?;
        let Some(last) = rows.last() else { break };
        after = last.log_id;
        let logged_at = |row: &log::LogRow| row.entry.as_ref().and_then(|it| it.logged_at);
        let is_over =
            |row: &log::LogRow| row.log_id >= below || logged_at(row).is_some_and(|at| at >= before);
        let old = rows.iter().take_while(|row| !is_over(row));
        let old = old.filter(|row| logged_at(row).is_some() && !kept.contains(&row.log_id));
        let ids: Vec<String> = old.map(|row| row.log_id.0.to_string()).collect();
        if !ids.is_empty() {
            // Only numbers were put into the text.
            let delete = AssertSqlSafe(format!("delete from log where log_id in ({})", ids.join(", ")));
            on!(&mut conn, c => sqlx::raw_sql(delete).execute(c).await.map(|_| ()))?;
            deleted += ids.len() as u64;
        }
        if rows.iter().any(is_over) {
            break;
        }
    }
    Ok(deleted)
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
