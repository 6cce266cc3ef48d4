//! Handles `DELETE /v1/{PPass}/tags/prospects/{id}` and `…/{id}/{tagId}`.

use shared::{
    api::{ApiError, ApiResult, Message, PathId, PathPair, PracticePath, Problem, Tenant, scope},
    domain::ids::{PatientId, TagId},
    in_transaction,
    tenant::{patients, tags},
};

use crate::reply::{TagsOfProspect, finish};

/// Remove a specific tag from a prospect.
///
/// Returns 200 even if the prospect did not have the tag.
#[utoipa::path(
    delete,
    path = "/v1/{PPass}/tags/prospects/{id}/{tagId}",
    tag = "Tags",
    params(
        PracticePath,
        ("id" = PatientId, Path, description = "PatientID"),
        ("tagId" = TagId, Path, description = "The tag's id"),
    ),
    responses(
        (status = 200, body = Message<TagsOfProspect>),
        (status = 404, body = Problem, description = "`NOT_FOUND`: no such prospect or tag"),
    ),
)]
pub(crate) async fn remove_tag(
    tenant: Tenant<scope::Prospects>,
    PathPair(id, tag): PathPair<PatientId, TagId>,
) -> ApiResult<Message<TagsOfProspect>> {
    let data = in_transaction!(tenant.db, ApiError, |conn| {
        patients::lock(conn, id).await?.ok_or_else(ApiError::not_found)?;
        tags::exists(conn, tag).await?.then_some(()).ok_or_else(ApiError::not_found)?;
        let removed = tags::remove(conn, id, tag).await?;
        finish(&tenant, conn, id, "tags.remove", removed).await
    })?;
    Ok(Message { message: "Tag removed successfully", data })
}

/// Remove all tags from a prospect.
///
/// Returns 200 even if the prospect has no tags.
#[utoipa::path(
    delete,
    path = "/v1/{PPass}/tags/prospects/{id}",
    tag = "Tags",
    params(PracticePath, ("id" = PatientId, Path, description = "PatientID")),
    responses(
        (status = 200, body = Message<TagsOfProspect>),
        (status = 404, body = Problem, description = "`NOT_FOUND`: no such prospect"),
    ),
)]
pub(crate) async fn remove_all_tags(
    tenant: Tenant<scope::Prospects>,
    PathId(id): PathId<PatientId>,
) -> ApiResult<Message<TagsOfProspect>> {
    let data = in_transaction!(tenant.db, ApiError, |conn| {
        patients::lock(conn, id).await?.ok_or_else(ApiError::not_found)?;
        let removed = tags::remove_all(conn, id).await?;
        finish(&tenant, conn, id, "tags.remove-all", removed > 0).await
    })?;
    Ok(Message { message: "All tags removed successfully", data })
}
