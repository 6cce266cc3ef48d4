//! Webhooks for administrators: subscriptions, their health, and manual retries of deliveries.

pub(crate) mod change;
pub(crate) mod delivery;
mod dispatch;
pub(crate) mod monitor;
pub(crate) mod retry;
pub(crate) mod subscriptions;
