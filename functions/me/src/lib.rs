//! A partner's own profile and usage.

mod profile;
mod update;
mod usage;

use shared::app::App;
use utoipa_axum::{router::OpenApiRouter, routes};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(profile::get_me, update::update_me)).routes(routes!(usage::get_usage))
}
