//! What administrators see and do: partners, keys, access requests, the audit log.

mod audit;

use shared::app::App;
use utoipa_axum::{router::OpenApiRouter, routes};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(audit::list_audit))
}
