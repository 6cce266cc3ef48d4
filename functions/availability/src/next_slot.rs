//! Handles `GET …/providers/{id}/next-slot`.

use jiff::{
    Span,
    civil::{Date, Time},
};
use serde::Serialize;
use shared::{
    api::{
        ApiResult, Data, FieldProblem, FieldValue, LocalTime, PathId, PracticePath, Problem, Query, Source,
        Tenant, integer_between, scope::Providers,
    },
    domain::{ids::ProviderId, schedule::Minutes},
    params,
};
use utoipa::ToSchema;

use crate::calendar::{self, VisitTypeParam};

/// Number of local dates to search, today included.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(value_type = i64, minimum = 1, maximum = 365, default = 365)]
pub(crate) struct MaxDays(i64);

impl FieldValue for MaxDays {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        integer_between(source, 1, 365).map(Self)
    }
}

params! {
    pub(crate) struct NextSlotQuery {
        /// Duration in minutes, 1 to 1440.
        "duration" => duration: Minutes,
        /// Number of local dates to search, today included: 1 to 365. Defaults to 365.
        "maxDays" => max_days: Option<MaxDays>,
        /// Also applies the rules of this visit type: its buffers, allowed providers and rooms.
        "visitType" => visit_type: Option<VisitTypeParam>,
    }
}

/// The result of a search for the next available slot.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NextSlotBody {
    #[serde(rename = "ProviderID")]
    provider_id: ProviderId,
    duration: Minutes,
    search_window_days: i64,
    /// Null if no slot is available within the search window.
    the_next_slot: Option<NextSlot>,
}

/// The earliest available start time.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NextSlot {
    /// The provider's id, as a string.
    #[serde(rename = "ProviderID")]
    #[schema(example = "1")]
    provider_id: String,
    date: Date,
    /// Local time.
    #[schema(value_type = LocalTime, example = "09:00:00")]
    time: Time,
}

/// Get the next available slot for a provider.
///
/// `TheNextSlot` is null if no slot is available within `maxDays`. For compatibility, its
/// `ProviderID` is a string.
#[utoipa::path(
    get,
    path = "/v1/{PPass}/availability/providers/{id}/next-slot",
    tag = "Providers",
    params(PracticePath, ("id" = ProviderId, Path, description = "The provider's id"), NextSlotQuery),
    responses(
        (status = 200, body = Data<NextSlotBody>),
        (status = 404, body = Problem, description = "`NOT_FOUND`: the provider is unknown or inactive"),
        (status = 422, body = Problem, description = "`VISIT_TYPE_UNKNOWN`"),
    ),
)]
pub(crate) async fn find_next_slot(
    tenant: Tenant<Providers>,
    PathId(id): PathId<ProviderId>,
    Query(query): Query<NextSlotQuery>,
) -> ApiResult<Data<NextSlotBody>> {
    let NextSlotQuery { duration, max_days, visit_type } = query;
    let search_window_days = max_days.map_or(365, |it| it.0);
    let today = tenant.db.time_zone().to_datetime(tenant.now).date();
    let last = today.saturating_add(Span::new().days(search_window_days - 1));
    let calendar =
        calendar::read_first_free(&tenant, id, visit_type.as_ref(), (today, last), duration).await?;
    let the_next_slot =
        calendar.next_slot(duration).map(|(date, time)| NextSlot { provider_id: id.to_string(), date, time });
    Ok(Data { data: NextSlotBody { provider_id: id, duration, search_window_days, the_next_slot } })
}
