//! Repairs to a practice's database after a restore.

use jiff_sqlx::ToSqlx;

use super::{AUDIT_ACTION, DatabaseRepair, ExamineRequest, RECORDS, ids, stray_answers};
use crate::in_transaction;
use crate::sql::{Conn, Database, Result, on};

/// Makes the repairs and their audit records in one transaction.
pub(super) async fn apply(db: &Database, request: &ExamineRequest, repair: &DatabaseRepair) -> Result<()> {
    in_transaction!(db, crate::sql::Error, |conn| {
        if repair.answers {
            for stray in stray_answers(conn, request.now).await? {
                on!(&mut *conn, |c| {
                    sqlx::query(
                        "delete from idempotency_keys where key_id = $1 and method = $2 and path = $3 and \
                        idempotency_key = $4",
                    )
                    .bind(&stray.key_id)
                    .bind(&stray.method)
                    .bind(&stray.path)
                    .bind(&stray.idempotency_key)
                    .execute(c)
                    .await
                    .map(|_| ())
                })?;
            }
        }
        if repair.skip_ids > 0 {
            for (table, column, _) in RECORDS {
                let end =
                    ids::end(conn, table, column).await?.max(repair.floors.get(table).copied().unwrap_or(0));
                ids::begin_above(conn, table, column, end + repair.skip_ids).await?;
            }
            record(conn, request, repair, "ids").await?;
        }
        record(conn, request, repair, "practice").await
    })
}

async fn record(
    conn: &mut Conn,
    request: &ExamineRequest,
    repair: &DatabaseRepair,
    entity: &str,
) -> Result<()> {
    on!(conn, |c| sqlx::query(
        "insert into audit_log (at, request_id, key_id, partner_id, action, entity, entity_ids)
         values ($1, $2, 'operator', 'operator', $3, $4, '')",
    )
    .bind(request.now.to_sqlx())
    .bind(&repair.request_id)
    .bind(AUDIT_ACTION)
    .bind(entity)
    .execute(c)
    .await
    .map(|_| ()))?;
    Ok(())
}
