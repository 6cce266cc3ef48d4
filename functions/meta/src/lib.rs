//! Health, the API's description, and the response for paths without a route.

mod unrouted;

use std::borrow::Cow;

use axum::{
    extract::State,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Json},
};
use serde::Serialize;
use shared::{app::App, domain::zones};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The OpenAPI description of all endpoints, generated from the code.
const DESCRIPTION: &str = include_str!("../../../infra/openapi.json");

pub fn routes() -> OpenApiRouter<App> {
    // Without a `$default` route API Gateway would answer unknown paths with JSON of its own, and
    // partners would meet two kinds of errors.
    OpenApiRouter::new()
        .routes(routes!(get_health))
        .routes(routes!(get_description))
        .fallback(unrouted::answer)
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

/// Get this description (OpenAPI 3.1).
///
/// The description is generated from the code of the version that `GET /v1/health` shows. `servers`
/// holds the permanent address of the API, if there is one; otherwise, paths are relative to the
/// address of this description.
#[utoipa::path(
    get,
    path = "/v1/openapi.json",
    tag = "Meta",
    security(()),
    responses((status = 200, body = Object, content_type = "application/json")),
)]
async fn get_description(State(app): State<App>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], described_for(app.config.api_domain_name.as_deref()))
}

/// Returns the description with the permanent address of this deployment, if there is one.
///
/// Without one, the address of the description itself applies: `/`.
fn described_for(host: Option<&str>) -> Cow<'static, str> {
    let Some(host) = host else { return Cow::Borrowed(DESCRIPTION) };
    let anywhere = r#""url": "/""#;
    Cow::Owned(DESCRIPTION.replacen(anywhere, &format!(r#""url": "https://{host}""#), 1))
}
