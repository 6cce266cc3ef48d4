//! The control plane in DynamoDB: partners, keys, practices, and state between calls.

pub mod access_requests;
pub mod activity;
pub mod api_keys;
pub mod audit;
mod attribute;
mod aws;
mod call_record;
mod cursor;
pub mod data_problems;
pub mod deliveries;
pub mod dispatch;
mod error;
mod health;
pub mod idempotency;
mod id_blocks;
pub mod ids;
mod instant;
pub mod ephemeral;
mod listing;
pub mod partners;
mod pending_outcomes;
pub mod pollers;
pub mod practices;
pub mod queue;
pub mod reconciliation;
pub mod secrets;
pub mod sessions;
mod store;
pub mod subscriptions;
pub mod usage;

pub use cursor::Cursor;
pub use error::{Error, Result};
pub use listing::ListPage;
pub use queue::Queue;
pub use secrets::Secrets;
pub use store::{Item, Store, Table, TableNames};
