//! An engine's query plan of a statement.

use shared::{sql::Conn, tenant::TenantDb};
use sqlx::{AssertSqlSafe, Row};

/// Returns the engine's plan, one step per line. `values` are those of the first placeholders; all
/// further ones (a page's limit and offset) are 25.
pub(crate) async fn plan(db: &TenantDb, statement: &str, values: &[String]) -> Vec<String> {
    let mut text = statement.to_owned();
    for number in (1..=values.len() + 2).rev() {
        let value =
            values.get(number - 1).map_or("25".to_owned(), |it| format!("'{}'", it.replace('\'', "''")));
        text = text.replace(&format!("${number}"), &value);
    }
    match &mut db.connection().await.unwrap() {
        Conn::Sqlite(connection) => {
            let explain = AssertSqlSafe(format!("explain query plan {text}"));
            let rows = sqlx::query(explain).fetch_all(&mut **connection).await.unwrap();
            rows.iter().map(|row| row.get("detail")).collect()
        }
        Conn::Postgres(connection) => {
            let explain = AssertSqlSafe(format!("explain {text}"));
            sqlx::query_scalar(explain).fetch_all(&mut **connection).await.unwrap()
        }
    }
}

/// Returns why a plan does not use index ranges of the search words; `None` if it does.
pub(crate) fn fault_of(plan: &[String], ranges: usize) -> Option<String> {
    let whole_table = |step: &&String| {
        let step = step.trim_start_matches([' ', '-', '>']);
        step.starts_with("SCAN patient") || step.starts_with("Seq Scan on patient")
    };
    if let Some(step) = plan.iter().find(whole_table) {
        return Some(format!("reads a whole table: {step}"));
    }
    let by_range = |step: &&String| {
        step.contains("SEARCH patient_words USING PRIMARY KEY (word>? AND word<?)")
            || step.contains("Index Cond: ((word >= ")
    };
    let found = plan.iter().filter(by_range).count();
    (found < ranges).then(|| format!("{found} index ranges, not {ranges}"))
}
