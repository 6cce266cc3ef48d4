//! A row of the `patients` table, its columns always in the same order.

use jiff::{Timestamp, civil::Date};
use jiff_sqlx::ToSqlx;

use crate::domain::{
    ids::{PatientId, ProviderId},
    search::words_of,
};
use crate::sql::foreign::{Columns, ForeignRow, FromColumns};

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

/// The columns of [`PatientDetails`], in their order.
macro_rules! columns {
    () => {
        "first_name, mi, last_name, full_name, nick_name, gender, dob, life_stage, pronouns, \
            sexual_identity, primary_language, type, phone, cell_phone, sms_phone, email, address, unit, \
            city, state, zip, country, provider_id, prospect, sh_name, sh_address, sh_unit, sh_city, \
            sh_state, sh_zip, sh_country, pt_img, notes"
    };
}
pub(super) use columns;

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
pub(super) use read_columns;

/// The columns for a single patient.
macro_rules! whole_columns {
    () => {
        read_columns!("case when octet_length(pt_img) <= 400000 then pt_img end as pt_img", 20000)
    };
}
pub(super) use whole_columns;

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
pub(super) use listed_columns;

/// One placeholder for each column in [`columns`].
macro_rules! placeholders {
    () => {
        "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, \
            $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33"
    };
}
pub(super) use placeholders;

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
pub(super) use bind_details;

impl PatientDetails {
    pub fn dob(&self) -> Option<Date> {
        self.dob.map(jiff_sqlx::Date::to_jiff)
    }

    pub fn set_dob(&mut self, dob: Option<Date>) {
        self.dob = dob.map(ToSqlx::to_sqlx);
    }

    /// Returns a bit for each column that differs; the lowest is the first one of [`columns`].
    pub(super) fn changed_columns(&self, after: &Self) -> i64 {
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

    pub(super) fn phones(&self) -> impl Iterator<Item = &str> {
        [&self.phone, &self.cell_phone, &self.sms_phone].into_iter().flatten().map(String::as_str)
    }

    pub(super) fn words(&self) -> std::collections::BTreeSet<String> {
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
