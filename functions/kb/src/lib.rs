//! The knowledge base, which all practices share. Requires the `KB` scope.

mod list;
mod read;
mod reply;
mod update;

use shared::{app::App, function};
use utoipa_axum::{router::OpenApiRouter, routes};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list::list_articles))
        .routes(routes!(read::get_article, update::update_article))
}

/// The program of the function.
pub fn main() -> Result<(), function::Error> {
    function::serve(env!("CARGO_PKG_NAME"), routes())
}
