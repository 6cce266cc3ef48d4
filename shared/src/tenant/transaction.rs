//! One place that begins, commits, rolls back and tries again.

use std::time::Duration;

use sqlx::Connection;

use super::{Conn, Error, Result, TenantDb, on};

/// Whether the same work may succeed when it is simply done again.
pub trait Transient {
    fn is_transient(&self) -> bool;
}

impl Transient for Error {
    fn is_transient(&self) -> bool {
        matches!(self, Self::Contended(_))
    }
}

const ATTEMPTS: u32 = 5;

impl TenantDb {
    /// Runs `work` in a transaction that holds the write lock of the database (`SQLite`) or runs READ COMMITTED
    /// (`PostgreSQL`): committed when `work` succeeds, else rolled back before this returns, for a transaction that is
    /// merely dropped holds its locks for as long as Lambda keeps the environment frozen. Contention is tried again up
    /// to five times with all of `work`.
    pub async fn in_transaction<T, E, W>(&self, mut work: W) -> Result<T, E>
    where
        W: AsyncFnMut(&mut Conn) -> Result<T, E>,
        E: From<Error> + Transient,
    {
        let mut attempt = 1;
        loop {
            let result = self.once(&mut work).await;
            match result {
                Err(error) if error.is_transient() && attempt < ATTEMPTS => {
                    tokio::time::sleep(Duration::from_millis(u64::from(10 * attempt * attempt))).await;
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    async fn once<T, E, W>(&self, work: &mut W) -> Result<T, E>
    where
        W: AsyncFnMut(&mut Conn) -> Result<T, E>,
        E: From<Error>,
    {
        let mut conn = self.connection().await?;
        let begin = match &conn {
            Conn::Sqlite(_) => "BEGIN IMMEDIATE",
            Conn::Postgres(_) => "BEGIN",
        };
        execute(&mut conn, begin).await?;
        let result = work(&mut conn).await;
        let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
        if let Err(error) = execute(&mut conn, end).await {
            // A connection in an unknown state must not go back to the pool.
            discard(conn).await;
            return result.and(Err(error.into()));
        }
        result
    }
}

async fn execute(conn: &mut Conn, statement: &'static str) -> Result<()> {
    on!(conn, c => sqlx::raw_sql(statement).execute(c).await.map(|_| ()))?;
    Ok(())
}

async fn discard(conn: Conn) {
    let closed = match conn {
        Conn::Sqlite(connection) => connection.detach().close_hard().await,
        Conn::Postgres(connection) => connection.detach().close_hard().await,
    };
    if let Err(error) = closed {
        tracing::debug!(%error, "a broken connection could not be closed");
    }
}
