//! The `patient_words` table: patients by the words they are found by. A prefix is a range of its primary key.

use std::collections::BTreeSet;

use sqlx::AssertSqlSafe;

use super::{Conn, Result, on};
use crate::domain::{
    ids::PatientId,
    search::{Term, end_of_prefix},
};

/// Rows of one statement: each has two placeholders, and `SQLite` allows 32,766.
const ROWS: usize = 5_000;

/// Makes the words the patients' words, now up to date; belongs in the transaction that writes the patients or holds them.
/// At most a few hundred patients.
pub async fn replace(conn: &mut Conn, patients: &[(PatientId, BTreeSet<String>)]) -> Result<()> {
    if patients.is_empty() {
        return Ok(());
    }
    for table in ["patient_words", "unindexed_patients"] {
        let ids: Vec<String> = (1..=patients.len()).map(|number| format!("${number}")).collect();
        let statement = format!("delete from {table} where patient_id in ({})", ids.join(", "));
        on!(&mut *conn, c => {
            let delete = sqlx::query(AssertSqlSafe(statement));
            patients.iter().fold(delete, |delete, (id, _)| delete.bind(*id)).execute(c).await.map(|_| ())
        })?;
    }
    let rows = patients.iter().flat_map(|(id, words)| words.iter().map(|word| (*id, word)));
    for rows in rows.collect::<Vec<_>>().chunks(ROWS) {
        let values: Vec<String> =
            (0..rows.len()).map(|row| format!("(${}, ${})", 2 * row + 1, 2 * row + 2)).collect();
        let statement = format!("insert into patient_words (patient_id, word) values {}", values.join(", "));
        on!(&mut *conn, c => {
            let insert = sqlx::query(AssertSqlSafe(statement));
            rows.iter().fold(insert, |insert, (id, word)| insert.bind(*id).bind(*word)).execute(c).await.map(|_| ())
        })?;
    }
    Ok(())
}

/// A select of the ids that have every term, with the values of its placeholders, which are numbered from `$1`.
///
/// The text is made of constants and placeholder numbers only; what was searched for stands in the values.
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
            // A patient may have the prefix in several words.
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
