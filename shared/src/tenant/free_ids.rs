//! Ids for rows of ours: the EMR's programs may choose ids too, any that a column holds.

use super::Conn;
use crate::domain::ids::MAX_SAFE_INTEGER;

/// An expression, one of an `insert`'s values, for the id of a new row: one that no row has, and that every reader of JSON keeps exact.
///
/// `PostgreSQL` goes on with the column's sequence, past ids that are taken (migration `0009`). `SQLite` counts on from the highest id
/// by itself, which null asks for, unless that is one of the last.
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
