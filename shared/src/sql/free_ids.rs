//! Ids for the rows that the API inserts.
//!
//! The EMR's programs may choose ids too: any that the column holds.

use super::Conn;
use crate::domain::ids::MAX_SAFE_INTEGER;

/// Returns the SQL expression, for an `insert`, of an unused id that every JSON reader keeps exact.
///
/// `PostgreSQL` continues the column's sequence and skips ids that are taken (migration `0009`).
/// For null, `SQLite` itself counts on from the highest id; only near the largest safe integer does
/// the expression search for a free id below.
pub(crate) fn free_id(conn: &Conn, table: &str, column: &str) -> String {
    match conn {
        Conn::Postgres(_) => format!("free_id('{table}', '{column}')"),
        Conn::Sqlite(_) => format!(
            "(select case when max({column}) >= {MAX_SAFE_INTEGER} then coalesce((
                  select one.{column} + 1 from {table} one
                  where one.{column} between 0 and {MAX_SAFE_INTEGER} - 1
                    and not exists (select 1 from {table} next where next.{column} = one.{column} + 1)
                  order by one.{column} desc limit 1
              ), 1) end from {table})"
        ),
    }
}
