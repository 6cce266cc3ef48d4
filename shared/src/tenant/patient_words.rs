//! The `patient_words` table: patients by the words they are found by. A prefix is a range of its primary key.

use std::collections::BTreeSet;

use sqlx::AssertSqlSafe;

use super::{Conn, Result, on};
use crate::domain::{
    ids::PatientId,
    search::{Term, end_of_prefix},
};

/// Makes `words` the patient's words, now up to date; belongs in the transaction that writes the patient or holds it.
pub async fn replace(conn: &mut Conn, id: PatientId, words: &BTreeSet<String>) -> Result<()> {
    on!(&mut *conn, c => sqlx::query("delete from patient_words where patient_id = $1")
        .bind(id).execute(c).await.map(|_| ()))?;
    on!(&mut *conn, c => sqlx::query("delete from unindexed_patients where patient_id = $1")
        .bind(id).execute(c).await.map(|_| ()))?;
    if words.is_empty() {
        return Ok(());
    }
    let rows: Vec<String> = (2..words.len() + 2).map(|number| format!("($1, ${number})")).collect();
    let statement = format!("insert into patient_words (patient_id, word) values {}", rows.join(", "));
    on!(conn, c => {
        let insert = sqlx::query(AssertSqlSafe(statement)).bind(id);
        words.iter().fold(insert, sqlx::query::Query::bind).execute(c).await.map(|_| ())
    })?;
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
