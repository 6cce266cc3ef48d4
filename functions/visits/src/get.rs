//! Handles `GET /v1/{PPass}/visits/{id}`.

use shared::{
    api::{ApiError, ApiResult, Data, PathId, PracticePath, Problem, Tenant, scope::Scheduling},
    domain::ids::VisitId,
    sql::audit,
    tenant::visits,
};

use crate::reply::VisitBody;

/// Get a visit.
///
/// Returns any visit of the practice, whoever booked it. Returns 404 for a deleted visit, as for an
/// unknown one.
#[utoipa::path(
    get,
    path = "/v1/{PPass}/visits/{id}",
    tag = "Visit Scheduling",
    params(PracticePath, ("id" = VisitId, Path, description = "The visit's id")),
    responses(
        (status = 200, body = Data<VisitBody>),
        (status = 404, body = Problem, description = "`NOT_FOUND`"),
    ),
)]
pub(crate) async fn get_visit(
    tenant: Tenant<Scheduling>,
    PathId(id): PathId<VisitId>,
) -> ApiResult<Data<VisitBody>> {
    let mut conn = tenant.db.connection().await?;
    let visit = visits::find(&mut conn, id).await?.ok_or_else(ApiError::not_found)?;
    audit::record(&mut conn, &tenant.audit("visits.read", "visit", &[id.0])).await?;
    Ok(Data { data: visit.into() })
}
