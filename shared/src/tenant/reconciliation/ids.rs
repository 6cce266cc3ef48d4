//! The ids that a table has assigned, and from where it goes on.

use sqlx::AssertSqlSafe;

use crate::sql::{Conn, Result, on};

/// Returns the highest id ever assigned in a table.
pub(super) async fn end(conn: &mut Conn, table: &str, column: &str) -> Result<i64> {
    // Only our own names are formatted into the SQL.
    let is_the_emrs = the_emr_gives_ids(conn, table).await?;
    let text = match conn {
        Conn::Postgres(_) if is_the_emrs => {
            format!("select bridge_last_id('{table}')")
        }
        Conn::Postgres(_) => {
            format!(
                "select coalesce(pg_sequence_last_value(pg_get_serial_sequence('{table}', \
                    '{column}')::regclass), 0)"
            )
        }
        Conn::Sqlite(_) => {
            format!("select coalesce((select seq from sqlite_sequence where name = '{table}'), 0)")
        }
    };
    Ok(on!(conn, |c| sqlx::query_scalar(AssertSqlSafe(text)).fetch_one(c).await)?)
}

/// Makes the ids of new rows start above `end`.
pub(super) async fn begin_above(conn: &mut Conn, table: &str, column: &str, end: i64) -> Result<()> {
    // Only our own names and numbers are formatted into the SQL.
    let is_the_emrs = the_emr_gives_ids(conn, table).await?;
    let text = match conn {
        Conn::Postgres(_) if is_the_emrs => {
            format!("select bridge_begin_above('{table}', {end})")
        }
        Conn::Postgres(_) => format!("select setval(pg_get_serial_sequence('{table}', '{column}'), {end})"),
        Conn::Sqlite(_) => format!(
            "insert into sqlite_sequence (name, seq) select '{table}', 0
                 where not exists (select 1 from sqlite_sequence where name = '{table}');
             update sqlite_sequence set seq = {end} where name = '{table}'"
        ),
    };
    on!(conn, |c| sqlx::raw_sql(AssertSqlSafe(text)).execute(c).await.map(|_| ()))?;
    Ok(())
}

/// Whether the practice's EMR assigns the ids of the table's new rows.
async fn the_emr_gives_ids(conn: &mut Conn, table: &str) -> Result<bool> {
    if matches!(conn, Conn::Sqlite(_)) || !["visits", "patients"].contains(&table) {
        return Ok(false);
    }
    Ok(on!(conn, |c| sqlx::query_scalar(
        "select to_regprocedure('bridge_begin_above(text, bigint)') is not null"
    )
    .fetch_one(c)
    .await)?)
}
