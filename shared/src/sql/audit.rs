//! The `audit_log` table: who saw or changed which records.
//!
//! Rows are written before the response is sent.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;

use super::{Conn, Result, on};
use crate::auth::Caller;

/// One access by one caller.
pub struct AuditEntry<'a> {
    pub caller: &'a Caller,
    pub request_id: &'a str,
    pub at: Timestamp,
    /// The operation, e.g. `prospects.read`.
    pub action: &'static str,
    /// The record type, e.g. `patient`.
    pub entity: &'static str,
    /// The ids of the records.
    pub ids: &'a [i64],
}

/// Inserts one row, regardless of how many records the access touched.
pub async fn record(conn: &mut Conn, entry: &AuditEntry<'_>) -> Result<()> {
    let ids: Vec<String> = entry.ids.iter().map(i64::to_string).collect();
    on!(conn, |c| sqlx::query(
        "insert into audit_log (at, request_id, key_id, partner_id, action, entity, entity_ids)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(entry.at.to_sqlx())
    .bind(entry.request_id)
    .bind(entry.caller.key_id.as_str())
    .bind(entry.caller.partner_id.as_str())
    .bind(entry.action)
    .bind(entry.entity)
    .bind(ids.join(","))
    .execute(c)
    .await
    .map(|_| ()))?;
    Ok(())
}
