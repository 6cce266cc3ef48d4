//! Handles `GET …/providers/{id}/slots`.

use jiff::civil::{Date, Time};
use serde::Serialize;
use shared::{
    api::{ApiResult, Data, LocalTime, PathId, PracticePath, Problem, Query, Tenant, scope::Providers},
    domain::{ids::ProviderId, schedule::Minutes},
    params,
};
use utoipa::ToSchema;

use crate::calendar::{self, VisitTypeParam};

params! {
    pub(crate) struct SlotsQuery {
        /// Local date, `YYYY-MM-DD`.
        "date" => date: Date,
        /// Duration in minutes, 1 to 1440.
        "duration" => duration: Minutes,
        /// Also applies the rules of this visit type: its buffers, allowed providers and rooms.
        "visitType" => visit_type: Option<VisitTypeParam>,
    }
}

/// The available start times of one date.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SlotsBody {
    #[serde(rename = "ProviderID")]
    provider_id: ProviderId,
    date: Date,
    duration: Minutes,
    /// Local times in ascending order.
    #[schema(value_type = Vec<LocalTime>, example = json!(["09:00:00", "11:30:00", "14:00:00"]))]
    slots: Vec<Time>,
    count: usize,
}

/// Get all available slots for a provider on a specific date.
///
/// Slots start every 15 minutes, or at the practice's own interval, from the start of each working
/// window. A date that is past, closed or full has none.
#[utoipa::path(
    get,
    path = "/v1/{PPass}/availability/providers/{id}/slots",
    tag = "Providers",
    params(PracticePath, ("id" = ProviderId, Path, description = "The provider's id"), SlotsQuery),
    responses(
        (status = 200, body = Data<SlotsBody>),
        (status = 404, body = Problem, description = "`NOT_FOUND`: the provider is unknown or inactive"),
        (status = 422, body = Problem, description = "`VISIT_TYPE_UNKNOWN`"),
    ),
)]
pub(crate) async fn list_slots(
    tenant: Tenant<Providers>,
    PathId(id): PathId<ProviderId>,
    Query(query): Query<SlotsQuery>,
) -> ApiResult<Data<SlotsBody>> {
    let SlotsQuery { date, duration, visit_type } = query;
    let calendar = calendar::read(&tenant, id, visit_type.as_ref(), (date, date)).await?;
    let slots = calendar.slots(date, duration);
    Ok(Data { data: SlotsBody { provider_id: id, date, duration, count: slots.len(), slots } })
}
