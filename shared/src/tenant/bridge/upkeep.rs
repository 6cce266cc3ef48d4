//! Loads, compares, repairs and extends what a bridge has copied.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;

use super::{
    Finding,
    remote::{has_outbox, pull_once},
    undone,
};
use crate::{
    sql::{Error, Pool, Result, on},
    tenant::TenantDb,
};

/// Rows per transaction of a load or a repair.
const BATCH: i64 = 1_000;
/// Rows per statement of a check, which changes nothing.
const LOOK: i64 = 5_000;
/// Postponed changes of the EMR that one transaction applies.
const CAUGHT_UP: i64 = 500;

/// Series per transaction of an extension.
const RENEWED: i64 = 50;

/// The progress of a load or a repair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Rows of both sides that this call compared.
    pub compared: i64,
    /// Rows that differed and were repaired. [`check`] reports rows that could not be repaired.
    pub repaired: i64,
    pub is_whole: bool,
}

/// Compares all rows of both sides and makes ours match the EMR's, one batch per transaction.
///
/// Ends when all rows were compared or `goes_on` returns false. An interrupted run continues within
/// an hour where it stopped. `is_first`: do not report changes to partners, because these rows
/// existed before the practice was attached.
///
/// # Errors
/// [`Error::Unavailable`]; [`Error::Statement`] if the bridge is damaged.
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

/// Returns all findings; none if both sides match. Each statement is short at any size.
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

/// Applies postponed changes of the EMR and returns their number.
///
/// These could not be applied when the EMR made them. Ends when none is left or `goes_on` returns
/// false. Returns 0 for practices without a bridge.
///
/// # Errors
/// [`Error::Unavailable`]; [`Error::Statement`] if the bridge is damaged.
pub async fn catch_up(db: &TenantDb, mut goes_on: impl FnMut() -> bool) -> Result<i64> {
    if matches!(db.pool, Pool::Sqlite(_)) {
        return Ok(0);
    }
    let mut conn = db.connection().await?;
    let is_attached: bool = on!(&mut conn, |c| sqlx::query_scalar(
        "select to_regprocedure('bridge_catch_up(bigint, bigint, interval)') is not null"
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
        // Fewer than it was allowed: others are locked, or failed again.
        if some.is_none_or(|some| some == 0) || !goes_on() {
            return Ok(applied);
        }
    }
}

/// Whether an attached practice has not been compared with its EMR since `before`.
///
/// Not while rows are still being copied, unless that was given up: most would be missing.
///
/// # Errors
/// As [`load`].
pub async fn is_due(db: &TenantDb, before: Timestamp) -> Result<bool> {
    let mut conn = db.connection().await?;
    Ok(on!(&mut conn, |c| sqlx::query_scalar(
        "select (loaded_at is not null or coalesce(went_on_at, attached_at) < now() - interval '1 hour') \
         and coalesce(checked_at <= $1, true) from bridge"
    )
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

/// Extends the EMR's series to the last bookable day; returns how many were extended.
///
/// Each transaction extends a page of them.
///
/// # Errors
/// As [`load`].
pub async fn renew(db: &TenantDb) -> Result<i64> {
    let (mut renewed, mut after) = (0, Some(-1));
    while let Some(id) = after {
        let (done, last): (i64, Option<i64>) = crate::in_transaction!(db, Error, |conn| {
            Ok(on!(conn, |c| sqlx::query_as("select done, last from bridge_renew_some($1, $2)")
                .bind(id)
                .bind(RENEWED)
                .fetch_one(c)
                .await)?)
        })?;
        renewed += done;
        after = last;
    }
    Ok(renewed)
}

/// Writes on both sides, checks that each change arrives, and rolls back.
///
/// Returns what did not arrive.
///
/// # Errors
/// As [`load`].
pub async fn try_out(db: &TenantDb) -> Result<Vec<String>> {
    let missing = undone(db, async |conn| {
        Ok(on!(conn, |c| sqlx::query_scalar("select bridge_trial()").fetch_all(c).await)?)
    })
    .await?;
    // The EMR's own server does not take part in the transaction.
    if has_outbox(db).await? {
        pull_once(db).await?;
    }
    Ok(missing)
}
