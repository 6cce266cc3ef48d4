//! Visit scheduling. Requires the `Scheduling` scope.

mod book;
mod cancel;
mod conflict;
mod get;
mod reply;
mod reschedule;
mod check_bookable;
mod visit_types;
mod request;

use shared::{app::App, function};
use utoipa_axum::{router::OpenApiRouter, routes};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(visit_types::list_visit_types))
        .routes(routes!(book::book_visit))
        .routes(routes!(get::get_visit))
        .routes(routes!(cancel::cancel_visit))
        .routes(routes!(reschedule::reschedule_visit))
}

/// The program of the function.
pub fn main() -> Result<(), function::Error> {
    function::serve(env!("CARGO_PKG_NAME"), routes())
}
