//! The knowledge base, which all practices share. Requires the `KB` scope.

mod list;
mod read;
mod reply;
mod update;

use shared::app::App;
use utoipa_axum::{router::OpenApiRouter, routes};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list::list_articles))
        .routes(routes!(read::get_article, update::update_article))
}
