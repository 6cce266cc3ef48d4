//! The `unindexed_patients` table: patients whose search words are missing or outdated.
//!
//! Triggers add a patient after the EMR's own programs wrote it; [`patient_words`] removes it.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use sqlx::AssertSqlSafe;

use super::patient_words;
use crate::domain::{ids::PatientId, search::words_of};
use crate::sql::{
    Conn, Database, Error, Result,
    bounded::short,
    foreign::{Columns, ForeignRow, FromColumns, Read, accept_all},
    on,
};

/// Patients per transaction, which locks them, so it has to be short.
const AT_ONCE: i64 = 50;

/// Updates the search words of the listed patients, as many as `limit` allows.
///
/// Returns their number.
///
/// Patients that another transaction is changing wait for the next run.
///
/// # Errors
/// Errors of the database.
pub async fn index(db: &Database, limit: Duration) -> Result<usize> {
    let begun = Instant::now();
    let mut all = 0;
    // Most often the list is empty, and nothing is locked.
    while has_any(db).await? {
        let renewed = index_some(db).await?;
        all += renewed;
        if renewed == 0 || begun.elapsed() >= limit {
            break;
        }
    }
    Ok(all)
}

/// The same as [`index`], before a search and for no longer than [`Timeouts::before_search`].
///
/// [`Timeouts::before_search`]: crate::sql::Timeouts::before_search
pub async fn index_before_search(db: &Database) {
    if let Err(error) = index(db, db.timeouts().before_search).await {
        tracing::warn!(%error, "patients could not be indexed for search");
    }
}

async fn has_any(db: &Database) -> Result<bool> {
    let mut conn = db.connection().await?;
    Ok(on!(&mut conn, |c| {
        sqlx::query_scalar(
            "select exists (select 1 from unindexed_patients u
                where exists (select 1 from patients p where p.patient_id = u.patient_id))",
        )
        .fetch_one(c)
        .await
    })?)
}

async fn index_some(db: &Database) -> Result<usize> {
    crate::in_transaction!(db, Error, |conn| {
        let patients = lock_some(conn).await?;
        let words: Vec<_> = patients.iter().map(|it| (it.patient_id, it.words())).collect();
        patient_words::replace(conn, &words).await?;
        Ok(words.len())
    })
}

/// Locks some of the listed patients.
///
/// On `SQLite` the transaction holds the only write lock. On `PostgreSQL` the row locks still allow
/// visits to reference the patients.
async fn lock_some(conn: &mut Conn) -> Result<Vec<Unindexed>> {
    let lock = if matches!(conn, Conn::Postgres(_)) { "for no key update of p skip locked" } else { "" };
    let statement = format!(
        "select p.patient_id, {NAMED} from unindexed_patients u join patients p on p.patient_id = \
            u.patient_id
         order by u.patient_id limit $1 {lock}"
    );
    let rows: Vec<Read<Unindexed>> =
        on!(&mut *conn, |c| sqlx::query_as(AssertSqlSafe(statement)).bind(AT_ONCE).fetch_all(c).await)?;
    Ok(accept_all(conn, rows))
}

/// Longer texts are found by their start.
const NAMED: &str = concat!(
    short!("first_name", 1000),
    ", ",
    short!("mi", 1000),
    ", ",
    short!("last_name", 1000),
    ", ",
    short!("full_name", 1000),
    ", ",
    short!("nick_name", 1000),
    ", ",
    short!("email", 1000),
    ", ",
    short!("phone", 1000),
    ", ",
    short!("cell_phone", 1000),
    ", ",
    short!("sms_phone", 1000)
);

struct Unindexed {
    patient_id: PatientId,
    /// First name, middle initial, last name, full name, nickname.
    names: [Option<String>; 5],
    email: Option<String>,
    phones: [Option<String>; 3],
}

impl FromColumns for Unindexed {
    const TABLE: &'static str = "patients";
    const KEY: &'static str = "patient_id";

    /// An unreadable column adds no words; it must block neither other columns nor other patients.
    fn from_columns<R: ForeignRow>(columns: &mut Columns<'_, R>) -> sqlx::Result<Option<Self>> {
        let id = columns.required("patient_id")?;
        let mut text = |column| columns.optional(column);
        let names =
            [text("first_name")?, text("mi")?, text("last_name")?, text("full_name")?, text("nick_name")?];
        let (email, phones) = (text("email")?, [text("phone")?, text("cell_phone")?, text("sms_phone")?]);
        Ok(id.map(|patient_id| Self { patient_id, names, email, phones }))
    }
}

impl Unindexed {
    fn words(&self) -> BTreeSet<String> {
        let names = self.names.iter().flatten().map(String::as_str);
        words_of(names, self.email.as_deref(), self.phones.iter().flatten().map(String::as_str))
    }
}
