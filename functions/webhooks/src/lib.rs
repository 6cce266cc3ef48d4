//! The webhook endpoints of partners, who have at most one subscription per key's practice.

mod cancel;
mod deliveries;
mod delivery;
mod hook_url;
mod replay;
mod retry;
mod rotate;
mod signup;
mod subscriber;
mod subscription;
mod test;

use shared::{app::App, function};
use utoipa_axum::{router::OpenApiRouter, routes};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(signup::sign_up))
        .routes(routes!(subscription::get_subscription, cancel::delete_subscription))
        .routes(routes!(rotate::rotate_secret))
        .routes(routes!(test::send_test))
        .routes(routes!(replay::replay_events))
        .routes(routes!(deliveries::list_deliveries))
        .routes(routes!(delivery::get_delivery))
        .routes(routes!(retry::retry_delivery))
}

/// The program of the function.
pub fn main() -> Result<(), function::Error> {
    function::serve(env!("CARGO_PKG_NAME"), routes())
}
