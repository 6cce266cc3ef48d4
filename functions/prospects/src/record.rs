//! The JSON representation of a prospect.

use jiff::civil::Date;
use serde::Serialize;
use shared::{
    api::{ApiError, ApiResult, etag},
    domain::ids::{PatientId, ProviderId, TagId},
    sql::Conn,
    tenant::{
        patients::Patient,
        tags::{self, Tag},
    },
};
use utoipa::ToSchema;

/// A prospect or patient. A field without a value is null.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the reference's names")]
pub(crate) struct Prospect {
    #[serde(rename = "PatientID")]
    id: PatientId,
    #[serde(rename = "FirstName")]
    first_name: String,
    #[serde(rename = "MI")]
    mi: Option<String>,
    #[serde(rename = "LastName")]
    last_name: String,
    #[serde(rename = "FullName")]
    full_name: String,
    #[serde(rename = "NickName")]
    nick_name: Option<String>,
    /// `m`, `f`, `o` or `u`.
    #[serde(rename = "Gender")]
    gender: Option<String>,
    #[serde(rename = "DOB")]
    dob: Option<Date>,
    #[serde(rename = "LifeStage")]
    life_stage: Option<String>,
    #[serde(rename = "Pronouns")]
    pronouns: Option<String>,
    #[serde(rename = "SexualIdentity")]
    sexual_identity: Option<String>,
    #[serde(rename = "PrimaryLanguage")]
    primary_language: Option<String>,
    /// Comma-separated, e.g. `Patient,Cash`.
    #[serde(rename = "Type")]
    kind: Option<String>,
    #[serde(rename = "Phone")]
    phone: Option<String>,
    #[serde(rename = "CellPhone")]
    cell_phone: Option<String>,
    #[serde(rename = "SMSPhone")]
    sms_phone: Option<String>,
    #[serde(rename = "EMail")]
    email: Option<String>,
    #[serde(rename = "Address")]
    address: Option<String>,
    #[serde(rename = "Unit")]
    unit: Option<String>,
    #[serde(rename = "City")]
    city: Option<String>,
    #[serde(rename = "State")]
    state: Option<String>,
    #[serde(rename = "Zip")]
    zip: Option<String>,
    #[serde(rename = "Country")]
    country: Option<String>,
    #[serde(rename = "ProviderID")]
    provider_id: Option<ProviderId>,
    /// 1 = prospect, 0 = patient.
    #[serde(rename = "Prospect")]
    is_prospect: u8,
    #[serde(rename = "Sh_Name")]
    sh_name: Option<String>,
    #[serde(rename = "Sh_Address")]
    sh_address: Option<String>,
    #[serde(rename = "Sh_Unit")]
    sh_unit: Option<String>,
    #[serde(rename = "Sh_City")]
    sh_city: Option<String>,
    #[serde(rename = "Sh_State")]
    sh_state: Option<String>,
    #[serde(rename = "Sh_Zip")]
    sh_zip: Option<String>,
    #[serde(rename = "Sh_Country")]
    sh_country: Option<String>,
    /// Omitted from lists if the picture is a data URL; read the single prospect to get it.
    #[serde(rename = "PtImg", skip_serializing_if = "is_left_out")]
    pt_img: Option<String>,
    /// Omitted from lists if the record exceeds 10,000 bytes; read the single prospect to get it.
    #[serde(rename = "Notes")]
    #[schema(required = false)]
    notes: Option<String>,
    /// The first 50 tags by name. `GET /v1/{PPass}/tags/prospects/{id}` returns all of them. Like
    /// every long field, omitted from lists if the record exceeds 10,000 bytes.
    #[serde(rename = "Tags")]
    #[schema(required = false)]
    tags: Vec<TagName>,
    #[serde(rename = "CreatedAt")]
    #[schema(value_type = String, format = DateTime)]
    created_at: jiff::Timestamp,
    #[serde(rename = "UpdatedAt")]
    #[schema(value_type = String, format = DateTime)]
    updated_at: jiff::Timestamp,
}

/// A tag of a prospect.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TagName {
    id: TagId,
    name: String,
}

/// Whether the query for a page replaced the picture by the placeholder `data:`.
#[allow(clippy::ref_option, reason = "serde passes the field")]
fn is_left_out(image: &Option<String>) -> bool {
    image.as_deref() == Some("data:")
}

impl Prospect {
    pub(crate) fn new(patient: Patient, tags: impl IntoIterator<Item = Tag>) -> Self {
        let (created_at, updated_at) = (patient.created_at(), patient.updated_at());
        let it = patient.details;
        Self {
            id: patient.patient_id,
            dob: it.dob(),
            first_name: it.first_name,
            mi: it.mi,
            last_name: it.last_name,
            full_name: it.full_name,
            nick_name: it.nick_name,
            gender: it.gender,
            life_stage: it.life_stage,
            pronouns: it.pronouns,
            sexual_identity: it.sexual_identity,
            primary_language: it.primary_language,
            kind: it.kind,
            phone: it.phone,
            cell_phone: it.cell_phone,
            sms_phone: it.sms_phone,
            email: it.email,
            address: it.address,
            unit: it.unit,
            city: it.city,
            state: it.state,
            zip: it.zip,
            country: it.country,
            provider_id: it.provider_id,
            is_prospect: it.prospect.into(),
            sh_name: it.sh_name,
            sh_address: it.sh_address,
            sh_unit: it.sh_unit,
            sh_city: it.sh_city,
            sh_state: it.sh_state,
            sh_zip: it.sh_zip,
            sh_country: it.sh_country,
            pt_img: it.pt_img,
            notes: it.notes,
            tags: tags.into_iter().map(|tag| TagName { id: tag.tag_id, name: tag.name }).collect(),
            created_at,
            updated_at,
        }
    }

    /// Reads the patient's tags and returns both as a prospect.
    pub(crate) async fn of(conn: &mut Conn, patient: Patient) -> ApiResult<Self> {
        let tags = tags::of_patients(conn, &[patient.patient_id]).await?;
        Ok(Self::new(patient, tags.into_iter().map(|it| it.tag)))
    }

    /// Returns the [`etag`] of this state.
    pub(crate) fn etag(&self) -> ApiResult<String> {
        serde_json::to_value(self).map(|value| etag(&value)).map_err(|error| ApiError::internal(&error))
    }
}
