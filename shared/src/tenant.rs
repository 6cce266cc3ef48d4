//! Practice databases: one SQL text for `SQLite` (embedded) and `PostgreSQL` (production).
//!
//! Outside this module there are functions, not pools: only a [`crate::auth::PracticeGrant`] opens
//! a [`TenantDb`].

pub mod bridge;
pub mod calendar;
pub mod check;
pub mod log;
pub mod migrate;
pub mod patient_words;
pub mod patients;
pub mod practices;
pub mod providers;
pub mod reconciliation;
pub mod retention;
pub mod tags;
pub mod tickets;
mod tenant_db;
mod time_zone;
pub mod unindexed_patients;
pub mod visit_types;
pub mod visits;

pub use bridge::Bridge;
pub use practices::Practices;
pub use tenant_db::TenantDb;
pub use time_zone::Collision;
