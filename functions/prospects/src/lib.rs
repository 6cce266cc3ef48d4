//! Prospects and the patients they become. Requires the `Prospects` scope.

mod create;
mod draft;
mod fields;
mod image;
mod list;
mod read;
mod record;
mod update;

use shared::{app::App, function};
use utoipa_axum::{router::OpenApiRouter, routes};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list::list_prospects, create::create_prospect))
        .routes(routes!(read::get_prospect, update::update_prospect))
}

/// The program of the function.
pub fn main() -> Result<(), function::Error> {
    function::serve(env!("CARGO_PKG_NAME"), routes())
}
