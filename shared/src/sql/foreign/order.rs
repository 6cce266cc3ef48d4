//! SQL expressions that compare foreign values by their meaning.

use crate::sql::Conn;

/// Returns an expression that orders instants by their meaning.
///
/// `SQLite` would compare texts as texts, whatever their format. Migration `0010` has indexes on
/// the expression. `SQLite` builds differ in whether a blob can match a pattern, so blobs are
/// excluded.
pub(crate) fn instant_order(conn: &Conn, column: &str) -> String {
    match conn {
        Conn::Postgres(_) => column.to_owned(),
        Conn::Sqlite(_) => INSTANT.replace("created_at", column),
    }
}

/// The Julian day, or null for a value that is not an instant.
///
/// `julianday` never sees `now`, which no index could hold.
const INSTANT: &str = "case \
    when typeof(created_at) = 'blob' then null \
    when created_at glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*' then julianday(created_at) \
    when lower(created_at) in ('infinity', '+infinity', 'inf') then 9e99 \
    when created_at not glob '[0-9]*' or created_at glob '*[^0-9.]*' then null \
    when cast(created_at as real) < 5373484.5 then cast(created_at as real) \
    when cast(created_at as real) <= 253402300799 then cast(created_at as real) / 86400.0 + 2440587.5 \
    else cast(created_at as real) / 86400000.0 + 2440587.5 end";

/// Returns a condition on a boolean column. In `SQLite`, programs also write words for true.
pub(crate) fn is_true(conn: &Conn, column: &str) -> String {
    match conn {
        Conn::Postgres(_) => column.to_owned(),
        Conn::Sqlite(_) => {
            format!(
                "(case when typeof({column}) in ('integer', 'real') then {column} <> 0
                       else trim(lower(cast({column} as text)), char(9, 10, 11, 12, 13, 32, 160)) in \
                       ('true', 't', 'yes', 'y', 'on') end)"
            )
        }
    }
}
