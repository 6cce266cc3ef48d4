//! Compares a practice's database with the control plane after a restore, and repairs it.
//!
//! This module reads the facts about a period; `repair.rs` makes the repairs.

mod ids;
mod repair;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::AssertSqlSafe;

use super::log;
use crate::domain::{
    EventScope, PracticePass,
    ids::LogId,
    webhook_event::{Action, classify},
};
use crate::sql::{Conn, Database, Result, on};

/// Ids or calls per statement.
const AT_ONCE: usize = 100;
/// Tables in which calls create records: table, id column, and the response's member with the id.
///
/// A response also names other records: a visit names its patient, a comment its ticket. The first
/// match in this order is the record that the response is about.
const RECORDS: [(&str, &str, &str); 4] = [
    ("visits", "visit_id", "VisitID"),
    ("ticket_comments", "comment_id", "CommentID"),
    ("tickets", "ticket_id", "TicketID"),
    ("patients", "patient_id", "PatientID"),
];
/// The action of the audit entry that a reconciliation writes.
pub const AUDIT_ACTION: &str = "restore.reconcile";

/// The query to a practice's database.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExamineRequest {
    pub practicepass: PracticePass,
    /// The start of the audit log's period.
    pub since: Timestamp,
    pub now: Timestamp,
    /// Rows of the log to return.
    pub log_ids: Vec<LogId>,
    /// The position up to which the poller has read.
    pub position: LogId,
    /// Request ids of calls that must have left a trace.
    pub calls: BTreeSet<String>,
    /// Ids of patients and visits whose creation was lost: return those that exist.
    #[serde(default)]
    pub records: BTreeSet<(String, i64)>,
    /// Repairs to make first.
    #[serde(default)]
    pub repair: Option<DatabaseRepair>,
}

/// Repairs to a practice's database.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DatabaseRepair {
    /// Delete stored responses about records that do not exist.
    pub answers: bool,
    /// How many ids of new records to skip, because partners may know lost ones; 0 for none.
    pub skip_ids: i64,
    /// By table, the last id that was skipped before.
    /// Ids are skipped from there if the restored database is behind it.
    #[serde(default)]
    pub floors: BTreeMap<String, i64>,
    /// The request id for the audit log.
    pub request_id: String,
}

/// A requested row of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SeenRow {
    pub log_id: LogId,
    pub print: u64,
    /// `None` if the row is not an event.
    pub event: Option<(EventScope, Action, i64)>,
    pub logged_at: Option<Timestamp>,
}

/// A call's entry in the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx_macros::FromRow)]
#[serde(rename_all = "camelCase")]
pub struct AuditedCall {
    pub request_id: String,
    pub key_id: String,
}

/// An API key that the audit log names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx_macros::FromRow)]
#[serde(rename_all = "camelCase")]
pub struct SeenKey {
    pub key_id: String,
    pub partner_id: String,
}

/// A stored response about a record that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StrayAnswer {
    pub key_id: String,
    pub method: String,
    pub path: String,
    pub idempotency_key: String,
    /// E.g. `visits 7`.
    pub record: String,
}

/// The answer of a practice's database.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    pub highest_log_id: LogId,
    /// The requested rows that exist.
    pub log_rows: Vec<SeenRow>,
    /// Whether there are rows up to the poller's position.
    pub any_up_to_position: bool,
    /// The number of rows above the poller's position.
    pub rows_above: u64,
    /// The requested calls that the audit log has.
    pub calls: Vec<AuditedCall>,
    /// The keys of the calls since then.
    pub keys: Vec<SeenKey>,
    pub stray_answers: Vec<StrayAnswer>,
    /// Pairs of future visits that overlap although neither may.
    pub overlaps: i64,
    /// When a reconciliation last skipped ids in the period.
    pub ids_passed_at: Option<Timestamp>,
    /// The highest id ever assigned, by table.
    pub ends: BTreeMap<String, i64>,
    /// The requested records that exist.
    pub records: BTreeSet<(String, i64)>,
    pub schema_version: i64,
}

/// Makes the repairs, then reads the facts.
pub async fn examine(db: &Database, request: &ExamineRequest) -> Result<Facts> {
    if let Some(repair) = &request.repair {
        repair::apply(db, request, repair).await?;
    }
    let conn = &mut db.connection().await?;
    let mut log_rows = Vec::new();
    let ranges: Vec<(LogId, LogId)> = request.log_ids.iter().map(|id| (*id, *id)).collect();
    for ranges in ranges.chunks(AT_ONCE) {
        log_rows.extend(log::within(conn, ranges, i64::MAX).await?.iter().map(seen));
    }
    let rows_above: i64 =
        on!(&mut *conn, |c| sqlx::query_scalar("select count(*) from log where log_id > $1")
            .bind(request.position)
            .fetch_one(c)
            .await)?;
    Ok(Facts {
        highest_log_id: log::highest(conn).await?,
        log_rows,
        any_up_to_position: log::any_up_to(conn, request.position).await?,
        rows_above: rows_above.unsigned_abs(),
        calls: calls(conn, request).await?,
        keys: keys(conn, request.since).await?,
        stray_answers: stray_answers(conn, request.now).await?,
        overlaps: overlaps(conn, request.now).await?,
        ids_passed_at: ids_passed_at(conn, request.since).await?,
        ends: ends(conn).await?,
        records: records(conn, &request.records).await?,
        schema_version: on!(&mut *conn, |c| sqlx::query_scalar(
            "select coalesce(max(version), 0) from _sqlx_migrations"
        )
        .fetch_one(c)
        .await)?,
    })
}

fn seen(row: &log::LogRow) -> SeenRow {
    let entry = row.entry.as_ref();
    let event = entry.and_then(|it| {
        let (scope, action) = classify(&it.table_name, &it.action)?;
        Some((scope, action, it.record_id))
    });
    SeenRow { log_id: row.log_id, print: row.print(), event, logged_at: entry.and_then(|it| it.logged_at) }
}

async fn calls(conn: &mut Conn, request: &ExamineRequest) -> Result<Vec<AuditedCall>> {
    let asked: Vec<&String> = request.calls.iter().collect();
    let mut found = Vec::new();
    for asked in asked.chunks(AT_ONCE) {
        let places: Vec<String> = (2..asked.len() + 2).map(|place| format!("${place}")).collect();
        let text = format!(
            "select request_id, key_id from audit_log where at >= $1 and request_id in ({})",
            places.join(", ")
        );
        // Only placeholder numbers are formatted into the SQL.
        let rows: Vec<AuditedCall> = on!(&mut *conn, |c| {
            let mut query = sqlx::query_as(AssertSqlSafe(text)).bind(request.since.to_sqlx());
            for request_id in asked {
                query = query.bind(*request_id);
            }
            query.fetch_all(c).await
        })?;
        found.extend(rows);
    }
    Ok(found)
}

async fn keys(conn: &mut Conn, since: Timestamp) -> Result<Vec<SeenKey>> {
    Ok(on!(conn, |c| {
        sqlx::query_as(
        "select distinct key_id, partner_id from audit_log where at >= $1 and key_id <> 'operator' order by \
            key_id",
    ).bind(since.to_sqlx()).fetch_all(c).await
    })?)
}

async fn ids_passed_at(conn: &mut Conn, since: Timestamp) -> Result<Option<Timestamp>> {
    let found: Option<jiff_sqlx::Timestamp> = on!(conn, |c| {
        sqlx::query_scalar(
        "select at from audit_log where at >= $1 and action = $2 and entity = 'ids' order by at desc limit 1",
    ).bind(since.to_sqlx()).bind(AUDIT_ACTION).fetch_optional(c).await
    })?;
    Ok(found.map(jiff_sqlx::Timestamp::to_jiff))
}

/// Counts overlapping pairs of blocking visits.
///
/// There are none, unless the practice or a change of the time zone or its rules created them.
async fn overlaps(conn: &mut Conn, now: Timestamp) -> Result<i64> {
    const FREE: &str = "('Cancelled', 'NoShow', 'Deleted')";
    let mut pairs = 0;
    for (owner, start, end) in [
        ("provider_id", "provider_starts_at", "provider_ends_at"),
        ("room_id", "starts_at", "ends_at"),
        ("patient_id", "starts_at", "ends_at"),
    ] {
        let text = format!(
            "select count(*) from visits a join visits b on b.{owner} = a.{owner} and b.{start} >= a.{start} \
                and b.{start} < a.{end}
             where a.ends_at > $1 and (b.{start} > a.{start} or b.visit_id > a.visit_id)
               and a.status not in {FREE} and b.status not in {FREE} and not a.overlap_allowed and not \
               b.overlap_allowed and a.bound and b.bound"
        );
        // Only column names are formatted into the SQL.
        let found: i64 = on!(&mut *conn, |c| sqlx::query_scalar(AssertSqlSafe(text))
            .bind(now.as_second())
            .fetch_one(c)
            .await)?;
        pairs += found;
    }
    Ok(pairs)
}

#[derive(sqlx_macros::FromRow)]
struct StoredRow {
    key_id: String,
    method: String,
    path: String,
    idempotency_key: String,
    response: String,
}

async fn stray_answers(conn: &mut Conn, now: Timestamp) -> Result<Vec<StrayAnswer>> {
    let stored: Vec<StoredRow> = on!(&mut *conn, |c| {
        sqlx::query_as(
        "select key_id, method, path, idempotency_key, response from idempotency_keys where expires_at > $1",
    ).bind(now.as_second()).fetch_all(c).await
    })?;
    let mut strays = Vec::new();
    for answer in stored {
        let body: Value = serde_json::from_str(&answer.response).unwrap_or_default();
        let named = RECORDS
            .iter()
            .find_map(|(table, column, member)| Some((table, column, body["data"][*member].as_i64()?)));
        let Some((table, column, id)) = named else { continue };
        // Only our own names are formatted into the SQL.
        let exists = AssertSqlSafe(format!("select exists (select 1 from {table} where {column} = $1)"));
        let exists: bool = on!(&mut *conn, |c| sqlx::query_scalar(exists).bind(id).fetch_one(c).await)?;
        if !exists {
            let StoredRow { key_id, method, path, idempotency_key, .. } = answer;
            strays.push(StrayAnswer {
                key_id,
                method,
                path,
                idempotency_key,
                record: format!("{table} {id}"),
            });
        }
    }
    Ok(strays)
}

async fn ends(conn: &mut Conn) -> Result<BTreeMap<String, i64>> {
    let mut ends = BTreeMap::new();
    for (table, column, _) in RECORDS {
        ends.insert(table.to_owned(), ids::end(conn, table, column).await?);
    }
    Ok(ends)
}

/// Returns those of the records that exist.
async fn records(conn: &mut Conn, asked: &BTreeSet<(String, i64)>) -> Result<BTreeSet<(String, i64)>> {
    let mut found = BTreeSet::new();
    for (table, column, _) in RECORDS {
        for (_, id) in asked.iter().filter(|(name, _)| name == table) {
            let text = AssertSqlSafe(format!("select exists (select 1 from {table} where {column} = $1)"));
            if on!(&mut *conn, |c| sqlx::query_scalar(text).bind(id).fetch_one(c).await)? {
                found.insert((table.to_owned(), *id));
            }
        }
    }
    Ok(found)
}
