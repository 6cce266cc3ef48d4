//! The `idempotency_keys` table: responses to POSTs, each stored in the transaction of its effect.

use jiff::Timestamp;

use super::{Conn, Result, on, round_trip};
use crate::domain::idempotency::{RequestKey, StoredResponse};

/// Returns the stored response for this key, unless it has expired.
pub async fn find(conn: &mut Conn, key: &RequestKey, now: Timestamp) -> Result<Option<StoredResponse>> {
    let found: Option<(String, i64, String)> = on!(conn, |c| sqlx::query_as(
        "select body_hash, status, response from idempotency_keys
         where key_id = $1 and method = $2 and path = $3 and idempotency_key = $4 and expires_at > $5",
    )
    .bind(&key.key_id)
    .bind(&key.method)
    .bind(&key.path)
    .bind(&key.idempotency_key)
    .bind(now.as_second())
    .fetch_optional(c)
    .await)?;
    Ok(found.map(|(body_hash, status, response)| StoredResponse { body_hash, status, response }))
}

/// Locks this key until the transaction ends; `false` if another request holds it.
///
/// `SQLite` allows only one writer anyway.
pub async fn claim(conn: &mut Conn, key: &RequestKey) -> Result<bool> {
    match conn {
        Conn::Sqlite(_) => Ok(true),
        Conn::Postgres(connection) => {
            let name = format!("{} {} {} {}", key.key_id, key.method, key.path, key.idempotency_key);
            Ok(round_trip!(connection, |c| {
                sqlx::query_scalar("select pg_try_advisory_xact_lock(hashtextextended($1, 0))")
                    .bind(name)
                    .fetch_one(c)
                    .await
            })?)
        }
    }
}

/// Stores a response until `expires_at`, and deletes all that have expired.
pub async fn store(
    conn: &mut Conn,
    key: &RequestKey,
    status: u16,
    response: &str,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<()> {
    on!(&mut *conn, |c| sqlx::query("delete from idempotency_keys where expires_at <= $1")
        .bind(now.as_second())
        .execute(c)
        .await
        .map(|_| ()))?;
    on!(conn, |c| {
        sqlx::query(
        "insert into idempotency_keys (key_id, method, path, idempotency_key, body_hash, status, response, \
            expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(&key.key_id).bind(&key.method).bind(&key.path).bind(&key.idempotency_key)
    .bind(&key.body_hash).bind(i64::from(status)).bind(response).bind(expires_at.as_second())
    .execute(c).await.map(|_| ())
    })?;
    Ok(())
}
