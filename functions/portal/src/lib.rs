//! Endpoints of the portal: sign in and out, request access, claim an API key.

mod access;
mod claim;
mod session;

use shared::{app::App, function};
use utoipa_axum::{router::OpenApiRouter, routes};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(session::sign_in::sign_in, session::get_session, session::sign_out))
        .routes(routes!(access::request_access))
        .routes(routes!(claim::claim_key))
}

/// The program of the function.
pub fn main() -> Result<(), function::Error> {
    function::serve(env!("CARGO_PKG_NAME"), routes())
}
