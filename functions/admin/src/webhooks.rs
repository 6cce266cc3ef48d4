//! Webhooks as administrators see them: subscriptions, their health, and a delivery sent once more.

pub(crate) mod change;
pub(crate) mod delivery;
mod dispatch;
pub(crate) mod monitor;
pub(crate) mod retry;
pub(crate) mod subscriptions;
