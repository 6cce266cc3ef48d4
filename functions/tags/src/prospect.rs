//! Handles `GET /v1/{PPass}/tags/prospects/{id}`.

use shared::{
    api::{ApiResult, List, Offset, PathId, PracticePath, Problem, Query, Tenant, scope},
    domain::ids::PatientId,
    params,
};

use crate::reply::{TagBody, read_tags};

params! {
    pub(crate) struct ListTagsOfProspect {
        /// Number of tags to skip. A response holds at most 1,000.
        "offset" => offset: Option<Offset>,
    }
}

/// Get the tags of a prospect.
///
/// Ordered by name. Equivalent to `GET /v1/{PPass}/tags?prospectId={id}`.
#[utoipa::path(
    get,
    path = "/v1/{PPass}/tags/prospects/{id}",
    tag = "Tags",
    params(PracticePath, ("id" = PatientId, Path, description = "PatientID"), ListTagsOfProspect),
    responses((status = 200, body = List<TagBody>), (status = 400, body = Problem,
        description = "`INVALID_QUERY`"), (status = 404, body = Problem, description = "`NOT_FOUND`")),
)]
pub(crate) async fn list_tags_of_prospect(
    tenant: Tenant<scope::Prospects>,
    PathId(id): PathId<PatientId>,
    Query(query): Query<ListTagsOfProspect>,
) -> ApiResult<List<TagBody>> {
    let mut conn = tenant.db.connection().await?;
    read_tags(&tenant, &mut conn, id, query.offset.unwrap_or_default()).await
}
