//! `GET …/providers/{id}/check`

use jiff::civil::{Date, Time};
use serde::Serialize;
use shared::{
    api::{ApiResult, Data, LocalTime, PathId, PracticePath, Problem, Query, Tenant, scope::Providers},
    domain::{
        ids::ProviderId,
        schedule::{Minutes, Place, Refusal},
    },
    params,
};
use utoipa::ToSchema;

use crate::calendar::{self, WantedVisitType};

params! {
    pub(crate) struct CheckQuery {
        /// Local date, `YYYY-MM-DD`.
        "date" => date: Date,
        /// Local time, `HH:MM` or `HH:MM:SS`; of one that occurs twice, the first is meant.
        #[param(value_type = LocalTime, example = "10:15:00")]
        "time" => time: Time,
        /// Minutes, 1 to 1440.
        "duration" => duration: Minutes,
        /// Also apply the rules of this visit type: its buffers, its providers, its rooms.
        "visitType" => visit_type: Option<WantedVisitType>,
    }
}

/// Whether a visit could take place.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CheckBody {
    #[serde(rename = "ProviderID")]
    provider_id: ProviderId,
    date: Date,
    #[schema(value_type = LocalTime, example = "10:15:00")]
    time: Time,
    duration: Minutes,
    available: bool,
    /// Why not; only when not available.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
}

/// Why a visit could not take place.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Reason {
    VisitTypeInactive,
    ProviderNotAllowed,
    /// Clocks skip this local time.
    DstGap,
    Past,
    BeyondHorizon,
    OutsideHours,
    TimeOff,
    Booked,
    /// No room of the visit type is free.
    NoResource,
}

impl From<Refusal> for Reason {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::VisitTypeInactive => Self::VisitTypeInactive,
            Refusal::ProviderNotAllowed => Self::ProviderNotAllowed,
            Refusal::SkippedTime => Self::DstGap,
            Refusal::Past => Self::Past,
            Refusal::BeyondHorizon => Self::BeyondHorizon,
            Refusal::OutsideHours => Self::OutsideHours,
            Refusal::TimeOff => Self::TimeOff,
            Refusal::Booked => Self::Booked,
            Refusal::NoResource => Self::NoResource,
        }
    }
}

/// Check whether a specific date/time/duration slot is available.
///
/// Any start is possible, not only those of the grid. When several reasons speak against it, the first in the order of
/// the documentation is named.
#[utoipa::path(
    get,
    path = "/v1/{PPass}/availability/providers/{id}/check",
    tag = "Providers",
    params(PracticePath, ("id" = ProviderId, Path, description = "The provider."), CheckQuery),
    responses(
        (status = 200, body = Data<CheckBody>),
        (status = 404, body = Problem, description = "`NOT_FOUND`: also when the provider is not active"),
        (status = 422, body = Problem, description = "`VISIT_TYPE_UNKNOWN`"),
    ),
)]
pub(crate) async fn check_slot(
    tenant: Tenant<Providers>,
    PathId(id): PathId<ProviderId>,
    Query(query): Query<CheckQuery>,
) -> ApiResult<Data<CheckBody>> {
    let CheckQuery { date, time, duration, visit_type } = query;
    let calendar = calendar::read(&tenant, id, visit_type.as_ref(), (date, date)).await?;
    let decision = calendar.decide(&Place::at(tenant.db.time_zone(), date, time, duration), &[]);
    let reason = decision.err().and_then(|refused| refused.first().map(|it| it.refusal.into()));
    let available = reason.is_none();
    Ok(Data { data: CheckBody { provider_id: id, date, time, duration, available, reason } })
}
