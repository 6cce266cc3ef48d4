//! Handles `POST /v1/{PPass}/tags/prospects/{id}`.

use axum::http::StatusCode;
use shared::{
    api::{ApiError, ApiResult, JsonAnswer, Message, Once, PathId, PracticePath, Problem, Tenant, scope},
    body, create_once,
    domain::ids::{PatientId, TagId},
    tenant::{patients, tags},
};

use crate::reply::{TagsOfProspect, finish};

body! {
    pub(crate) struct AssignTag {
        "tagId" => tag_id: TagId,
    }
}

/// Assign a tag to a prospect.
///
/// Returns 201 if the tag was assigned, or 200 if the prospect already had it.
#[utoipa::path(
    post,
    path = "/v1/{PPass}/tags/prospects/{id}",
    tag = "Tags",
    params(
        PracticePath,
        ("id" = PatientId, Path, description = "PatientID"),
        (
            "Idempotency-Key" = Option<String>, Header,
            description = "1 to 255 visible ASCII characters. For 24 hours, a retry with the same key \
                returns the first successful response."
        ),
    ),
    request_body = AssignTag,
    responses(
        (status = 200, body = Message<TagsOfProspect>, description = "The prospect already had the tag."),
        (status = 201, body = Message<TagsOfProspect>),
        (status = 404, body = Problem, description = "`NOT_FOUND`: no such prospect or tag"),
        (status = 409, body = Problem, description = "`IDEMPOTENCY_IN_PROGRESS`"),
        (status = 422, body = Problem, description = "`INVALID_FIELDS`, `IDEMPOTENCY_KEY_REUSED`"),
    ),
)]
pub(crate) async fn assign_tag(
    tenant: Tenant<scope::Prospects>,
    PathId(id): PathId<PatientId>,
    Once { body, key }: Once<AssignTag>,
) -> ApiResult<JsonAnswer> {
    create_once!(tenant, key, ("tags.replay", "patient", |answer| answer.id("PatientID")), |conn| {
        patients::lock(conn, id).await?.ok_or_else(ApiError::not_found)?;
        tags::exists(conn, body.tag_id).await?.then_some(()).ok_or_else(ApiError::not_found)?;
        let new = tags::assign(conn, id, body.tag_id).await?;
        let data = finish(&tenant, conn, id, "tags.assign", new).await?;
        let status = if new { StatusCode::CREATED } else { StatusCode::OK };
        JsonAnswer::new(status, &Message { message: "Tag assigned successfully", data })
    })
}
