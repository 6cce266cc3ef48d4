//! Handles `GET /v1/openapi-admin.json`.

use axum::{http::HeaderMap, response::Response};
use shared::api::{Admin, Audience, GetDescription, Published, Query};

static DESCRIPTION: Published =
    Published::new(include_str!("../../../infra/openapi.json"), Audience::Administrators);

/// Get the description of all endpoints (OpenAPI 3.1 or 3.0).
///
/// Contains the endpoints of administrators and of the portal, too. Otherwise it is the same as
/// `GET /v1/openapi.json`.
#[utoipa::path(
    get,
    path = "/v1/openapi-admin.json",
    tag = "Administration",
    params(
        GetDescription,
        ("If-None-Match" = Option<String>, Header, description = "Entity tags, separated by commas, or `*`."),
    ),
    responses(
        (status = 200, body = Object, content_type = "application/json",
            headers(("ETag" = String, description = "The entity tag."))),
        (status = 304, description = "The description has one of the entity tags in `If-None-Match`."),
    ),
)]
pub(crate) async fn get_admin_description(
    admin: Admin,
    Query(query): Query<GetDescription>,
    headers: HeaderMap,
) -> Response {
    DESCRIPTION.response(&query, admin.app.config.api_domain_name.as_deref(), &headers)
}
