//! Practice databases: one SQL text for `SQLite` (embedded) and `PostgreSQL` (production).
//!
//! Outside this module there are functions, not pools; a [`TenantDb`] is had only for a [`crate::auth::PracticeGrant`].

pub mod audit;
pub mod calendar;
pub mod database;
mod error;
pub mod idempotency;
pub mod log;
pub mod migrate;
pub mod patient_words;
pub mod patients;
pub mod practices;
pub mod providers;
pub mod tags;
pub mod tickets;
mod transaction;
pub mod unindexed_patients;
pub mod visit_types;
pub mod visits;

pub(crate) use database::Pool;
pub use database::{Conn, Database, TenantDb};
pub use error::{Constraint, Error, Result};
pub use practices::Practices;
pub use transaction::{Transaction, Transient, again};

/// Runs one piece of code on the typed connection of either engine.
///
/// `on!(conn, c => sqlx::query("…").execute(c).await)`: the code is compiled once for each engine.
macro_rules! on {
    ($conn:expr, $c:ident => $code:expr) => {
        match $conn {
            $crate::tenant::Conn::Sqlite(connection) => {
                let $c = &mut **connection;
                $code
            }
            $crate::tenant::Conn::Postgres(connection) => {
                let $c = &mut **connection;
                $code
            }
        }
    };
}
pub(crate) use on;
