//! Starts, commits, rolls back and retries transactions.

use std::time::Duration;

use sqlx::{AssertSqlSafe, SqlSafeStr};

use super::{Conn, Database, Error, Result, on};

/// Whether a retry of the same work may succeed.
pub trait Transient {
    fn is_transient(&self) -> bool;
}

impl Transient for Error {
    fn is_transient(&self) -> bool {
        matches!(self, Self::Contended(_))
    }
}

const ATTEMPTS: u32 = 5;

/// Runs code in a transaction, with retries.
///
/// The transaction holds the database's write lock (`SQLite`) or runs READ COMMITTED
/// (`PostgreSQL`). It is committed if the code succeeds; otherwise it is rolled back before this
/// returns, because a transaction that is merely dropped holds its locks for as long as Lambda
/// keeps the environment frozen. After a conflict all of the code runs again, up to five times in
/// total.
///
/// `in_transaction!(db, Error, |conn| { …; Ok(value) })` is a `Result<_, Error>`; `conn` is a
/// `&mut Conn`.
///
/// This is a macro, because the compiler cannot prove that the futures of a function over async
/// closures are `Send`.
#[macro_export]
macro_rules! in_transaction {
    ($db:expr, $error:ty, |$conn:ident| $work:expr) => {{
        let db: &$crate::sql::Database = &$db;
        let mut attempt = 1;
        loop {
            let mut transaction = match db.begin().await {
                Ok(transaction) => transaction,
                Err(error) => break ::std::result::Result::<_, $error>::Err(error.into()),
            };
            let result: ::std::result::Result<_, $error> = {
                let $conn: &mut $crate::sql::Conn = &mut transaction.conn;
                #[allow(unused_braces, reason = "rustfmt puts a long body into braces")]
                let work = async { $work };
                work.await
            };
            let result = transaction.end(result).await;
            if !$crate::sql::again(&result, &mut attempt).await {
                break result;
            }
        }
    }};
}

/// An open transaction. [`in_transaction!`] starts and ends it.
pub struct Transaction {
    #[doc(hidden)]
    pub conn: Conn,
    ended: bool,
}

impl Drop for Transaction {
    /// Closes the connection if the outcome is unknown, e.g. after a canceled request.
    ///
    /// A connection in an unknown state must not return to the pool.
    fn drop(&mut self) {
        if !self.ended {
            self.conn.close_on_drop();
        }
    }
}

impl Database {
    #[doc(hidden)]
    pub async fn begin(&self) -> Result<Transaction> {
        let mut transaction = Transaction { conn: self.connection().await?, ended: false };
        let begin = transaction.conn.begin();
        transaction.execute(AssertSqlSafe(begin.into_owned())).await?;
        Ok(transaction)
    }
}

impl Transaction {
    #[doc(hidden)]
    pub async fn end<T, E: From<Error>>(mut self, result: Result<T, E>) -> Result<T, E> {
        if result.is_err() && self.conn.is_lost() {
            // A ROLLBACK would wait as long as the statement that timed out.
            return result;
        }
        let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
        match self.execute(end).await {
            Ok(()) => self.ended = true,
            Err(error) => return result.and(Err(error.into())),
        }
        result
    }

    async fn execute(&mut self, statement: impl SqlSafeStr) -> Result<()> {
        let statement = statement.into_sql_str();
        on!(&mut self.conn, |c| sqlx::raw_sql(statement).execute(c).await.map(|_| ()))?;
        Ok(())
    }
}

/// Whether to retry; waits before the next attempt.
#[doc(hidden)]
pub async fn again<T, E: Transient>(result: &Result<T, E>, attempt: &mut u32) -> bool {
    let again = result.as_ref().is_err_and(Transient::is_transient) && *attempt < ATTEMPTS;
    if again {
        tokio::time::sleep(Duration::from_millis(u64::from(10 * *attempt * *attempt))).await;
        *attempt += 1;
    }
    again
}
