//! The `patients` table: prospects and patients.

mod duplicates;
mod row;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::AssertSqlSafe;

use super::patient_words;
use crate::domain::{ids::PatientId, search::Term};
use crate::sql::{
    Conn, Result,
    bounded::short,
    foreign::{Read, is_true},
    free_ids::free_id,
    on,
    page::{MOST_COUNTED, PageRows},
    round_trip,
};
pub use duplicates::possible_duplicates;
pub use row::{Patient, PatientDetails};
use row::{bind_details, columns, listed_columns, placeholders, read_columns, whole_columns};

/// The filter of a list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// `true`: prospects only, `false`: patients only.
    pub prospect: Option<bool>,
    /// A patient must match every term. `None` lists all; an empty list matches nobody.
    pub terms: Option<Vec<Term>>,
}

/// Returns the patient, prospect or not.
pub async fn find(conn: &mut Conn, id: PatientId) -> Result<Option<Patient>> {
    let row: Option<Read<Patient>> = on!(&mut *conn, |c| sqlx::query_as(concat!(
        "select patient_id, ",
        whole_columns!(),
        ", created_at, updated_at from patients where patient_id = $1",
    ))
    .bind(id)
    .fetch_optional(c)
    .await)?;
    Ok(row.and_then(|row| row.accept(conn)))
}

/// The same as [`find`], and locks the row until the transaction ends.
pub async fn lock(conn: &mut Conn, id: PatientId) -> Result<Option<Patient>> {
    if let Conn::Postgres(connection) = conn {
        round_trip!(connection, |c| {
            sqlx::query("select 1 from patients where patient_id = $1 for update").bind(id).execute(c).await
        })?;
    }
    find(conn, id).await
}

/// Inserts a patient and its search words.
pub async fn insert(conn: &mut Conn, details: &PatientDetails, now: Timestamp) -> Result<PatientId> {
    let statement = format!(
        concat!(
            "insert into patients (patient_id, ",
            columns!(),
            ", created_at, updated_at) values ({}, ",
            placeholders!(),
            ", $34, $34) returning patient_id"
        ),
        free_id(conn, "patients", "patient_id"),
    );
    let id = on!(&mut *conn, |c| bind_details!(sqlx::query_scalar(AssertSqlSafe(statement)), details)
        .bind(now.to_sqlx())
        .fetch_one(c)
        .await)?;
    patient_words::replace(conn, &[(id, details.words())]).await?;
    Ok(id)
}

/// Writes the details that changed, and the search words.
///
/// Other columns stay as the EMR wrote them, including unreadable ones.
pub async fn update(
    conn: &mut Conn,
    id: PatientId,
    (before, after): (&PatientDetails, &PatientDetails),
    now: Timestamp,
) -> Result<()> {
    let changed = before.changed_columns(after);
    let assignments: Vec<String> = columns!()
        .split(", ")
        .enumerate()
        // SQLite checks a foreign key again if a statement assigns it, even an invalid one that
        // does not change.
        .filter(|(index, column)| *column != "provider_id" || changed & (1_i64 << index) != 0)
        .map(|(index, column)| {
            let (bit, number) = (1_i64 << index, index + 1);
            format!(
                "{column} = case when (cast($36 as bigint) & {bit}) <> 0 then ${number} else {column} end"
            )
        })
        .collect();
    let statement = format!(
        "update patients set {}, updated_at = $34, version = version + 1 where patient_id = $35",
        assignments.join(", "),
    );
    on!(&mut *conn, |c| bind_details!(sqlx::query(AssertSqlSafe(statement)), after)
        .bind(now.to_sqlx())
        .bind(id)
        .bind(changed)
        .execute(c)
        .await
        .map(|_| ()))?;
    patient_words::replace(conn, &[(id, after.words())]).await
}

/// Marks the patient as changed after a change to related data, e.g. its tags.
pub async fn touch(conn: &mut Conn, id: PatientId, now: Timestamp) -> Result<()> {
    on!(conn, |c| sqlx::query(
        "update patients set updated_at = $1, version = version + 1 where patient_id = $2"
    )
    .bind(now.to_sqlx())
    .bind(id)
    .execute(c)
    .await
    .map(|_| ()))?;
    Ok(())
}

/// The statements of [`count`] and [`page`]. The SQL consists of constants and placeholders only.
pub struct Statements {
    pub count: String,
    /// The last two placeholders are limit and offset.
    pub page: String,
    /// The values of the first placeholders of both.
    pub values: Vec<String>,
}

impl Filter {
    pub fn statements(&self, conn: &Conn) -> Statements {
        let (ids, values) = filtered(conn, self);
        let columns = listed_columns!();
        let (limit_at, offset_at) = (values.len() + 1, values.len() + 2);
        Statements {
            count: format!("select count(*) from ({ids} limit {}) counted", MOST_COUNTED + 1),
            page: format!(
                "select patient_id, {columns}, created_at, updated_at from patients
                 where patient_id in ({ids} order by patient_id limit ${limit_at} offset ${offset_at})
                 order by patient_id",
            ),
            values,
        }
    }
}

/// Counts the patients that match the filter, up to one more than [`MOST_COUNTED`].
pub async fn count(conn: &mut Conn, filter: &Filter) -> Result<i64> {
    let Statements { count, values, .. } = filter.statements(conn);
    Ok(on!(conn, |c| {
        let query = sqlx::query_scalar(AssertSqlSafe(count));
        values.iter().fold(query, sqlx::query::QueryScalar::bind).fetch_one(c).await
    })?)
}

/// Returns up to `limit` patients after the first `offset`, lowest id first.
///
/// An embedded image is reduced to `data:` in `pt_img`, so that a page cannot exceed Lambda's
/// response limit.
pub async fn page(conn: &mut Conn, filter: &Filter, limit: i64, offset: i64) -> Result<PageRows<Patient>> {
    let Statements { page, values, .. } = filter.statements(conn);
    let rows: Vec<Read<Patient>> = on!(&mut *conn, |c| {
        let query = sqlx::query_as(AssertSqlSafe(page));
        let query = values.iter().fold(query, sqlx::query::QueryAs::bind);
        query.bind(limit + 1).bind(offset).fetch_all(c).await
    })?;
    Ok(PageRows::accept(conn, rows, (limit, offset)))
}

/// Returns a SELECT of the matching ids, and its values.
///
/// The SQL has constants and placeholders only.
fn filtered(conn: &Conn, filter: &Filter) -> (String, Vec<String>) {
    let is_prospect = is_true(conn, "prospect");
    let prospect = filter.prospect.map(|prospect| match filter.terms {
        // An index has this comparison; in `SQLite`, migration `0015`.
        None => format!("{is_prospect} = {prospect}"),
        // In this form, `SQLite` does not choose that index instead of the search words.
        Some(_) if prospect => is_prospect,
        Some(_) => format!("not {is_prospect}"),
    });
    let (found, values) = match filter.terms.as_deref() {
        None => (None, Vec::new()),
        Some([]) => (Some("1 = 0".to_owned()), Vec::new()),
        Some(terms) => {
            let (found, values) = patient_words::matching(terms);
            if prospect.is_none() {
                return (format!("select patient_id from ({found}) found"), values);
            }
            (Some(format!("patient_id in ({found})")), values)
        }
    };
    let conditions: Vec<&str> = prospect.iter().chain(&found).map(String::as_str).collect();
    let clause =
        if conditions.is_empty() { String::new() } else { format!(" where {}", conditions.join(" and ")) };
    (format!("select patient_id from patients{clause}"), values)
}
