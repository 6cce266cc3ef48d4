//! Handles `GET /v1/{PPass}/tags`.

use shared::{
    api::{ApiResult, List, MOST_LISTED, Offset, PracticePath, Problem, Query, Tenant, scope},
    domain::ids::PatientId,
    params,
    tenant::tags,
};

use crate::reply::{TagBody, read_tags};

params! {
    pub(crate) struct ListTags {
        /// Lists only the tags of this prospect.
        "prospectId" => prospect_id: Option<PatientId>,
        /// Number of tags to skip. A response holds at most 1,000.
        "offset" => offset: Option<Offset>,
    }
}

/// Get all available tags.
///
/// Ordered by name.
#[utoipa::path(
    get,
    path = "/v1/{PPass}/tags",
    tag = "Tags",
    params(PracticePath, ListTags),
    responses(
        (status = 200, body = List<TagBody>),
        (status = 400, body = Problem, description = "`INVALID_QUERY`"),
        (status = 404, body = Problem, description = "`NOT_FOUND`: no such prospect"),
    ),
)]
pub(crate) async fn list_tags(
    tenant: Tenant<scope::Prospects>,
    Query(query): Query<ListTags>,
) -> ApiResult<List<TagBody>> {
    let offset = query.offset.unwrap_or_default();
    let mut conn = tenant.db.connection().await?;
    if let Some(id) = query.prospect_id {
        return read_tags(&tenant, &mut conn, id, offset).await;
    }
    let tags = tags::list(&mut conn, MOST_LISTED + 1, offset.0).await?;
    Ok(List::after(offset, tags.into_iter().map(TagBody::from).collect()))
}
