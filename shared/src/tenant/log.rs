//! The `log` table: what happened in the EMR, the source of webhook events.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;

use super::{Conn, Result, on};
use crate::domain::ids::LogId;

/// One row, as the EMR's programs write it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct LogRow {
    pub log_id: LogId,
    pub table_name: String,
    pub action: String,
    pub record_id: i64,
    logged_at: jiff_sqlx::Timestamp,
}

impl LogRow {
    pub fn logged_at(&self) -> Timestamp {
        self.logged_at.to_jiff()
    }
}

/// Writes one row; belongs in the transaction of the change it tells of.
pub async fn append(
    conn: &mut Conn,
    table_name: &str,
    action: &str,
    record_id: i64,
    at: Timestamp,
) -> Result<LogId> {
    Ok(on!(conn, c => sqlx::query_scalar(
        "insert into log (table_name, action, record_id, logged_at) values ($1, $2, $3, $4) returning log_id",
    ).bind(table_name).bind(action).bind(record_id).bind(at.to_sqlx()).fetch_one(c).await)?)
}

/// The highest id that is visible; 0 in an empty table.
pub async fn highest(conn: &mut Conn) -> Result<LogId> {
    Ok(on!(conn, c => sqlx::query_scalar("select coalesce(max(log_id), 0) from log").fetch_one(c).await)?)
}

/// Up to `limit` rows above `after`, lowest id first.
pub async fn above(conn: &mut Conn, after: LogId, limit: i64) -> Result<Vec<LogRow>> {
    Ok(on!(conn, c => sqlx::query_as(
        "select log_id, table_name, action, record_id, logged_at from log where log_id > $1 order by log_id limit $2",
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
        "select log_id, table_name, action, record_id, logged_at from log where {} order by log_id limit ${}",
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
