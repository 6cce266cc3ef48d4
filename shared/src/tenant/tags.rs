//! The `tags` and `patient_tags` tables.

use crate::domain::ids::{PatientId, TagId};
use crate::sql::{
    Conn, Result,
    bounded::short,
    foreign::{Columns, ForeignRow, FromColumns, Read, accept_all},
    on,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    pub tag_id: TagId,
    pub name: String,
    /// The color in the EMR's notation, e.g. `#4a7`.
    pub colour: Option<String>,
}

/// A tag and the number of patients that have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountedTag {
    pub tag: Tag,
    pub patients: i64,
}

/// A tag of one of several patients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatientTag {
    pub patient_id: PatientId,
    pub tag: Tag,
}

impl FromColumns for Tag {
    const TABLE: &'static str = "tags";
    const KEY: &'static str = "tag_id";

    fn from_columns<R: ForeignRow>(columns: &mut Columns<'_, R>) -> sqlx::Result<Option<Self>> {
        let (id, name, colour) =
            (columns.required("tag_id")?, columns.text("name")?, columns.optional("colour")?);
        Ok(id.map(|tag_id| Self { tag_id, name, colour }))
    }
}

impl FromColumns for CountedTag {
    const TABLE: &'static str = Tag::TABLE;
    const KEY: &'static str = Tag::KEY;

    fn from_columns<R: ForeignRow>(columns: &mut Columns<'_, R>) -> sqlx::Result<Option<Self>> {
        let patients = columns.or("patients", 0)?;
        Ok(Tag::from_columns(columns)?.map(|tag| Self { tag, patients }))
    }
}

impl FromColumns for PatientTag {
    const TABLE: &'static str = Tag::TABLE;
    const KEY: &'static str = Tag::KEY;

    fn from_columns<R: ForeignRow>(columns: &mut Columns<'_, R>) -> sqlx::Result<Option<Self>> {
        let patient: Option<PatientId> = columns.required("patient_id")?;
        Ok(patient.zip(Tag::from_columns(columns)?).map(|(patient_id, tag)| Self { patient_id, tag }))
    }
}

/// A tag's own columns, at a bounded size.
macro_rules! columns {
    () => {
        concat!(short!("name", 255), ", ", short!("colour", 255))
    };
}

/// Returns up to `limit` tags of the practice after the first `offset`, by name.
pub async fn list(conn: &mut Conn, limit: i64, offset: i64) -> Result<Vec<CountedTag>> {
    let rows: Vec<Read<CountedTag>> = on!(&mut *conn, |c| sqlx::query_as(concat!(
        "select tag_id, ",
        columns!(),
        ",
                (select count(*) from patient_tags where patient_tags.tag_id = tags.tag_id) as patients
         from tags order by tags.name, tag_id limit $1 offset $2",
    ))
    .bind(limit)
    .bind(offset)
    .fetch_all(c)
    .await)?;
    Ok(accept_all(conn, rows))
}

/// Returns up to `limit` tags of the patient after the first `offset`, by name.
pub async fn of_patient(conn: &mut Conn, id: PatientId, limit: i64, offset: i64) -> Result<Vec<CountedTag>> {
    let rows: Vec<Read<CountedTag>> = on!(&mut *conn, |c| sqlx::query_as(concat!(
        "select tags.tag_id, ",
        columns!(),
        ",
                (select count(*) from patient_tags others where others.tag_id = tags.tag_id) as patients
         from patient_tags join tags on tags.tag_id = patient_tags.tag_id
         where patient_tags.patient_id = $1 order by tags.name, tags.tag_id limit $2 offset $3",
    ))
    .bind(id)
    .bind(limit)
    .bind(offset)
    .fetch_all(c)
    .await)?;
    Ok(accept_all(conn, rows))
}

/// The most tags to include in a patient's record.
pub const MOST_IN_RECORD: usize = 50;

/// Returns the first [`MOST_IN_RECORD`] tags of each of the given patients, by patient and name.
pub async fn of_patients(conn: &mut Conn, ids: &[PatientId]) -> Result<Vec<PatientTag>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let places: Vec<String> = (1..=ids.len()).map(|number| format!("${number}")).collect();
    let statement = format!(
        "select patient_id, tag_id, {} from (
             select patient_tags.patient_id, tags.tag_id, name, colour, row_number() over (
                 partition by patient_tags.patient_id order by name, tags.tag_id
             ) as place
             from patient_tags join tags on tags.tag_id = patient_tags.tag_id
             where patient_tags.patient_id in ({})
         ) numbered where place <= {MOST_IN_RECORD} order by patient_id, place",
        columns!(),
        places.join(", "),
    );
    let rows: Vec<Read<PatientTag>> = on!(&mut *conn, |c| {
        let select = sqlx::query_as(sqlx::AssertSqlSafe(statement));
        ids.iter().fold(select, |select, id| select.bind(*id)).fetch_all(c).await
    })?;
    Ok(accept_all(conn, rows))
}

pub async fn exists(conn: &mut Conn, id: TagId) -> Result<bool> {
    Ok(on!(conn, |c| sqlx::query_scalar("select exists (select 1 from tags where tag_id = $1)")
        .bind(id)
        .fetch_one(c)
        .await)?)
}

/// Assigns the tag to the patient; `false` if the patient already had it.
pub async fn assign(conn: &mut Conn, patient: PatientId, tag: TagId) -> Result<bool> {
    let inserted: Option<i64> =
        on!(conn, |c| {
            sqlx::query_scalar(
        "insert into patient_tags (patient_id, tag_id) values ($1, $2) on conflict do nothing returning \
            tag_id",
    ).bind(patient).bind(tag).fetch_optional(c).await
        })?;
    Ok(inserted.is_some())
}

/// Removes the tag from the patient; `false` if the patient did not have it.
pub async fn remove(conn: &mut Conn, patient: PatientId, tag: TagId) -> Result<bool> {
    let removed: Option<i64> = on!(conn, |c| sqlx::query_scalar(
        "delete from patient_tags where patient_id = $1 and tag_id = $2 returning tag_id",
    )
    .bind(patient)
    .bind(tag)
    .fetch_optional(c)
    .await)?;
    Ok(removed.is_some())
}

/// Removes all tags from the patient; returns their number.
pub async fn remove_all(conn: &mut Conn, patient: PatientId) -> Result<u64> {
    Ok(on!(conn, |c| sqlx::query("delete from patient_tags where patient_id = $1")
        .bind(patient)
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?)
}
