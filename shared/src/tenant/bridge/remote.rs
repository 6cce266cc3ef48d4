//! EMRs on their own servers, which `PostgreSQL` accesses through a foreign data wrapper.

use std::time::{Duration, Instant};

use sqlx::AssertSqlSafe;

use crate::{
    domain::ids::{PatientId, VisitId},
    sql::{Conn, EmrAddress, Error, Pool, Result, on},
    tenant::TenantDb,
};

/// Changes per transaction of a [`pull`].
const PULL: i64 = 200;
/// The time after which a [`pull`] begins no other transaction. Each takes about two seconds at
/// most.
const LONGEST: Duration = Duration::from_millis(2_500);

/// Connects the database to the EMR's server; returns what an administrator must do first.
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

/// Applies changes from an EMR on its own server; returns their number.
///
/// Also removes rows that interrupted calls of the API left there. Does nothing for a practice
/// without such an EMR.
///
/// # Errors
/// [`Error::Unavailable`], also if the EMR's server does not respond; [`Error::Statement`] if the
/// bridge is damaged.
pub async fn pull(db: &TenantDb) -> Result<i64> {
    let mut all = 0;
    if !*db.has_outbox().get_or_try_init(|| has_outbox(db)).await? {
        return Ok(all);
    }
    let begun = Instant::now();
    loop {
        let done = pull_once(db).await?;
        all += done;
        if done < PULL || begun.elapsed() > LONGEST {
            return Ok(all);
        }
    }
}

/// A row of the EMR's that the API is about to change.
#[derive(Clone, Copy, Debug)]
pub enum EmrRow {
    Patient(PatientId),
    Visit(VisitId),
}

/// Applies the EMR's changes that wait, before the API changes a row: the row itself of an EMR on
/// its own server, or all those that could not be applied when they were made.
///
/// This is a statement of its own, because a trigger cannot change the row that its statement
/// changes.
///
/// # Errors
/// As [`pull`].
pub async fn refresh(db: &TenantDb, conn: &mut Conn, row: EmrRow) -> Result<()> {
    if matches!(db.pool, Pool::Sqlite(_)) {
        return Ok(());
    }
    let known = db.can_refresh().get_or_try_init(async || {
        Ok::<_, Error>(on!(&mut *conn, |c| sqlx::query_scalar(
            "select to_regprocedure('partner_api.bridge_refresh(text, bigint)') is not null"
        )
        .fetch_one(c)
        .await)?)
    });
    if *known.await? {
        let (function, id) = match row {
            EmrRow::Patient(id) => ("bridge_apply_patient", id.0),
            EmrRow::Visit(id) => ("bridge_apply_event", id.0),
        };
        // The bridge may have been removed since the database was opened.
        let refresh = format!(
            "do $$ begin
                if to_regprocedure('partner_api.bridge_refresh(text, bigint)') is not null
                then perform partner_api.bridge_refresh('{function}', {id}); end if;
            end $$"
        );
        on!(conn, |c| sqlx::raw_sql(AssertSqlSafe(refresh)).execute(c).await.map(|_| ()))?;
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
