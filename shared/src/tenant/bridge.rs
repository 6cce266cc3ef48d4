//! Bridges: a practice's tables tied to those of its EMR, in the same `PostgreSQL` database or on a
//! server of its own.
//!
//! Each is SQL in `infra/bridges`, which runs as the practice's role. This module installs, checks,
//! repairs and removes it.

mod remote;

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::AssertSqlSafe;

use super::TenantDb;
use crate::sql::{Conn, ConnectionString, EmrAddress, Error, Pool, Result, on};

use remote::{connect, has_outbox, pull_once};
pub use remote::{follow, pull};

/// Rows of one transaction of a load or a repair.
const BATCH: i64 = 1_000;
/// Rows of one look, which changes nothing.
const LOOK: i64 = 5_000;
/// Changes of the EMR's that one transaction applies later.
const CAUGHT_UP: i64 = 500;
/// Making triggers takes locks on the EMR's tables: its programs wait no longer than this.
const PATIENCE: &str = "set local lock_timeout = '2s'; ";

/// The SQL of one bridge.
#[derive(Debug)]
pub struct Bridge {
    pub name: &'static str,
    tables: &'static str,
    map: &'static str,
    install: &'static str,
    remove: &'static str,
    /// A query for what an administrator must do first.
    missing: &'static str,
    /// The EMR is on a server of its own, which the practice's secret names.
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
const GRANTS: &str =
    "select format('grant %s on %s to %I', string_agg(lower(privilege), ', '), emr_table, current_user)
     from bridge_grants where not coalesce(has_table_privilege(to_regclass(emr_table), privilege), false)
     group by emr_table order by emr_table";

/// All that the product brings.
pub const BRIDGES: [Bridge; 2] = [
    bridge!("openemr-postgresql", GRANTS, false),
    bridge!("openemr-mariadb", "select distinct bridge_missing()", true),
];

/// What attaching needs and copies.
#[derive(Debug)]
pub struct Plan {
    /// Statements that the EMR's owner has to run first, or sentences that say who must do what.
    pub grants: Vec<String>,
    /// Rows of the EMR to copy; zero while privileges are missing.
    pub patients: i64,
    pub events: i64,
}

/// A difference or fault that `check-practice` reports.
#[derive(Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Finding {
    pub finding: String,
    pub count: i64,
    pub example: Option<String>,
}

impl Bridge {
    pub fn named(name: &str) -> Option<&'static Self> {
        BRIDGES.iter().find(|bridge| bridge.name == name)
    }

    /// The bridge by which a practice is attached; `None`: by none.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; [`Error::Registry`] for one that this program doesn't know.
    pub async fn of(db: &TenantDb) -> Result<Option<&'static Self>> {
        if matches!(db.pool, Pool::Sqlite(_)) {
            return Ok(None);
        }
        let mut conn = db.connection().await?;
        if !conn.tables().await?.iter().any(|table| table == "bridge") {
            return Ok(None);
        }
        let name: Option<String> =
            on!(&mut conn, |c| sqlx::query_scalar("select name from bridge").fetch_optional(c).await)?;
        let Some(name) = name else { return Ok(None) };
        let unknown = || Error::Registry(format!("it is attached by an unknown bridge, {name:?}"));
        Self::named(&name).map(Some).ok_or_else(unknown)
    }

    /// What is missing and how much there is to be done; nothing is changed. `secret` is the
    /// practice's.
    ///
    /// # Errors
    /// [`Error::Registry`] for a practice of `SQLite`, and when the secret names no EMR;
    /// [`Error::Statement`] when the database has no such EMR; [`Error::Unavailable`].
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

    /// As [`Self::plan_with`], of an EMR in the practice's own database.
    ///
    /// # Errors
    /// As [`Self::plan_with`].
    pub async fn plan(&self, db: &TenantDb) -> Result<Plan> {
        self.plan_with(db, "").await
    }

    /// Installs or renews the bridge. From then on neither side misses a change; [`load`] copies
    /// older rows.
    ///
    /// # Errors
    /// As [`Self::plan_with`], also while another program holds one of the EMR's tables.
    pub async fn install_with(&self, db: &TenantDb, secret: &str) -> Result<()> {
        self.require_server(db)?;
        let emr = self.emr(secret)?;
        self.install_from(db, emr.as_ref()).await
    }

    /// Installs or renews a bridge whose EMR is in the practice's own database; renews one that is
    /// connected.
    ///
    /// # Errors
    /// As [`Self::install_with`].
    pub async fn install(&self, db: &TenantDb) -> Result<()> {
        self.require_server(db)?;
        self.install_from(db, None).await
    }

    async fn install_from(&self, db: &TenantDb, emr: Option<&EmrAddress>) -> Result<()> {
        crate::in_transaction!(db, Error, |conn| {
            self.run(conn, &[PATIENCE, self.tables]).await?;
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

    /// The EMR's own server, where it has one.
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
        if !self.is_remote {
            let strangers: i64 =
                on!(&mut *conn, |c| sqlx::query_scalar("select coalesce(emr_strangers(), 0)")
                    .fetch_one(c)
                    .await)?;
            if strangers > 0 {
                return Err(Error::Registry(format!(
                    "its tables hold {strangers} patients and visits that are not the EMR's; attaching would mix \
                    them with the EMR's of the same ids, or delete them"
                )));
            }
        }
        let (patients, events) =
            on!(conn, |c| sqlx::query_as("select patients, events from emr_size()").fetch_one(c).await)?;
        Ok(Plan { grants, patients, events })
    }

    /// Removes the bridge and keeps the copied rows. The EMR's tables are as before.
    ///
    /// # Errors
    /// [`Error::Unavailable`], also while another program holds one of the EMR's tables.
    pub async fn remove(&self, db: &TenantDb) -> Result<()> {
        crate::in_transaction!(db, Error, |conn| { self.run(conn, &[PATIENCE, self.remove]).await })
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

/// How far a load or a repair came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Rows of both sides that were looked at, by this call.
    pub compared: i64,
    /// Those of them that were not the same, and are now. What could not be made the same is one of
    /// the [`check`]'s findings.
    pub repaired: i64,
    pub is_whole: bool,
}

/// Compares all rows of both sides, a batch in each transaction, and makes ours what the EMR has,
/// until each has had its turn or `goes_on` says no. Broken off, it goes on where it was, within an
/// hour. `is_first`: what was there before the practice was attached is no news to partners.
///
/// # Errors
/// [`Error::Unavailable`]; [`Error::Statement`] when the bridge isn't whole.
pub async fn load(
    db: &TenantDb,
    is_first: bool,
    mut goes_on: impl FnMut(Progress) -> bool,
) -> Result<Progress> {
    let mut progress = Progress::default();
    loop {
        let (compared, repaired, is_whole): (i64, i64, bool) = crate::in_transaction!(db, Error, |conn| {
            Ok(on!(conn, |c| sqlx::query_as(
                "select compared, repaired, is_whole from bridge_go_on($1, $2)"
            )
            .bind(BATCH)
            .bind(is_first)
            .fetch_one(c)
            .await)?)
        })?;
        progress.compared += compared;
        progress.repaired += repaired;
        progress.is_whole = is_whole;
        if is_whole || !goes_on(progress) {
            return Ok(progress);
        }
    }
}

/// Returns all findings; none if both sides match. No statement lasts long, whatever the practice's
/// size.
///
/// # Errors
/// As [`load`].
pub async fn check(db: &TenantDb) -> Result<Vec<Finding>> {
    let mut conn = db.connection().await?;
    let mut findings: Vec<Finding> =
        on!(&mut conn, |c| sqlx::query_as("select finding, count, example from bridge_check()")
            .fetch_all(c)
            .await)?;
    let turns: Vec<String> =
        on!(&mut conn, |c| sqlx::query_scalar("select unnest(bridge_turns())").fetch_all(c).await)?;
    for turn in turns {
        let (mut kinds, mut after): (BTreeMap<String, (i64, i64)>, i64) = (BTreeMap::new(), -1);
        loop {
            let page: Vec<(i64, Option<String>, i64, Option<i64>)> = on!(&mut conn, |c| sqlx::query_as(
                "select last, kind, count, example from bridge_compare($1, $2, $3)",
            )
            .bind(&turn)
            .bind(after)
            .bind(LOOK)
            .fetch_all(c)
            .await)?;
            let Some((last, ..)) = page.first() else { break };
            after = *last;
            for (_, kind, count, example) in page {
                if let (Some(kind), Some(example)) = (kind, example) {
                    kinds.entry(kind).or_insert((0, example)).0 += count;
                }
            }
        }
        findings.extend(kinds.into_iter().map(|(kind, (count, first))| Finding {
            finding: format!("{}: {kind}", turn.trim_start_matches("bridge_apply_").replace('_', " ")),
            count,
            example: Some(first.to_string()),
        }));
    }
    Ok(findings)
}

/// Applies the EMR's changes that could not be applied when they were made, until none is left or
/// `goes_on` says no; returns how many it applied. Returns zero for practices that no bridge
/// attaches.
///
/// # Errors
/// [`Error::Unavailable`]; [`Error::Statement`] when the bridge is damaged.
pub async fn catch_up(db: &TenantDb, mut goes_on: impl FnMut() -> bool) -> Result<i64> {
    if matches!(db.pool, Pool::Sqlite(_)) {
        return Ok(0);
    }
    let mut conn = db.connection().await?;
    let is_attached: bool = on!(&mut conn, |c| sqlx::query_scalar(
        "select to_regprocedure('bridge_catch_up(bigint, bigint)') is not null"
    )
    .fetch_one(c)
    .await)?;
    drop(conn);
    if !is_attached {
        return Ok(0);
    }
    let mut applied = 0;
    loop {
        let some: Option<i64> = crate::in_transaction!(db, Error, |conn| {
            Ok(on!(conn, |c| sqlx::query_scalar(
                "select bridge_catch_up($1) where exists (select 1 from bridge_failures) \
                or exists (select 1 from bridge_late)"
            )
            .bind(CAUGHT_UP)
            .fetch_optional(c)
            .await)?)
        })?;
        applied += some.unwrap_or(0);
        if some.is_none_or(|some| some < CAUGHT_UP) || !goes_on() {
            return Ok(applied);
        }
    }
}

/// Whether an attached practice has not been compared with its EMR since `before`.
///
/// # Errors
/// As [`load`].
pub async fn is_due(db: &TenantDb, before: Timestamp) -> Result<bool> {
    let mut conn = db.connection().await?;
    Ok(on!(&mut conn, |c| sqlx::query_scalar("select coalesce(checked_at <= $1, true) from bridge")
        .bind(before.to_sqlx())
        .fetch_one(c)
        .await)?)
}

/// Records that an attached practice was compared with its EMR.
///
/// # Errors
/// As [`load`].
pub async fn record_check(db: &TenantDb, at: Timestamp) -> Result<()> {
    let mut conn = db.connection().await?;
    on!(&mut conn, |c| sqlx::query("update bridge set checked_at = $1")
        .bind(at.to_sqlx())
        .execute(c)
        .await
        .map(|_| ()))?;
    Ok(())
}

/// Extends the EMR's series as far as can be booked today; returns how many got more days.
///
/// # Errors
/// As [`load`].
pub async fn renew(db: &TenantDb) -> Result<i64> {
    crate::in_transaction!(db, Error, |conn| {
        Ok(on!(conn, |c| sqlx::query_scalar("select bridge_renew()").fetch_one(c).await)?)
    })
}

/// Writes on both sides, checks that each change arrives, and rolls back; returns what did not
/// arrive.
///
/// # Errors
/// As [`load`].
pub async fn try_out(db: &TenantDb) -> Result<Vec<String>> {
    let missing = undone(db, async |conn| {
        Ok(on!(conn, |c| sqlx::query_scalar("select bridge_trial()").fetch_all(c).await)?)
    })
    .await?;
    // A server of the EMR's own is no part of the transaction.
    if has_outbox(db).await? {
        pull_once(db).await?;
    }
    Ok(missing)
}

/// What comes of work that is taken back.
async fn undone<T>(db: &TenantDb, work: impl AsyncFnOnce(&mut Conn) -> Result<T>) -> Result<T> {
    let mut transaction = db.begin().await?;
    let result = match work(&mut transaction.conn).await {
        // The transaction that ends is an empty one.
        Ok(found) => {
            let back =
                on!(&mut transaction.conn, |c| sqlx::raw_sql("rollback; begin").execute(c).await.map(|_| ()));
            back.map(|()| found).map_err(Error::from)
        }
        Err(error) => Err(error),
    };
    transaction.end(result).await
}
