//! Webhooks as administrators see them: their health, and a delivery sent once more.

pub(crate) mod delivery;
pub(crate) mod monitor;
pub(crate) mod retry;
