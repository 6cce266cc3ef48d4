//! What a database contains, whoever created it.

use sqlx::AssertSqlSafe;

use super::{Conn, Database, Error, Result, on, schema::SCHEMA};

impl Conn {
    /// Returns the names of the database's tables, including those in the practice's schema.
    pub(crate) async fn tables(&mut self) -> Result<Vec<String>> {
        let tables = match self {
            Self::Sqlite(_) => {
                "select name from sqlite_master where type = 'table' and name not like 'sqlite\\_%' escape \
                    '\\'"
            }
            Self::Postgres(_) => {
                "select tablename::text from pg_tables where schemaname in (current_schema(), 'partner_api')"
            }
        };
        Ok(on!(self, |c| sqlx::query_scalar(tables).fetch_all(c).await)?)
    }

    /// Returns the names of all tables outside the practice's schema, except those of extensions.
    ///
    /// They are allowed beside a practice, unless they belong to this product.
    ///
    /// # Errors
    /// [`Error::ConnectionString`] for the catalog's database, and for a practice outside its
    /// schema.
    pub(crate) async fn tables_of_others(&mut self) -> Result<Vec<String>> {
        let tables = match self {
            Self::Sqlite(_) => "select name from sqlite_master where type = 'table'",
            Self::Postgres(_) => {
                "select relname::text from pg_class c join pg_namespace n on n.oid = relnamespace
                 where relkind in ('r', 'p', 'f') and nspname not in ('partner_api', 'information_schema')
                   and nspname !~ '^pg_'
                   and not exists (select 1 from pg_depend where objid = c.oid and deptype = 'e')
                 order by relname"
            }
        };
        let tables: Vec<String> = on!(self, |c| sqlx::query_scalar(tables).fetch_all(c).await)?;
        let is_there = |name: &str| tables.iter().any(|table| table == name);
        if is_there("products") && is_there("kb_articles") {
            return Err(Error::ConnectionString("its database is the catalog's".to_owned()));
        }
        if is_there("tenant_identity") {
            return Err(Error::ConnectionString(format!(
                "its database has a practice that is not in the schema {SCHEMA}"
            )));
        }
        Ok(tables)
    }

    /// Whether one of these tables exists and has a row.
    pub(crate) async fn has_rows(&mut self, tables: &[&'static str]) -> Result<bool> {
        let there = self.tables().await?;
        for table in tables.iter().filter(|table| there.iter().any(|it| it == *table)) {
            let query = AssertSqlSafe(format!("select exists (select 1 from {table})"));
            if on!(&mut *self, |c| sqlx::query_scalar(query).fetch_one(c).await)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns the newest migration that was applied.
    pub(crate) async fn schema_version(&mut self) -> Result<i64> {
        Ok(on!(self, |c| sqlx::query_scalar("select coalesce(max(version), 0) from _sqlx_migrations",)
            .fetch_one(c)
            .await)?)
    }
}

impl Database {
    /// Returns the newest migration that was applied.
    ///
    /// # Errors
    /// [`Error::Statement`] if the database was never migrated; [`Error::Unavailable`].
    pub async fn schema_version(&self) -> Result<i64> {
        self.connection().await?.schema_version().await
    }
}
