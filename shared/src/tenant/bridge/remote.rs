//! EMRs on servers of their own, which `PostgreSQL` reaches through a foreign data wrapper.

use crate::{
    sql::{Conn, EmrAddress, Error, Pool, Result, on},
    tenant::TenantDb,
};

/// Changes of one transaction of a [`pull`], and transactions of one call.
const PULL: i64 = 200;
const PULLS: usize = 5;

/// Connects the database with the EMR's server; returns what an administrator must do first.
pub(super) async fn connect(conn: &mut Conn, emr: Option<&EmrAddress>) -> Result<Vec<String>> {
    let Some(emr) = emr else { return Ok(Vec::new()) };
    let authorities = emr.authority.is_none().then_some(EmrAddress::AUTHORITIES);
    let missing = on!(conn, |c| sqlx::query_scalar("select bridge_connect($1, $2, $3, $4, $5, $6, $7)")
        .bind(&emr.host)
        .bind(emr.port)
        .bind(&emr.database)
        .bind(&emr.user)
        .bind(&emr.password)
        .bind(&emr.authority)
        .bind(authorities)
        .fetch_all(c)
        .await)?;
    Ok(missing)
}

/// Follows what an EMR on a server of its own has changed, and takes back what lost calls of ours
/// left there; returns the number of changes. Nothing for a practice whose EMR is in its own
/// database, or that has none.
///
/// # Errors
/// [`Error::Unavailable`], also when the EMR's server doesn't answer; [`Error::Statement`] when the
/// bridge isn't whole.
pub async fn pull(db: &TenantDb) -> Result<i64> {
    let mut all = 0;
    if !*db.has_outbox().get_or_try_init(|| has_outbox(db)).await? {
        return Ok(all);
    }
    for _ in 0..PULLS {
        let done = pull_once(db).await?;
        all += done;
        if done < PULL {
            break;
        }
    }
    Ok(all)
}

/// Follows, as a statement of its own at the beginning of a change, what an EMR on a server of its
/// own has changed: a trigger of the change cannot touch the row that is being changed.
///
/// # Errors
/// As [`pull`].
pub async fn follow(db: &TenantDb, conn: &mut Conn) -> Result<()> {
    if matches!(db.pool, Pool::Sqlite(_)) {
        return Ok(());
    }
    let known = db.has_outbox().get_or_try_init(async || {
        Ok::<_, Error>(on!(&mut *conn, |c| sqlx::query_scalar(
            "select to_regprocedure('partner_api.bridge_pull(bigint)') is not null"
        )
        .fetch_one(c)
        .await)?)
    });
    if *known.await? {
        on!(conn, |c| sqlx::query("select bridge_follow()").execute(c).await.map(|_| ()))?;
    }
    Ok(())
}

pub(super) async fn pull_once(db: &TenantDb) -> Result<i64> {
    crate::in_transaction!(db, Error, |conn| {
        Ok(on!(conn, |c| sqlx::query_scalar("select bridge_pull($1)").bind(PULL).fetch_one(c).await)?)
    })
}

pub(super) async fn has_outbox(db: &TenantDb) -> Result<bool> {
    if matches!(db.pool, Pool::Sqlite(_)) {
        return Ok(false);
    }
    let mut conn = db.connection().await?;
    Ok(on!(&mut conn, |c| sqlx::query_scalar(
        "select to_regprocedure('partner_api.bridge_pull(bigint)') is not null"
    )
    .fetch_one(c)
    .await)?)
}
