//! `GET /v1/{PPass}/tags/prospects/{id}`

use shared::{
    api::{ApiResult, List, PathId, PracticePath, Problem, Tenant, scope},
    domain::ids::PatientId,
};

use crate::reply::{TagBody, read_tags};

/// Get the tags of a prospect.
///
/// The same as `GET /v1/{PPass}/tags?prospectId=`.
#[utoipa::path(
    get,
    path = "/v1/{PPass}/tags/prospects/{id}",
    tag = "Tags",
    params(PracticePath, ("id" = PatientId, Path, description = "PatientID")),
    responses((status = 200, body = List<TagBody>), (status = 404, body = Problem, description = "`NOT_FOUND`")),
)]
pub(crate) async fn list_tags_of_prospect(
    tenant: Tenant<scope::Prospects>,
    PathId(id): PathId<PatientId>,
) -> ApiResult<List<TagBody>> {
    let mut conn = tenant.db.connection().await?;
    Ok(read_tags(&tenant, &mut conn, id).await?.into())
}
