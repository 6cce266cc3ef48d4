//! Endpoints for administrators.
//!
//! Readiness, usage, activity, webhooks, partners, keys, access requests, the audit log, and the
//! whole description of the API.

mod access_requests;
mod audit;
mod description;
mod fields;
mod keys;
mod partners;
mod activity;
mod overview;
pub mod readiness;
mod webhooks;

use shared::{app::App, function};
use utoipa_axum::{router::OpenApiRouter, routes};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(partners::list_partners, partners::create::create_partner))
        .routes(routes!(partners::get_partner, partners::update::update_partner))
        .routes(routes!(keys::list_keys, keys::create::create_key))
        .routes(routes!(keys::update::update_key))
        .routes(routes!(keys::rotate::rotate_key))
        .routes(routes!(keys::revoke::revoke_key))
        .routes(routes!(access_requests::list_access_requests))
        .routes(routes!(access_requests::approve::approve_access_request))
        .routes(routes!(access_requests::deny::deny_access_request))
        .routes(routes!(access_requests::withdraw::withdraw_access_request))
        .routes(routes!(access_requests::reissue::reissue_claim_link))
        .routes(routes!(audit::list_audit))
        .routes(routes!(overview::get_overview))
        .routes(routes!(readiness::get_readiness))
        .routes(routes!(activity::list_activity))
        .routes(routes!(description::get_admin_description))
        .routes(routes!(webhooks::subscriptions::list_webhook_subscriptions))
        .routes(routes!(webhooks::change::pause_webhook))
        .routes(routes!(webhooks::change::resume_webhook))
        .routes(routes!(webhooks::change::delete_webhook))
        .routes(routes!(webhooks::monitor::monitor_webhooks))
        .routes(routes!(webhooks::delivery::get_webhook_delivery))
        .routes(routes!(webhooks::retry::retry_webhook_delivery))
}

/// The program of the function.
pub fn main() -> Result<(), function::Error> {
    function::serve(env!("CARGO_PKG_NAME"), routes())
}
