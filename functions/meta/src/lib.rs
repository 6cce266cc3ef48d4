//! What belongs to no group: health, the API's description, and the answer to every path that no route takes.

mod unrouted;

use axum::{
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Json},
};
use serde::Serialize;
use shared::{app::App, domain::zones};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The description of all endpoints, generated from the code.
const DESCRIPTION: &str = include_str!("../../../infra/openapi.json");

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(health)).routes(routes!(description)).fallback(unrouted::answer)
}

#[derive(Serialize, ToSchema)]
pub struct Health {
    #[schema(value_type = String, example = "ok")]
    status: &'static str,
    #[schema(value_type = String, example = "0.1.0")]
    version: &'static str,
    /// The version of the time-zone database that local times are converted by.
    #[schema(value_type = String, example = "2026f")]
    tzdata: &'static str,
}

/// Tell whether the API answers.
///
/// For monitors and load balancers: asks no store and needs no credential.
#[utoipa::path(get, path = "/v1/health", tag = "Meta", security(()), responses((status = 200, body = Health)))]
async fn health() -> Json<Health> {
    Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION"), tzdata: zones::version() })
}

/// Get this description (OpenAPI 3.1).
///
/// Generated from the code that answers; the version is that of `GET /v1/health`.
#[utoipa::path(
    get,
    path = "/v1/openapi.json",
    tag = "Meta",
    security(()),
    responses((status = 200, body = Object, content_type = "application/json")),
)]
async fn description() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], DESCRIPTION)
}
