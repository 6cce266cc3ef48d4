//! Databases of either engine, for practices and the catalog: connections, transactions, schemas.
//!
//! One SQL text serves `SQLite` (embedded) and `PostgreSQL` (production).

pub mod audit;
pub(crate) mod bounded;
mod circuit_breaker;
pub(crate) mod connection_string;
mod contents;
mod data_problems;
pub mod database;
mod error;
pub mod foreign;
pub(crate) mod free_ids;
pub mod idempotency;
pub mod page;
pub mod search_texts;
mod reach;
mod session;
pub mod step;
mod timed_connection;
mod timeouts;
mod transaction;
pub(crate) mod schema;
mod emr_address;
pub(crate) mod check;

pub(crate) use circuit_breaker::{Admission, CircuitBreaker};
pub use connection_string::ConnectionString;
pub(crate) use data_problems::Reporter;
pub use data_problems::{DataProblem, DataProblems};
pub(crate) use database::Pool;
pub use database::{Conn, Database};
pub(crate) use emr_address::EmrAddress;
pub use error::{Constraint, Error, Result};
pub use timed_connection::TimedConnection;
pub(crate) use timed_connection::timed_out;
pub use timeouts::{ServerTimeouts, Timeouts};
pub use transaction::{Transaction, Transient, again};

/// Runs one piece of code on the typed connection of either engine.
///
/// `on!(conn, |c| sqlx::query("…").execute(c).await)`: the code is compiled once for each engine.
/// It counts as one round trip and is subject to the round-trip timeout.
macro_rules! on {
    ($conn:expr, |$c:ident| $code:expr) => {
        match $conn {
            $crate::sql::Conn::Sqlite(connection) => $crate::sql::round_trip!(connection, |$c| $code),
            $crate::sql::Conn::Postgres(connection) => $crate::sql::round_trip!(connection, |$c| $code),
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
