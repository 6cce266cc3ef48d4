//! `GET /v1/{PPass}/tags/prospects/{id}`

use shared::{
    api::{ApiResult, List, Offset, PathId, PracticePath, Problem, Query, Tenant, scope},
    domain::ids::PatientId,
    params,
};

use crate::reply::{TagBody, read_tags};

params! {
    pub(crate) struct ListTagsOfProspect {
        /// How many tags are left out; for a prospect of more than a thousand.
        "offset" => offset: Option<Offset>,
    }
}

/// Get the tags of a prospect.
///
/// The same as `GET /v1/{PPass}/tags?prospectId=`.
#[utoipa::path(
    get,
    path = "/v1/{PPass}/tags/prospects/{id}",
    tag = "Tags",
    params(PracticePath, ("id" = PatientId, Path, description = "PatientID"), ListTagsOfProspect),
    responses((status = 200, body = List<TagBody>), (status = 400, body = Problem, description = "`INVALID_QUERY`"), (status = 404, body = Problem, description = "`NOT_FOUND`")),
)]
pub(crate) async fn list_tags_of_prospect(
    tenant: Tenant<scope::Prospects>,
    PathId(id): PathId<PatientId>,
    Query(query): Query<ListTagsOfProspect>,
) -> ApiResult<List<TagBody>> {
    let mut conn = tenant.db.connection().await?;
    read_tags(&tenant, &mut conn, id, query.offset.unwrap_or_default()).await
}
