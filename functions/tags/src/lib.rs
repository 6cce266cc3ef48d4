//! Tags and their assignment to prospects. Requires the `Prospects` scope.

mod assign;
mod list;
mod prospect;
mod remove;
mod reply;

use shared::{app::App, function};
use utoipa_axum::{router::OpenApiRouter, routes};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list::list_tags))
        .routes(routes!(prospect::list_tags_of_prospect, assign::assign_tag, remove::remove_all_tags))
        .routes(routes!(remove::remove_tag))
}

/// The program of the function.
pub fn main() -> Result<(), function::Error> {
    function::serve(env!("CARGO_PKG_NAME"), routes())
}
