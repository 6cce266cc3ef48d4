//! The `log` table: what happened in the EMR, the source of webhook events.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;

use super::{Conn, Result, on};
use crate::domain::{RequestId, ids::LogId};

/// One row, as the EMR's programs write it.
#[derive(Clone, Debug)]
pub struct LogRow {
    pub log_id: LogId,
    /// `None` when it holds what no column of the log should: that must not hold up the rows after it.
    pub entry: Option<Entry>,
    /// Of the call that wrote it; the EMR's own programs have none. What isn't of its form is none either.
    pub request_id: Option<RequestId>,
}

/// What a row says.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Entry {
    pub table_name: String,
    pub action: String,
    pub record_id: i64,
    logged_at: jiff_sqlx::Timestamp,
}

impl<'r, R: sqlx::Row> sqlx::FromRow<'r, R> for LogRow
where
    &'static str: sqlx::ColumnIndex<R>,
    LogId: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
    Option<String>: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
    Entry: sqlx::FromRow<'r, R>,
{
    fn from_row(row: &'r R) -> sqlx::Result<Self> {
        let entry = match Entry::from_row(row) {
            Ok(entry) => Some(entry),
            Err(sqlx::Error::ColumnDecode { .. }) => None,
            Err(error) => return Err(error),
        };
        let request_id: Option<String> = row.try_get("request_id").unwrap_or_default();
        let request_id = request_id.as_deref().and_then(RequestId::parse);
        Ok(Self { log_id: row.try_get("log_id")?, entry, request_id })
    }
}

impl Entry {
    pub fn logged_at(&self) -> Timestamp {
        self.logged_at.to_jiff()
    }
}

/// Writes one row; belongs in the transaction of the change it tells of. `request_id`: of the call that makes the change.
pub async fn append(
    conn: &mut Conn,
    table_name: &str,
    action: &str,
    record_id: i64,
    at: Timestamp,
    request_id: Option<&str>,
) -> Result<LogId> {
    Ok(on!(conn, c => sqlx::query_scalar(
        "insert into log (table_name, action, record_id, logged_at, request_id) values ($1, $2, $3, $4, $5)
         returning log_id",
    ).bind(table_name).bind(action).bind(record_id).bind(at.to_sqlx()).bind(request_id).fetch_one(c).await)?)
}

/// The highest id that is visible; 0 in an empty table.
pub async fn highest(conn: &mut Conn) -> Result<LogId> {
    Ok(on!(conn, c => sqlx::query_scalar("select coalesce(max(log_id), 0) from log").fetch_one(c).await)?)
}

/// Ids below `newest` that transactions may yet bring, for they are missing though not for long: as ranges, both ends
/// included. Should there be more than `limit`, the lowest covers all that lie further below.
///
/// Ids are given out in order, so what is missing below a row of before `since` was given out before it. Because programs
/// may date rows back, the last `window` ids are looked at in any case.
pub async fn missing_below(
    conn: &mut Conn,
    newest: LogId,
    since: Timestamp,
    window: i64,
    limit: usize,
) -> Result<Vec<(LogId, LogId)>> {
    let old: Option<LogId> = on!(&mut *conn, c => sqlx::query_scalar(
        "select log_id from log where log_id <= $1 and logged_at <= $2 order by log_id desc limit 1",
    ).bind(newest).bind(since.to_sqlx()).fetch_optional(c).await)?;
    let after = LogId(old.map_or(0, |old| old.0).min(newest.0 - window).max(0));
    let rows = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut ranges: Vec<(LogId, LogId)> = on!(conn, c => sqlx::query_as(
        "select previous + 1, log_id - 1 from (
             select log_id, coalesce(lag(log_id) over (order by log_id), $1) as previous
             from log where log_id > $1 and log_id <= $2
         ) as seen where log_id > previous + 1 order by log_id desc limit $3",
    ).bind(after).bind(newest).bind(rows).fetch_all(c).await)?;
    if ranges.len() == limit
        && let Some(lowest) = ranges.last_mut()
    {
        lowest.0 = LogId(after.0 + 1);
    }
    ranges.reverse();
    Ok(ranges)
}

/// Up to `limit` rows above `after`, lowest id first.
pub async fn above(conn: &mut Conn, after: LogId, limit: i64) -> Result<Vec<LogRow>> {
    Ok(on!(conn, c => sqlx::query_as(
        "select log_id, table_name, action, record_id, logged_at, request_id from log
         where log_id > $1 order by log_id limit $2",
    ).bind(after).bind(limit).fetch_all(c).await)?)
}

/// Up to `limit` rows with an id in one of the ranges (both ends included), lowest id first. At most a hundred ranges.
pub async fn within(conn: &mut Conn, ranges: &[(LogId, LogId)], limit: i64) -> Result<Vec<LogRow>> {
    if ranges.is_empty() {
        return Ok(Vec::new());
    }
    let conditions: Vec<String> = (0..ranges.len())
        .map(|index| format!("log_id between ${} and ${}", 2 * index + 1, 2 * index + 2))
        .collect();
    let text = format!(
        "select log_id, table_name, action, record_id, logged_at, request_id from log
         where {} order by log_id limit ${}",
        conditions.join(" or "),
        2 * ranges.len() + 1
    );
    // Only numbers of placeholders were put into the text.
    Ok(on!(conn, c => {
        let mut query = sqlx::query_as(sqlx::AssertSqlSafe(text));
        for (first, last) in ranges {
            query = query.bind(first).bind(last);
        }
        query.bind(limit).fetch_all(c).await
    })?)
}
