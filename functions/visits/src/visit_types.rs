//! Handles `GET /v1/{PPass}/visit-types`.

use serde::Serialize;
use shared::{
    api::{ApiResult, List, MOST_LISTED, Offset, PracticePath, Query, Tenant, scope::Scheduling},
    domain::ids::{ProviderId, RoomId},
    params,
    tenant::visit_types::{self, VisitType},
};
use utoipa::ToSchema;

params! {
    pub(crate) struct VisitTypesQuery {
        /// Also lists inactive types. Defaults to false.
        "includeInactive" => include_inactive: Option<bool>,
        /// Number of visit types to skip. A response holds at most 1,000.
        "offset" => offset: Option<Offset>,
    }
}

/// A visit type.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = VisitType)]
pub(crate) struct VisitTypeBody {
    #[schema(example = "Consult")]
    visit_type: String,
    active: bool,
    /// Whether the type is active and has an active provider and, if needed, an active room.
    bookable: bool,
    /// The active providers who take such visits, at most 1,000.
    providers: Vec<ProviderId>,
    /// The active rooms; such a visit needs one of them. A bookable type without rooms needs none.
    resources: Vec<RoomId>,
}

impl From<VisitType> for VisitTypeBody {
    fn from(it: VisitType) -> Self {
        Self {
            visit_type: it.visit_type,
            active: it.active,
            bookable: it.bookable,
            providers: it.providers,
            resources: it.resources,
        }
    }
}

/// List visit types configured for the tenant, including allowed providers and resources.
///
/// Lists only active types by default. A type without `Resources` needs no room if it is
/// `Bookable`; otherwise it may have only inactive rooms.
#[utoipa::path(
    get,
    path = "/v1/{PPass}/visit-types",
    tag = "Visit Scheduling",
    params(PracticePath, VisitTypesQuery),
    responses((status = 200, body = List<VisitTypeBody>)),
)]
pub(crate) async fn list_visit_types(
    tenant: Tenant<Scheduling>,
    Query(query): Query<VisitTypesQuery>,
) -> ApiResult<List<VisitTypeBody>> {
    let offset = query.offset.unwrap_or_default();
    let inactive_too = query.include_inactive.unwrap_or(false);
    let mut conn = tenant.db.connection().await?;
    let found = visit_types::list(&mut conn, inactive_too, MOST_LISTED + 1, offset.0).await?;
    Ok(List::after(offset, found.into_iter().map(VisitTypeBody::from).collect()))
}
