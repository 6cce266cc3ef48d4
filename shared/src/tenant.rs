//! Practice databases: one SQL text for `SQLite` (embedded) and `PostgreSQL` (production).
//!
//! Outside this module there are functions, not pools: only a [`crate::auth::PracticeGrant`] opens
//! a [`TenantDb`].

pub mod audit;
pub(crate) mod bounded;
pub mod bridge;
pub mod calendar;
pub mod check;
mod connection_string;
mod contents;
mod data_problems;
pub mod database;
mod emr_address;
mod error;
pub mod foreign;
pub(crate) mod free_ids;
mod circuit_breaker;
pub mod idempotency;
pub mod log;
pub mod migrate;
pub mod patient_words;
pub mod patients;
pub mod practices;
pub mod providers;
pub mod reconciliation;
pub mod retention;
pub(crate) mod schema;
pub mod search_texts;
mod session;
pub mod step;
pub mod tags;
pub mod tickets;
mod time_zone;
mod transaction;
pub mod unindexed_patients;
pub mod visit_types;
pub mod visits;

pub use bridge::Bridge;
pub(crate) use circuit_breaker::{Admission, CircuitBreaker, timed_out};
pub use circuit_breaker::{ServerTimeouts, TimedConnection, Timeouts};
pub use connection_string::ConnectionString;
pub(crate) use data_problems::Reporter;
pub use data_problems::{DataProblem, DataProblems};
pub(crate) use database::Pool;
pub use database::{Conn, Database, TenantDb};
pub use emr_address::EmrAddress;
pub use error::{Constraint, Error, Result};
pub use practices::Practices;
pub use time_zone::Collision;
pub use transaction::{Transaction, Transient, again};

/// Runs one piece of code on the typed connection of either engine.
///
/// `on!(conn, |c| sqlx::query("…").execute(c).await)`: the code is compiled once for each engine.
/// It counts as one round trip and is subject to the round-trip timeout.
macro_rules! on {
    ($conn:expr, |$c:ident| $code:expr) => {
        match $conn {
            $crate::tenant::Conn::Sqlite(connection) => $crate::tenant::round_trip!(connection, |$c| $code),
            $crate::tenant::Conn::Postgres(connection) => $crate::tenant::round_trip!(connection, |$c| $code),
        }
    };
}
pub(crate) use on;

/// The same as [`on!`], for a connection whose engine is known.
macro_rules! round_trip {
    ($connection:expr, |$c:ident| $code:expr) => {{
        let (watch, mut session) = $connection.parts();
        watch
            .over(async {
                session.enter().await?;
                let result = {
                    let $c = session.executor();
                    #[allow(unused_braces, reason = "rustfmt puts a long body into braces")]
                    let answer = async { $code };
                    answer.await
                };
                session.leave(result).await
            })
            .await
    }};
}
pub(crate) use round_trip;
