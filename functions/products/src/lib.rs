//! Products, which all practices share. Requires the `ProductPro.Products` scope.

mod bulk;
mod item;
mod list;
mod merge;
mod reply;
mod upsert;

use shared::{app::App, function};
use utoipa_axum::{router::OpenApiRouter, routes};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list::list_products, upsert::upsert_products))
}

/// The program of the function.
pub fn main() -> Result<(), function::Error> {
    function::serve(env!("CARGO_PKG_NAME"), routes())
}
