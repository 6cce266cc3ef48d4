//! The control plane in DynamoDB: partners, keys, practices and what the functions remember between calls.

pub mod activity;
pub mod api_keys;
mod aws;
mod error;
pub mod ids;
pub mod ledger;
pub mod partners;
pub mod practices;
pub mod queue;
pub mod secrets;
mod store;

pub use error::{Error, Result};
pub use queue::Queue;
pub use secrets::Secrets;
pub use store::{Store, Table, TableNames};
