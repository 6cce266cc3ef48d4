//! `GET /v1/{PPass}/visit-types`

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
        /// Also list inactive types; default false.
        "includeInactive" => include_inactive: Option<bool>,
        /// How many visit types are left out; for an office of very many.
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
    /// Whether it is active, has a provider and, if it needs a room, has an active one.
    bookable: bool,
    /// The active providers who take such visits, at most 1,000.
    providers: Vec<ProviderId>,
    /// The active rooms, one of which such a visit needs. A bookable type without any needs none.
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
/// Active ones only, unless asked for all. A type without resources needs no room if it is `Bookable`; else all of its rooms
/// are inactive.
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
