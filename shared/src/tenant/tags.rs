//! The `tags` and `patient_tags` tables.

use super::{Conn, Result, on};
use crate::domain::ids::{PatientId, TagId};

#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Tag {
    pub tag_id: TagId,
    pub name: String,
    /// As the EMR shows it, e.g. `#4a7`.
    pub colour: Option<String>,
}

/// A tag with the number of patients that have it.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct CountedTag {
    #[sqlx(flatten)]
    pub tag: Tag,
    pub patients: i64,
}

/// A tag of one of several patients.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct PatientTag {
    pub patient_id: PatientId,
    #[sqlx(flatten)]
    pub tag: Tag,
}

/// Every tag of the practice, by name.
pub async fn list(conn: &mut Conn) -> Result<Vec<CountedTag>> {
    Ok(on!(conn, c => sqlx::query_as(
        "select tag_id, name, colour,
                (select count(*) from patient_tags where patient_tags.tag_id = tags.tag_id) as patients
         from tags order by name, tag_id",
    ).fetch_all(c).await)?)
}

/// The patient's tags, by name.
pub async fn of_patient(conn: &mut Conn, id: PatientId) -> Result<Vec<CountedTag>> {
    Ok(on!(conn, c => sqlx::query_as(
        "select tags.tag_id, name, colour,
                (select count(*) from patient_tags others where others.tag_id = tags.tag_id) as patients
         from patient_tags join tags on tags.tag_id = patient_tags.tag_id
         where patient_tags.patient_id = $1 order by name, tags.tag_id",
    ).bind(id).fetch_all(c).await)?)
}

/// The tags of a page of patients, by patient and name.
pub async fn of_patients(conn: &mut Conn, ids: &[PatientId]) -> Result<Vec<PatientTag>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let places: Vec<String> = (1..=ids.len()).map(|number| format!("${number}")).collect();
    let statement = format!(
        "select patient_tags.patient_id, tags.tag_id, name, colour
         from patient_tags join tags on tags.tag_id = patient_tags.tag_id
         where patient_tags.patient_id in ({}) order by patient_tags.patient_id, name, tags.tag_id",
        places.join(", "),
    );
    Ok(on!(conn, c => {
        let select = sqlx::query_as(sqlx::AssertSqlSafe(statement));
        ids.iter().fold(select, |select, id| select.bind(*id)).fetch_all(c).await
    })?)
}

pub async fn exists(conn: &mut Conn, id: TagId) -> Result<bool> {
    Ok(on!(conn, c => sqlx::query_scalar("select exists (select 1 from tags where tag_id = $1)")
        .bind(id).fetch_one(c).await)?)
}

/// Gives the patient the tag; `false` when it had it already.
pub async fn assign(conn: &mut Conn, patient: PatientId, tag: TagId) -> Result<bool> {
    let inserted: Option<i64> = on!(conn, c => sqlx::query_scalar(
        "insert into patient_tags (patient_id, tag_id) values ($1, $2) on conflict do nothing returning tag_id",
    ).bind(patient).bind(tag).fetch_optional(c).await)?;
    Ok(inserted.is_some())
}

/// Takes the tag from the patient; `false` when it didn't have it.
pub async fn remove(conn: &mut Conn, patient: PatientId, tag: TagId) -> Result<bool> {
    let removed: Option<i64> = on!(conn, c => sqlx::query_scalar(
        "delete from patient_tags where patient_id = $1 and tag_id = $2 returning tag_id",
    ).bind(patient).bind(tag).fetch_optional(c).await)?;
    Ok(removed.is_some())
}

/// Takes all tags from the patient; how many it had.
pub async fn remove_all(conn: &mut Conn, patient: PatientId) -> Result<usize> {
    let removed: Vec<i64> = on!(conn, c => sqlx::query_scalar(
        "delete from patient_tags where patient_id = $1 returning tag_id",
    ).bind(patient).fetch_all(c).await)?;
    Ok(removed.len())
}
