//! Bridges between a practice's tables and those of its EMR.
//!
//! The EMR is in the same `PostgreSQL` database or on its own server.
//!
//! Each bridge is SQL in `infra/bridges`, which runs as the practice's role. This module installs,
//! checks, repairs and removes it.

mod remote;
mod upkeep;

use sqlx::AssertSqlSafe;

use super::TenantDb;
use crate::sql::{Conn, ConnectionString, EmrAddress, Error, Pool, Result, on};

use remote::connect;
pub use remote::{EmrRow, pull, refresh};
pub use upkeep::{Progress, catch_up, check, is_due, load, record_check, renew, try_out};

/// Limits waits for locks of our tables. For those of the EMR's tables, the scripts wait less.
const LOCK_TIMEOUT: &str = "set local lock_timeout = '2s'; ";

/// The SQL of one bridge.
#[derive(Debug)]
pub struct Bridge {
    pub name: &'static str,
    tables: &'static str,
    map: &'static str,
    install: &'static str,
    remove: &'static str,
    /// A query for the steps that an administrator must take first.
    missing: &'static str,
    /// Whether the EMR is on its own server, which the practice's secret names.
    is_remote: bool,
}

macro_rules! bridge {
    ($name:literal, $missing:expr, $is_remote:literal) => {
        Bridge {
            name: $name,
            tables: include_str!(concat!("../../../infra/bridges/", $name, "/tables.sql")),
            map: include_str!(concat!("../../../infra/bridges/", $name, "/map.sql")),
            install: include_str!(concat!("../../../infra/bridges/", $name, "/install.sql")),
            remove: include_str!(concat!("../../../infra/bridges/", $name, "/remove.sql")),
            missing: $missing,
            is_remote: $is_remote,
        }
    };
}

/// Statements that the owner of the EMR's tables must run.
const GRANTS: &str = "select statement from bridge_ungranted order by emr_table";

/// All available bridges.
pub const BRIDGES: [Bridge; 2] = [
    bridge!("openemr-postgresql", GRANTS, false),
    bridge!("openemr-mariadb", "select distinct bridge_missing()", true),
];

/// The requirements and the extent of attaching a practice.
#[derive(Debug)]
pub struct Plan {
    /// Statements that the EMR's owner must run first, or sentences that say who must do what.
    pub grants: Vec<String>,
    /// Rows of the EMR to copy; 0 while privileges are missing.
    pub patients: i64,
    pub events: i64,
}

/// A difference or fault that `check-practice` reports.
#[derive(Debug, PartialEq, Eq, sqlx_macros::FromRow)]
pub struct Finding {
    pub finding: String,
    pub count: i64,
    pub example: Option<String>,
}

impl Bridge {
    pub fn named(name: &str) -> Option<&'static Self> {
        BRIDGES.iter().find(|bridge| bridge.name == name)
    }

    /// Returns the bridge that attaches a practice; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; [`Error::Registry`] for a bridge that this program does not know.
    pub async fn of(db: &TenantDb) -> Result<Option<&'static Self>> {
        let mut conn = db.connection().await?;
        if !conn.tables().await?.iter().any(|table| table == "bridge") {
            return Ok(None);
        }
        let name: String =
            on!(&mut conn, |c| sqlx::query_scalar("select name from bridge").fetch_one(c).await)?;
        let unknown = || Error::Registry(format!("it is attached by the unknown bridge {name:?}"));
        Self::named(&name).map(Some).ok_or_else(unknown)
    }

    /// Returns the missing privileges and the number of rows to copy; changes nothing.
    ///
    /// `secret` is the practice's.
    ///
    /// # Errors
    /// [`Error::Registry`] for an `SQLite` database, and if the secret names no EMR;
    /// [`Error::Statement`] if the database has no such EMR; [`Error::Unavailable`].
    pub async fn plan_with(&self, db: &TenantDb, secret: &str) -> Result<Plan> {
        self.require_server(db)?;
        let emr = self.emr(secret)?;
        undone(db, async |conn| {
            self.run(conn, &[self.tables]).await?;
            let grants = connect(conn, emr.as_ref()).await?;
            if !grants.is_empty() {
                return Ok(Plan { grants, patients: 0, events: 0 });
            }
            self.run(conn, &[self.map]).await?;
            self.read_plan(conn).await
        })
        .await
    }

    /// The same as [`Self::plan_with`], for an EMR in the practice's own database.
    ///
    /// # Errors
    /// As [`Self::plan_with`].
    pub async fn plan(&self, db: &TenantDb) -> Result<Plan> {
        self.plan_with(db, "").await
    }

    /// Installs or renews the bridge.
    ///
    /// From then on neither side misses a change. [`load`] copies older rows.
    ///
    /// # Errors
    /// The same as [`Self::plan_with`], also while another program has locked one of the EMR's
    /// tables.
    pub async fn install_with(&self, db: &TenantDb, secret: &str) -> Result<()> {
        self.require_server(db)?;
        let emr = self.emr(secret)?;
        self.install_from(db, emr.as_ref()).await
    }

    /// Installs or renews a bridge within the practice's database; renews one that is connected.
    ///
    /// # Errors
    /// As [`Self::install_with`].
    pub async fn install(&self, db: &TenantDb) -> Result<()> {
        self.require_server(db)?;
        self.install_from(db, None).await
    }

    async fn install_from(&self, db: &TenantDb, emr: Option<&EmrAddress>) -> Result<()> {
        crate::in_transaction!(db, Error, |conn| {
            self.run(conn, &[LOCK_TIMEOUT, self.tables]).await?;
            let missing = connect(conn, emr).await?;
            if !missing.is_empty() {
                return Err(Error::Registry(missing.join("; ")));
            }
            self.run(conn, &[self.map, self.install]).await?;
            on!(conn, |c| {
                sqlx::query(
                    "insert into bridge (name) values ($1) on conflict (singleton) do update set \
                    name = excluded.name",
                )
                .bind(self.name)
                .execute(c)
                .await
                .map(|_| ())
            })?;
            Ok(())
        })
    }

    /// Returns the address of the EMR's own server, if it has one.
    fn emr(&self, secret: &str) -> Result<Option<EmrAddress>> {
        if !self.is_remote {
            return Ok(None);
        }
        let address = ConnectionString::of(secret).emr()?;
        let missing = || {
            Error::Registry(
                "its secret names no EMR: below the connection string must be a line \
                mariadb://user:password@host/database"
                    .into(),
            )
        };
        address.map(Some).ok_or_else(missing)
    }

    async fn read_plan(&self, conn: &mut Conn) -> Result<Plan> {
        let grants: Vec<String> = on!(&mut *conn, |c| sqlx::query_scalar(self.missing).fetch_all(c).await)?;
        if !grants.is_empty() {
            return Ok(Plan { grants, patients: 0, events: 0 });
        }
        let strangers: i64 = on!(&mut *conn, |c| sqlx::query_scalar("select coalesce(emr_strangers(), 0)")
            .fetch_one(c)
            .await)?;
        if strangers > 0 {
            return Err(Error::Registry(format!(
                "its tables have {strangers} patients and visits that are not the EMR's; attaching would mix \
                them with the EMR's rows of the same ids, or delete them"
            )));
        }
        let (patients, events) =
            on!(conn, |c| sqlx::query_as("select patients, events from emr_size()").fetch_one(c).await)?;
        Ok(Plan { grants, patients, events })
    }

    /// Removes the bridge but not the copied rows. The EMR's tables are then as before attaching.
    ///
    /// # Errors
    /// [`Error::Unavailable`], also while another program has locked one of the EMR's tables.
    pub async fn remove(&self, db: &TenantDb) -> Result<()> {
        crate::in_transaction!(db, Error, |conn| { self.run(conn, &[LOCK_TIMEOUT, self.remove]).await })
    }

    /// Whether the EMR is on its own server.
    pub fn is_remote(&self) -> bool {
        self.is_remote
    }

    async fn run(&self, conn: &mut Conn, scripts: &[&'static str]) -> Result<()> {
        let script = AssertSqlSafe(scripts.concat());
        on!(conn, |c| sqlx::raw_sql(script).execute(c).await.map(|_| ()))?;
        Ok(())
    }

    fn require_server(&self, db: &TenantDb) -> Result<()> {
        match db.pool {
            Pool::Postgres(_) => Ok(()),
            Pool::Sqlite(_) => Err(Error::Registry(format!(
                "its database is an SQLite file; the bridge {} is for a PostgreSQL database that holds the \
                    EMR",
                self.name
            ))),
        }
    }
}

/// Returns the result of work that is then rolled back.
async fn undone<T>(db: &TenantDb, work: impl AsyncFnOnce(&mut Conn) -> Result<T>) -> Result<T> {
    let mut transaction = db.begin().await?;
    let result = match work(&mut transaction.conn).await {
        // Roll back, and begin an empty transaction for `end` to commit.
        Ok(found) => {
            let back =
                on!(&mut transaction.conn, |c| sqlx::raw_sql("rollback; begin").execute(c).await.map(|_| ()));
            back.map(|()| found).map_err(Error::from)
        }
        Err(error) => Err(error),
    };
    transaction.end(result).await
}
