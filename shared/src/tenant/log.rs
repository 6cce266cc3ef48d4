//! The `log` table, where the EMR records changes: the source of webhook events.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::AssertSqlSafe;

use crate::domain::{RequestId, ids::LogId, log_progress::WIDE};
use crate::sql::{
    Conn, Result,
    foreign::{Foreign, ForeignRow, instant_order},
    free_ids::free_id,
    on,
};

/// 0001-01-01T00:00:00Z
const FIRST_SECOND: i64 = -62_135_596_800;

/// The columns of a row.
macro_rules! columns {
    () => {
        "log_id, table_name, action, record_id, logged_at, request_id"
    };
}

/// One row of the log, as written by the EMR or the API.
#[derive(Clone, Debug)]
pub struct LogRow {
    pub log_id: LogId,
    /// `None` if a column has an unreadable value, which must not block the rows after it.
    pub entry: Option<LogEntry>,
    /// The request id of the call that wrote the row.
    ///
    /// `None` for rows that the EMR wrote, or if the value is malformed.
    pub request_id: Option<RequestId>,
}

/// The contents of a row.
#[derive(Clone, Debug)]
pub struct LogEntry {
    pub table_name: String,
    pub action: String,
    pub record_id: i64,
    /// `None` if the value is not a point in time, such as `infinity`.
    pub logged_at: Option<Timestamp>,
}

impl LogRow {
    /// Returns the time that the row states.
    pub fn logged_at(&self) -> Option<Timestamp> {
        self.entry.as_ref().and_then(|entry| entry.logged_at)
    }

    /// Returns a checksum that distinguishes rows with the same id.
    pub fn print(&self) -> u64 {
        let Some(LogEntry { table_name, action, record_id, logged_at }) = &self.entry else { return 0 };
        let time = logged_at.map(Timestamp::as_microsecond);
        u64::from(crc32fast::hash(format!("{table_name}\n{action}\n{record_id}\n{time:?}").as_bytes()))
    }
}

impl<'r, R: ForeignRow> sqlx::FromRow<'r, R> for LogRow {
    fn from_row(row: &'r R) -> sqlx::Result<Self> {
        let log_id = row.foreign("log_id")?.value();
        let request_id: Foreign<String> = row.foreign("request_id")?;
        Ok(Self {
            log_id: log_id.ok_or_else(|| sqlx::Error::Decode("the id of a row of the log".into()))?,
            entry: LogEntry::read(row)?,
            request_id: request_id.value().as_deref().and_then(RequestId::parse),
        })
    }
}

impl LogEntry {
    fn read<R: ForeignRow>(row: &R) -> sqlx::Result<Option<Self>> {
        let (table_name, action) = (row.foreign("table_name")?.value(), row.foreign("action")?.value());
        let (record_id, logged_at) = (row.foreign("record_id")?.value(), row.foreign("logged_at")?.value());
        let Some(((table_name, action), record_id)) = table_name.zip(action).zip(record_id) else {
            return Ok(None);
        };
        Ok(Some(Self { table_name, action, record_id, logged_at: logged_at.filter(is_instant) }))
    }
}

/// Whether the time lies between the bounds, which stand for values beyond, such as `infinity`.
fn is_instant(at: &Timestamp) -> bool {
    FIRST_SECOND < at.as_second() && *at < Timestamp::MAX
}

/// Writes one row, in the transaction of the change that it describes.
///
/// `request_id` is that of the call that makes the change.
pub async fn append(
    conn: &mut Conn,
    table_name: &str,
    action: &str,
    record_id: i64,
    at: Timestamp,
    request_id: Option<&str>,
) -> Result<LogId> {
    let statement = format!(
        "insert into log (log_id, table_name, action, record_id, logged_at, request_id) values ({}, $1, $2, \
            $3, $4, $5)
         returning log_id",
        free_id(conn, "log", "log_id"),
    );
    Ok(on!(conn, |c| sqlx::query_scalar(AssertSqlSafe(statement))
        .bind(table_name)
        .bind(action)
        .bind(record_id)
        .bind(at.to_sqlx())
        .bind(request_id)
        .fetch_one(c)
        .await)?)
}

/// Returns the highest visible id; 0 if none is above 0.
pub async fn highest(conn: &mut Conn) -> Result<LogId> {
    let statement = "select coalesce(max(log_id), 0) from log where log_id > 0";
    Ok(on!(conn, |c| sqlx::query_scalar(statement).fetch_one(c).await)?)
}

/// Whether there is a row with an id from 1 to this one.
pub async fn any_up_to(conn: &mut Conn, id: LogId) -> Result<bool> {
    Ok(on!(conn, |c| sqlx::query_scalar("select exists (select 1 from log where log_id between 1 and $1)")
        .bind(id)
        .fetch_one(c)
        .await)?)
}

/// Counts rows whose ids are not above 0, up to `most`, and returns the highest of their ids.
///
/// No sequence starts there, so such rows are not read.
pub async fn without_ids(conn: &mut Conn, most: i64) -> Result<(u64, Option<LogId>)> {
    let (rows, highest): (i64, Option<LogId>) = on!(conn, |c| sqlx::query_as(
        "select count(*), max(log_id) from (
             select log_id from log where log_id <= 0 order by log_id desc limit $1
         ) as few",
    )
    .bind(most)
    .fetch_one(c)
    .await)?;
    Ok((rows.unsigned_abs(), highest))
}

/// Returns the missing ids below `newest` that open transactions may still commit, as ranges.
///
/// Both ends are included. Ranges that a jump of the ids skipped are also returned. If there are
/// more than `limit` ranges, only missing ids that are younger than `since` count, and the lowest
/// range covers all of these that lie further below.
///
/// Ids are assigned in order, so a missing id below a row from before `since` was assigned before
/// `since`. Because programs may backdate rows, missing ids among the last `window` rows count in
/// any case.
pub async fn missing_below(
    conn: &mut Conn,
    newest: LogId,
    since: Timestamp,
    window: i64,
    limit: usize,
) -> Result<Vec<(LogId, LogId)>> {
    let (logged_at, at) = (instant_order(conn, "logged_at"), instant_order(conn, "$2"));
    let old = format!(
        "select log_id from log where log_id <= $1 and {logged_at} <= {at} order by log_id desc limit 1"
    );
    let old: Option<LogId> = on!(&mut *conn, |c| sqlx::query_scalar(AssertSqlSafe(old))
        .bind(newest)
        .bind(since.to_sqlx())
        .fetch_optional(c)
        .await)?;
    let edge: Option<LogId> = on!(&mut *conn, |c| sqlx::query_scalar(
        "select min(log_id) from (
             select log_id from log where log_id <= $1 order by log_id desc limit $2
         ) as newest",
    )
    .bind(newest)
    .bind(window)
    .fetch_one(c)
    .await)?;
    let old = LogId(old.map_or(0, |old| old.0.max(0)));
    let after = LogId((edge.unwrap_or_default().0 - window).min(old.0).max(0));
    let mut ranges = gaps_between(conn, after, newest, after, limit).await?;
    if ranges.len() >= limit {
        ranges = gaps_between(conn, after, newest, old, limit).await?;
        if ranges.len() >= limit
            && let Some(lowest) = ranges.last_mut()
        {
            lowest.0 = lowest.0.min(LogId(old.0 + 1));
        }
    }
    ranges.reverse();
    Ok(ranges)
}

/// Returns missing ids above `after` up to `newest`, highest first.
///
/// Includes those above `since`, and all jumps.
async fn gaps_between(
    conn: &mut Conn,
    after: LogId,
    newest: LogId,
    since: LogId,
    limit: usize,
) -> Result<Vec<(LogId, LogId)>> {
    let rows = i64::try_from(limit).unwrap_or(i64::MAX);
    Ok(on!(conn, |c| sqlx::query_as(
        "select previous + 1, log_id - 1 from (
             select log_id, coalesce(lag(log_id) over (order by log_id), $1) as previous
             from log where log_id > $1 and log_id <= $2
         ) as seen where log_id > previous + 1 and (log_id > $3 or log_id - previous > $4)
         order by log_id desc limit $5",
    )
    .bind(after)
    .bind(newest)
    .bind(since)
    .bind(WIDE)
    .bind(rows)
    .fetch_all(c)
    .await)?)
}

/// Returns up to `limit` rows above `after`, lowest id first.
pub async fn above(conn: &mut Conn, after: LogId, limit: i64) -> Result<Vec<LogRow>> {
    Ok(on!(conn, |c| sqlx::query_as(concat!(
        "select ",
        columns!(),
        " from log where log_id > $1 order by log_id limit $2"
    ),)
    .bind(after)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

/// Returns about where the rows logged at `at` or later begin.
///
/// No row with a lower id was logged as late, as far as ids follow time.
///
/// Reads one row at each of at most 64 ids, whatever the log's size. A row with an unreadable time
/// counts as late.
pub async fn first_since(conn: &mut Conn, at: Timestamp) -> Result<LogId> {
    let (mut low, mut high) = (1, highest(conn).await?.0.saturating_add(1));
    while low < high {
        let middle = low + (high - low) / 2;
        match above(conn, LogId(middle - 1), 1).await?.pop() {
            Some(row) if row.logged_at().is_some_and(|it| it < at) => low = row.log_id.0.saturating_add(1),
            _ => high = middle,
        }
    }
    Ok(LogId(low))
}

/// Returns up to `limit` rows of an id range that were logged in `from..to`, lowest id first.
///
/// The id range includes both ends.
pub async fn logged_between(
    conn: &mut Conn,
    (first, last): (LogId, LogId),
    (from, to): (Timestamp, Timestamp),
    limit: i64,
) -> Result<Vec<LogRow>> {
    let order = |column: &str| instant_order(conn, column);
    let text = format!(
        concat!(
            "select ",
            columns!(),
            " from log where log_id between $1 and $2 and {0} >= {1} and {0} < {2} order by log_id limit $5"
        ),
        order("logged_at"),
        order("$3"),
        order("$4"),
    );
    // Only our own expressions were inserted into the text.
    Ok(on!(conn, |c| sqlx::query_as(AssertSqlSafe(text))
        .bind(first)
        .bind(last)
        .bind(from.to_sqlx())
        .bind(to.to_sqlx())
        .bind(limit)
        .fetch_all(c)
        .await)?)
}

/// Returns up to `limit` rows with an id in one of at most 100 ranges, lowest id first.
///
/// The ranges include both ends.
pub async fn within(conn: &mut Conn, ranges: &[(LogId, LogId)], limit: i64) -> Result<Vec<LogRow>> {
    if ranges.is_empty() {
        return Ok(Vec::new());
    }
    let conditions: Vec<String> = (0..ranges.len())
        .map(|index| format!("log_id between ${} and ${}", 2 * index + 1, 2 * index + 2))
        .collect();
    let text = format!(
        concat!("select ", columns!(), " from log where {} order by log_id limit ${}"),
        conditions.join(" or "),
        2 * ranges.len() + 1
    );
    // Only numbers of placeholders were inserted into the text.
    Ok(on!(conn, |c| {
        let mut query = sqlx::query_as(sqlx::AssertSqlSafe(text));
        for (first, last) in ranges {
            query = query.bind(first).bind(last);
        }
        query.bind(limit).fetch_all(c).await
    })?)
}

/// Counts the rows in each of at most 100 ranges, which include both ends.
pub async fn count_within(conn: &mut Conn, ranges: &[(LogId, LogId)]) -> Result<Vec<u64>> {
    if ranges.is_empty() {
        return Ok(Vec::new());
    }
    let count = |index: usize| {
        let (from, to) = (2 * index + 1, 2 * index + 2);
        format!("select cast({index} as bigint), count(*) from log where log_id between ${from} and ${to}")
    };
    let text = (0..ranges.len()).map(count).collect::<Vec<_>>().join(" union all ");
    // Only numbers were inserted into the text.
    let rows: Vec<(i64, i64)> = on!(conn, |c| {
        let mut query = sqlx::query_as(sqlx::AssertSqlSafe(text));
        for (first, last) in ranges {
            query = query.bind(first).bind(last);
        }
        query.fetch_all(c).await
    })?;
    let mut counts = vec![0; ranges.len()];
    for (index, rows) in rows {
        if let Some(count) = usize::try_from(index).ok().and_then(|index| counts.get_mut(index)) {
            *count = rows.unsigned_abs();
        }
    }
    Ok(counts)
}
