//! Tags and their assignment to prospects. Requires the `Prospects` scope.

mod assign;
mod list;
mod prospect;
mod remove;
mod reply;

use shared::app::App;
use utoipa_axum::{router::OpenApiRouter, routes};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list::list_tags))
        .routes(routes!(prospect::list_tags_of_prospect, assign::assign_tag, remove::remove_all_tags))
        .routes(routes!(remove::remove_tag))
}
