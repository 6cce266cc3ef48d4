//! The JSON representation of visits.

use jiff::civil::{Date, Time};
use serde::Serialize;
use shared::{
    api::LocalTime,
    domain::{
        ids::{PatientId, ProviderId, RoomId, VisitId},
        schedule::Minutes,
        visit_status::VisitStatus,
    },
    tenant::visits::{Appointment, Visit},
};
use utoipa::ToSchema;

/// A visit that was booked.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct BookedVisit {
    #[serde(rename = "VisitID")]
    #[schema(example = 555)]
    pub(crate) visit_id: VisitId,
    #[serde(rename = "PatientID")]
    #[schema(example = 1001)]
    pub(crate) patient_id: PatientId,
    #[serde(rename = "ProviderID")]
    provider_id: ProviderId,
    #[schema(example = "Consult")]
    pub(crate) visit_type: String,
    /// Local date.
    visit_date: Date,
    /// Local time.
    #[schema(value_type = LocalTime, example = "10:00:00")]
    visit_time: Time,
    /// Duration in minutes.
    visit_duration: Minutes,
    /// Local start of the provider's part.
    #[schema(value_type = LocalTime, example = "10:00:00")]
    provider_time: Time,
    /// Duration of the provider's part in minutes.
    provider_duration: Minutes,
    /// The room; null if the visit type needs none.
    #[serde(rename = "RoomID")]
    #[schema(example = 102)]
    room_id: Option<RoomId>,
}

/// A visit.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = Visit)]
pub(crate) struct VisitBody {
    #[serde(rename = "VisitID")]
    #[schema(example = 555)]
    visit_id: VisitId,
    #[serde(rename = "PatientID")]
    #[schema(example = 1001)]
    patient_id: PatientId,
    #[serde(rename = "ProviderID")]
    provider_id: ProviderId,
    #[schema(example = "Consult")]
    visit_type: String,
    /// Local date; null if the EMR stored an invalid one.
    visit_date: Option<Date>,
    /// Local time; null if the EMR stored an invalid one. Such a visit blocks the whole day.
    #[schema(value_type = Option<LocalTime>, example = "10:00:00")]
    visit_time: Option<Time>,
    /// Duration in minutes.
    visit_duration: Minutes,
    /// Local start of the provider's part; null if the EMR stored an invalid time.
    #[schema(value_type = Option<LocalTime>, example = "10:00:00")]
    provider_time: Option<Time>,
    /// Duration of the provider's part in minutes.
    provider_duration: Minutes,
    /// The room; null if the visit type needs none.
    #[serde(rename = "RoomID")]
    #[schema(example = 102)]
    room_id: Option<RoomId>,
    visit_complaint: Option<String>,
    visit_notes: Option<String>,
    status: VisitStatus,
    /// RFC 3339; null if the EMR stored an invalid time.
    #[schema(value_type = Option<String>, format = DateTime)]
    created_at: Option<jiff::Timestamp>,
    /// RFC 3339; null if the EMR stored an invalid time.
    #[schema(value_type = Option<String>, format = DateTime)]
    updated_at: Option<jiff::Timestamp>,
}

impl BookedVisit {
    pub(crate) fn new(
        visit_id: VisitId,
        patient_id: PatientId,
        visit_type: String,
        it: &Appointment,
    ) -> Self {
        Self {
            visit_id,
            patient_id,
            provider_id: it.provider,
            visit_type,
            visit_date: it.place.date,
            visit_time: it.time,
            visit_duration: it.duration,
            provider_time: it.provider_time,
            provider_duration: it.provider_duration,
            room_id: it.room,
        }
    }
}

impl From<Visit> for VisitBody {
    fn from(visit: Visit) -> Self {
        Self {
            visit_id: visit.id,
            patient_id: visit.patient,
            provider_id: visit.provider,
            visit_type: visit.visit_type,
            visit_date: visit.date,
            visit_time: visit.time,
            visit_duration: visit.duration,
            provider_time: visit.provider_time,
            provider_duration: visit.provider_duration,
            room_id: visit.room,
            visit_complaint: visit.complaint,
            visit_notes: visit.notes,
            status: visit.status,
            created_at: visit.created_at,
            updated_at: visit.updated_at,
        }
    }
}
