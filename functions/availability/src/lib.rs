//! Providers and their availability. Requires the `Providers` scope.

mod calendar;
mod check;
mod next_slot;
mod providers;
mod schedule;
mod slots;

use shared::{app::App, function};
use utoipa_axum::{router::OpenApiRouter, routes};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(providers::list_providers))
        .routes(routes!(providers::get_provider))
        .routes(routes!(schedule::get_schedule))
        .routes(routes!(check::check_slot))
        .routes(routes!(slots::list_slots))
        .routes(routes!(next_slot::find_next_slot))
}

/// The program of the function.
pub fn main() -> Result<(), function::Error> {
    function::serve(env!("CARGO_PKG_NAME"), routes())
}
