//! Health, the API's description, and the response for paths without a route.

mod unrouted;

use axum::{
    extract::State,
    http::HeaderMap,
    response::{Json, Response},
};
use serde::Serialize;
use shared::{
    api::{Audience, GetDescription, Published, Query},
    app::App,
    domain::zones,
    function,
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The OpenAPI description of all endpoints, generated from the code.
const DESCRIPTION: &str = include_str!("../../../infra/openapi.json");

static FOR_PARTNERS: Published = Published::new(DESCRIPTION, Audience::Partners);

pub fn routes() -> OpenApiRouter<App> {
    // Without a `$default` route API Gateway would answer unknown paths with JSON of its own, and
    // partners would meet two kinds of errors.
    OpenApiRouter::new()
        .routes(routes!(get_health))
        .routes(routes!(get_description))
        .fallback(unrouted::answer)
}

/// The program of the function.
pub fn main() -> Result<(), function::Error> {
    function::serve_with_fallback(env!("CARGO_PKG_NAME"), routes())
}

/// The version of the API that responds.
#[derive(Serialize, ToSchema)]
pub struct Health {
    #[schema(value_type = String, example = "ok")]
    status: &'static str,
    #[schema(value_type = String, example = "0.1.0")]
    version: &'static str,
    /// The git revision of the build, or `unknown` if the build did not set one.
    #[schema(value_type = String, example = "v0.1.0")]
    revision: &'static str,
    /// The version of the time-zone database that is used to convert local times.
    #[schema(value_type = String, example = "2026f")]
    tzdata: &'static str,
}

/// Check whether the API responds.
///
/// For monitors and load balancers. Uses no data store and needs no credential.
#[utoipa::path(get, path = "/v1/health", tag = "Meta", security(()),
    responses((status = 200, body = Health)))]
async fn get_health() -> Json<Health> {
    Json(Health {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
        revision: option_env!("OFFICEPRO_REVISION").unwrap_or("unknown"),
        tzdata: zones::version(),
    })
}

/// Get this description (OpenAPI 3.1 or 3.0).
///
/// The description is generated from the code of the version that `GET /v1/health` shows. `servers`
/// holds the permanent address of the API, if there is one; otherwise, paths are relative to the
/// address of this description. You may cache it for five minutes; then ask with `If-None-Match`
/// whether it has changed.
#[utoipa::path(
    get,
    path = "/v1/openapi.json",
    tag = "Meta",
    security(()),
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
async fn get_description(
    State(app): State<App>,
    Query(query): Query<GetDescription>,
    headers: HeaderMap,
) -> Response {
    FOR_PARTNERS.response(&query, app.config.api_domain_name.as_deref(), &headers)
}
