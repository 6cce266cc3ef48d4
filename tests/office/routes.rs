//! All routes of the API.

use std::sync::LazyLock;

use axum::Router;
use shared::{api::edge, app::App};
use utoipa_axum::router::OpenApiRouter;

/// Returns every function's routes, as template.yaml distributes them over functions.
pub(crate) fn all_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(::admin::routes())
        .merge(::auth::routes())
        .merge(::availability::routes())
        .merge(::kb::routes())
        .merge(::me::routes())
        .merge(::meta::routes())
        .merge(::products::routes())
        .merge(::portal::routes())
        .merge(::prospects::routes())
        .merge(::tags::routes())
        .merge(::tickets::routes())
        .merge(::visits::routes())
        .merge(::webhooks::routes())
}

/// All routes behind the edge. Their description is built once per process.
pub(super) fn router(app: App) -> Router {
    static ROUTES: LazyLock<Router<App>> = LazyLock::new(|| all_routes().into());
    edge(ROUTES.clone(), app)
}
