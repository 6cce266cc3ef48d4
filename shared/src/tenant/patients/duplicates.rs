//! Patients that may be the same person.

use jiff::civil::Date;
use sqlx::AssertSqlSafe;

use super::row::{Patient, PatientDetails};
use crate::domain::{
    contact::{email_key, fold, phone_key},
    ids::PatientId,
    search::{email_word, longest_name_word},
};
use crate::sql::{
    Conn, Result,
    bounded::short,
    foreign::{Columns, ForeignRow, FromColumns, Read, accept_all},
    on,
};

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
