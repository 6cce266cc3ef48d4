//! The `patients` table: prospects and patients.

use jiff::{Timestamp, civil::Date};
use jiff_sqlx::ToSqlx;
use sqlx::AssertSqlSafe;

use super::patient_words;
use crate::domain::{
    contact::{email_key, fold, phone_key},
    ids::{PatientId, ProviderId},
    search::{Term, email_word, longest_name_word, words_of},
};
use crate::sql::{
    Conn, Result,
    bounded::short,
    foreign::{Columns, ForeignRow, FromColumns, Read, accept_all, is_true},
    free_ids::free_id,
    on,
    page::{MOST_COUNTED, PageRows},
    round_trip,
};

/// The personal data that partners read and write; texts are stored as they were entered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PatientDetails {
    pub first_name: String,
    pub mi: Option<String>,
    pub last_name: String,
    pub full_name: String,
    pub nick_name: Option<String>,
    pub gender: Option<String>,
    /// Read and written as a [`Date`] by [`Self::dob`] and [`Self::set_dob`].
    pub dob: Option<jiff_sqlx::Date>,
    pub life_stage: Option<String>,
    pub pronouns: Option<String>,
    pub sexual_identity: Option<String>,
    pub primary_language: Option<String>,
    pub kind: Option<String>,
    pub phone: Option<String>,
    pub cell_phone: Option<String>,
    pub sms_phone: Option<String>,
    pub email: Option<String>,
    pub address: Option<String>,
    pub unit: Option<String>,
    pub city: Option<String>,
    pub state: Option<String>,
    pub zip: Option<String>,
    pub country: Option<String>,
    pub provider_id: Option<ProviderId>,
    pub prospect: bool,
    pub sh_name: Option<String>,
    pub sh_address: Option<String>,
    pub sh_unit: Option<String>,
    pub sh_city: Option<String>,
    pub sh_state: Option<String>,
    pub sh_zip: Option<String>,
    pub sh_country: Option<String>,
    pub pt_img: Option<String>,
    pub notes: Option<String>,
}

/// One row.
#[derive(Clone, Debug)]
pub struct Patient {
    pub patient_id: PatientId,
    pub details: PatientDetails,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// The filter of a list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// `true`: prospects only, `false`: patients only.
    pub prospect: Option<bool>,
    /// A patient must match every term. `None` lists all; an empty list matches nobody.
    pub terms: Option<Vec<Term>>,
}

/// The columns of [`PatientDetails`], in their order.
macro_rules! columns {
    () => {
        "first_name, mi, last_name, full_name, nick_name, gender, dob, life_stage, pronouns, \
            sexual_identity, primary_language, type, phone, cell_phone, sms_phone, email, address, unit, \
            city, state, zip, country, provider_id, prospect, sh_name, sh_address, sh_unit, sh_city, \
            sh_state, sh_zip, sh_country, pt_img, notes"
    };
}

/// The columns of [`PatientDetails`] as they are selected, at a bounded size.
///
/// Longer texts of the EMR are truncated. A picture above the limit cannot be truncated, so it
/// reads as null.
macro_rules! read_columns {
    ($image:literal, $notes:literal) => {
        concat!(
            short!("first_name", 255),
            ", ",
            short!("mi", 255),
            ", ",
            short!("last_name", 255),
            ", ",
            short!("full_name", 255),
            ", ",
            short!("nick_name", 255),
            ", ",
            short!("gender", 255),
            ", ",
            "dob",
            ", ",
            short!("life_stage", 255),
            ", ",
            short!("pronouns", 255),
            ", ",
            short!("sexual_identity", 255),
            ", ",
            short!("primary_language", 255),
            ", ",
            short!("type", 255),
            ", ",
            short!("phone", 255),
            ", ",
            short!("cell_phone", 255),
            ", ",
            short!("sms_phone", 255),
            ", ",
            short!("email", 255),
            ", ",
            short!("address", 255),
            ", ",
            short!("unit", 255),
            ", ",
            short!("city", 255),
            ", ",
            short!("state", 255),
            ", ",
            short!("zip", 255),
            ", ",
            short!("country", 255),
            ", ",
            "provider_id",
            ", ",
            "prospect",
            ", ",
            short!("sh_name", 255),
            ", ",
            short!("sh_address", 255),
            ", ",
            short!("sh_unit", 255),
            ", ",
            short!("sh_city", 255),
            ", ",
            short!("sh_state", 255),
            ", ",
            short!("sh_zip", 255),
            ", ",
            short!("sh_country", 255),
            ", ",
            $image,
            ", ",
            short!("notes", $notes)
        )
    };
}

/// The columns for a single patient.
macro_rules! whole_columns {
    () => {
        read_columns!("case when octet_length(pt_img) <= 400000 then pt_img end as pt_img", 20000)
    };
}

/// The columns for a page. An embedded image is reduced to a marker.
macro_rules! listed_columns {
    () => {
        read_columns!(
            "case when pt_img like 'data:%' or octet_length(pt_img) > 10000 then 'data:' else pt_img end as \
                pt_img",
            10000
        )
    };
}

/// One placeholder for each column in [`columns`].
macro_rules! placeholders {
    () => {
        "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, \
            $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33"
    };
}

macro_rules! bind_details {
    ($query:expr, $details:expr) => {
        $query
            .bind(&$details.first_name)
            .bind(&$details.mi)
            .bind(&$details.last_name)
            .bind(&$details.full_name)
            .bind(&$details.nick_name)
            .bind(&$details.gender)
            .bind($details.dob)
            .bind(&$details.life_stage)
            .bind(&$details.pronouns)
            .bind(&$details.sexual_identity)
            .bind(&$details.primary_language)
            .bind(&$details.kind)
            .bind(&$details.phone)
            .bind(&$details.cell_phone)
            .bind(&$details.sms_phone)
            .bind(&$details.email)
            .bind(&$details.address)
            .bind(&$details.unit)
            .bind(&$details.city)
            .bind(&$details.state)
            .bind(&$details.zip)
            .bind(&$details.country)
            .bind($details.provider_id)
            .bind($details.prospect)
            .bind(&$details.sh_name)
            .bind(&$details.sh_address)
            .bind(&$details.sh_unit)
            .bind(&$details.sh_city)
            .bind(&$details.sh_state)
            .bind(&$details.sh_zip)
            .bind(&$details.sh_country)
            .bind(&$details.pt_img)
            .bind(&$details.notes)
    };
}

impl PatientDetails {
    pub fn dob(&self) -> Option<Date> {
        self.dob.map(jiff_sqlx::Date::to_jiff)
    }

    pub fn set_dob(&mut self, dob: Option<Date>) {
        self.dob = dob.map(ToSqlx::to_sqlx);
    }

    /// Returns a bit for each column that differs; the lowest is the first one of [`columns`].
    fn changed_columns(&self, after: &Self) -> i64 {
        macro_rules! differ {
            ($($field:ident)+) => { [$(self.$field != after.$field),+] };
        }
        let differ = differ!(
            first_name mi last_name full_name nick_name gender dob life_stage pronouns
            sexual_identity primary_language kind phone cell_phone sms_phone email address unit city
            state zip country provider_id prospect sh_name sh_address sh_unit sh_city sh_state
            sh_zip sh_country pt_img notes
        );
        differ.iter().enumerate().map(|(index, differs)| i64::from(*differs) << index).sum()
    }

    /// Joins first name, middle initial and last name.
    pub fn name_of_parts(&self) -> String {
        let parts = [Some(&self.first_name), self.mi.as_ref(), Some(&self.last_name)];
        parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    fn phones(&self) -> impl Iterator<Item = &str> {
        [&self.phone, &self.cell_phone, &self.sms_phone].into_iter().flatten().map(String::as_str)
    }

    fn words(&self) -> std::collections::BTreeSet<String> {
        let names = [
            Some(&self.first_name),
            self.mi.as_ref(),
            Some(&self.last_name),
            Some(&self.full_name),
            self.nick_name.as_ref(),
        ];
        words_of(names.into_iter().flatten().map(String::as_str), self.email.as_deref(), self.phones())
    }
}

impl Patient {
    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }

    pub fn updated_at(&self) -> Timestamp {
        self.updated_at
    }
}

impl FromColumns for Patient {
    const TABLE: &'static str = "patients";
    const KEY: &'static str = "patient_id";

    fn from_columns<R: ForeignRow>(columns: &mut Columns<'_, R>) -> sqlx::Result<Option<Self>> {
        let id = columns.required("patient_id")?;
        // An infinite date of birth is unreadable.
        let dob = columns.date("dob")?;
        let mut details = PatientDetails {
            first_name: columns.text("first_name")?,
            mi: columns.optional("mi")?,
            last_name: columns.text("last_name")?,
            full_name: columns.text("full_name")?,
            nick_name: columns.optional("nick_name")?,
            gender: columns.optional("gender")?,
            life_stage: columns.optional("life_stage")?,
            pronouns: columns.optional("pronouns")?,
            sexual_identity: columns.optional("sexual_identity")?,
            primary_language: columns.optional("primary_language")?,
            kind: columns.optional("type")?,
            phone: columns.optional("phone")?,
            cell_phone: columns.optional("cell_phone")?,
            sms_phone: columns.optional("sms_phone")?,
            email: columns.optional("email")?,
            address: columns.optional("address")?,
            unit: columns.optional("unit")?,
            city: columns.optional("city")?,
            state: columns.optional("state")?,
            zip: columns.optional("zip")?,
            country: columns.optional("country")?,
            provider_id: columns.optional("provider_id")?,
            prospect: columns.or("prospect", false)?,
            sh_name: columns.optional("sh_name")?,
            sh_address: columns.optional("sh_address")?,
            sh_unit: columns.optional("sh_unit")?,
            sh_city: columns.optional("sh_city")?,
            sh_state: columns.optional("sh_state")?,
            sh_zip: columns.optional("sh_zip")?,
            sh_country: columns.optional("sh_country")?,
            pt_img: columns.optional("pt_img")?,
            notes: columns.optional("notes")?,
            ..PatientDetails::default()
        };
        details.set_dob(dob);
        let (created_at, updated_at) = (columns.instant("created_at")?, columns.instant("updated_at")?);
        Ok(id.map(|patient_id| Self { patient_id, details, created_at, updated_at }))
    }
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

/// The most duplicates to return.
const MAX_DUPLICATES: usize = 50;
/// The most patients to compare for each criterion, lowest ids first.
///
/// Nearly all patients who share an e-mail address or phone number resemble each other, so these
/// suffice even if thousands share a placeholder number.
const MAX_COMPARED: usize = 100;

/// A patient and the data that it is compared by.
struct Compared {
    patient_id: PatientId,
    likeness: Likeness,
}

struct Likeness {
    first_name: String,
    last_name: String,
    dob: Option<Date>,
    phones: [Option<String>; 3],
    email: Option<String>,
}

impl FromColumns for Compared {
    const TABLE: &'static str = Patient::TABLE;
    const KEY: &'static str = Patient::KEY;

    fn from_columns<R: ForeignRow>(columns: &mut Columns<'_, R>) -> sqlx::Result<Option<Self>> {
        let id = columns.required("patient_id")?;
        let likeness = Likeness {
            first_name: columns.text("first_name")?,
            last_name: columns.text("last_name")?,
            dob: columns.date("dob")?,
            phones: [
                columns.optional("phone")?,
                columns.optional("cell_phone")?,
                columns.optional("sms_phone")?,
            ],
            email: columns.optional("email")?,
        };
        Ok(id.map(|patient_id| Self { patient_id, likeness }))
    }
}

impl Likeness {
    fn of(details: &PatientDetails) -> Self {
        Self {
            first_name: details.first_name.clone(),
            last_name: details.last_name.clone(),
            dob: details.dob(),
            phones: [details.phone.clone(), details.cell_phone.clone(), details.sms_phone.clone()],
            email: details.email.clone(),
        }
    }

    fn phones(&self) -> impl Iterator<Item = &str> {
        self.phones.iter().flatten().map(String::as_str)
    }

    /// Whether both may be the same person.
    ///
    /// They share an e-mail address or phone number, or have the same name and date of birth.
    fn resembles(&self, other: &Self) -> bool {
        let key = |email: &Option<String>| email.as_deref().map(email_key);
        let same_email = self.email.is_some() && key(&self.email) == key(&other.email);
        let same_phone = self.phones().any(|one| other.phones().any(|two| phone_key(one) == phone_key(two)));
        let name = |it: &Self| (fold(it.first_name.trim()), fold(it.last_name.trim()));
        let same_birth = self.dob.is_some() && self.dob == other.dob;
        same_email || same_phone || (same_birth && name(self) == name(other))
    }
}

/// Returns patients that may be the same person, lowest id first; at most 50.
///
/// One statement, with short rows.
pub async fn possible_duplicates(conn: &mut Conn, details: &PatientDetails) -> Result<Vec<PatientId>> {
    let mut words: Vec<String> = details.phones().map(phone_key).collect();
    words.extend(details.email.as_deref().map(email_word));
    words.sort_unstable();
    words.dedup();
    let mut found: Vec<String> = (1..=words.len())
        .map(|number| {
            format!(
                "select patient_id from (select patient_id from patient_words where word = ${number}
                 order by patient_id limit {MAX_COMPARED}) of_word{number}"
            )
        })
        .collect();
    let born = details.dob.zip(longest_name_word(&details.last_name));
    if born.is_some() {
        let word = words.len() + 1;
        found.push(format!(
            "select patient_id from (select patient_id from patients
             where dob = ${} and patient_id in (select patient_id from patient_words where word = ${word})
             order by patient_id limit {MAX_COMPARED}) born",
            word + 1,
        ));
    }
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let columns = concat!(
        short!("first_name", 255),
        ", ",
        short!("last_name", 255),
        ", dob, ",
        short!("phone", 255),
        ", ",
        short!("cell_phone", 255),
        ", ",
        short!("sms_phone", 255),
        ", ",
        short!("email", 255)
    );
    let statement = format!(
        "select patient_id, {columns} from patients where patient_id in ({}) order by patient_id",
        found.join(" union "),
    );
    let candidates: Vec<Read<Compared>> = on!(&mut *conn, |c| {
        let mut query = sqlx::query_as(AssertSqlSafe(statement));
        for word in &words {
            query = query.bind(word);
        }
        if let Some((dob, word)) = &born {
            query = query.bind(word).bind(*dob);
        }
        query.fetch_all(c).await
    })?;
    let likeness = Likeness::of(details);
    let candidates = accept_all(conn, candidates);
    let alike = candidates.iter().filter(|it| likeness.resembles(&it.likeness)).map(|it| it.patient_id);
    Ok(alike.take(MAX_DUPLICATES).collect())
}
