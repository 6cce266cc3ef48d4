//! Handles `GET …/providers/{id}/check`.

use jiff::civil::{Date, Time};
use serde::Serialize;
use shared::{
    api::{ApiResult, Data, LocalTime, PathId, PracticePath, Problem, Query, Tenant, scope::Providers},
    domain::{
        ids::ProviderId,
        schedule::{Minutes, Refusal, VisitTime},
    },
    params,
};
use utoipa::ToSchema;

use crate::calendar::{self, VisitTypeParam};

params! {
    pub(crate) struct CheckQuery {
        /// Local date, `YYYY-MM-DD`.
        "date" => date: Date,
        /// Local time, `HH:MM` or `HH:MM:SS`. If the clocks repeat it, the first one counts.
        #[param(value_type = LocalTime, example = "10:15:00")]
        "time" => time: Time,
        /// Duration in minutes, 1 to 1440.
        "duration" => duration: Minutes,
        /// Also applies the rules of this visit type: its buffers, allowed providers and rooms.
        "visitType" => visit_type: Option<VisitTypeParam>,
    }
}

/// Whether a visit can take place at a time.
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
    /// Why the time is not available. Omitted if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<Reason>,
}

/// Why a visit cannot take place at a time.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Reason {
    VisitTypeInactive,
    ProviderNotAllowed,
    /// The clocks skip this local time.
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
/// Any start time can be checked, not only those that `slots` offers. If several reasons apply,
/// `Reason` is the one that this documentation lists first.
#[utoipa::path(
    get,
    path = "/v1/{PPass}/availability/providers/{id}/check",
    tag = "Providers",
    params(PracticePath, ("id" = ProviderId, Path, description = "The provider's id"), CheckQuery),
    responses(
        (status = 200, body = Data<CheckBody>),
        (status = 404, body = Problem, description = "`NOT_FOUND`: the provider is unknown or inactive"),
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
    let decision = calendar.decide(&VisitTime::at(tenant.db.time_zone(), date, time, duration), &[]);
    let reason = decision.err().and_then(|refused| refused.first().map(|it| it.refusal.into()));
    let available = reason.is_none();
    Ok(Data { data: CheckBody { provider_id: id, date, time, duration, available, reason } })
}
