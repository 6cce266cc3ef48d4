//! The `patient_words` table: the search index of patients. A prefix is a range of its primary key.

use std::collections::BTreeSet;

use sqlx::AssertSqlSafe;

use crate::domain::{
    ids::PatientId,
    search::{Term, end_of_prefix},
};
use crate::sql::{Conn, Result, on};

/// Rows per statement: each has two placeholders, and `SQLite` allows 32,766.
const ROWS: usize = 5_000;

/// Replaces the search words of up to a few hundred patients.
///
/// Must run in the transaction that writes or locks the patients.
pub async fn replace(conn: &mut Conn, patients: &[(PatientId, BTreeSet<String>)]) -> Result<()> {
    if patients.is_empty() {
        return Ok(());
    }
    for table in ["patient_words", "unindexed_patients"] {
        let ids: Vec<String> = (1..=patients.len()).map(|number| format!("${number}")).collect();
        let statement = format!("delete from {table} where patient_id in ({})", ids.join(", "));
        on!(&mut *conn, |c| {
            let delete = sqlx::query(AssertSqlSafe(statement));
            patients.iter().fold(delete, |delete, (id, _)| delete.bind(*id)).execute(c).await.map(|_| ())
        })?;
    }
    let rows = patients.iter().flat_map(|(id, words)| words.iter().map(|word| (*id, word)));
    for rows in rows.collect::<Vec<_>>().chunks(ROWS) {
        let values: Vec<String> =
            (0..rows.len()).map(|row| format!("(${}, ${})", 2 * row + 1, 2 * row + 2)).collect();
        let statement = format!("insert into patient_words (patient_id, word) values {}", values.join(", "));
        on!(&mut *conn, |c| {
            let insert = sqlx::query(AssertSqlSafe(statement));
            rows.iter()
                .fold(insert, |insert, (id, word)| insert.bind(*id).bind(*word))
                .execute(c)
                .await
                .map(|_| ())
        })?;
    }
    Ok(())
}

/// Returns a SELECT of the ids that match every term, and its placeholders' values from `$1` on.
///
/// The SQL consists of constants and placeholder numbers only; search input is in the values.
pub(super) fn matching(terms: &[Term]) -> (String, Vec<String>) {
    let mut values = Vec::new();
    let selects: Vec<String> = terms
        .iter()
        .map(|term| {
            let alternatives: Vec<String> = term
                .alternatives
                .iter()
                .map(|prefixes| {
                    let ranges: Vec<String> =
                        prefixes.iter().map(|prefix| range(prefix, &mut values)).collect();
                    format!("select patient_id from ({}) all_of", ranges.join(" intersect "))
                })
                .collect();
            // Several words of a patient may start with the prefix.
            format!("select distinct patient_id from ({}) any_of", alternatives.join(" union "))
        })
        .collect();
    (selects.join(" intersect "), values)
}

fn range(prefix: &str, values: &mut Vec<String>) -> String {
    values.push(prefix.to_owned());
    let first = values.len();
    let Some(end) = end_of_prefix(prefix) else {
        return format!("select patient_id from patient_words where word >= ${first}");
    };
    values.push(end);
    format!("select patient_id from patient_words where word >= ${first} and word < ${}", first + 1)
}
