//! What a database holds, whoever made it.

use sqlx::AssertSqlSafe;

use super::{Database, Pool, Result, TenantDb, on};

impl Database {
    /// The names of its tables.
    pub(crate) async fn tables(&self) -> Result<Vec<String>> {
        let tables = match &self.pool {
            Pool::Sqlite(_) => {
                "select name from sqlite_master where type = 'table' and name not like 'sqlite\\_%' escape '\\'"
            }
            Pool::Postgres(_) => "select tablename::text from pg_tables where schemaname = current_schema()",
        };
        let mut conn = self.connection().await?;
        Ok(on!(&mut conn, c => sqlx::query_scalar(tables).fetch_all(c).await)?)
    }

    /// Whether one of these tables is there and has a row.
    pub(crate) async fn has_rows(&self, tables: &[&'static str]) -> Result<bool> {
        let there = self.tables().await?;
        let mut conn = self.connection().await?;
        for table in tables.iter().filter(|table| there.iter().any(|it| it == *table)) {
            let question = AssertSqlSafe(format!("select exists (select 1 from {table})"));
            if on!(&mut conn, c => sqlx::query_scalar(question).fetch_one(c).await)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl TenantDb {
    /// Whether there is neither a patient nor a row of the log.
    pub async fn is_empty(&self) -> Result<bool> {
        Ok(!self.has_rows(&["patients", "log"]).await?)
    }
}
