//! Webhooks as administrators see them: their health, and a delivery sent once more.

pub(crate) mod delivery;
mod dispatch;
pub(crate) mod monitor;
pub(crate) mod retry;
