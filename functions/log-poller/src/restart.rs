//! Detection of a log that was restored or has started over.

use shared::sql;
use std::collections::HashMap;

use jiff::Timestamp;
use shared::{
    domain::{
        ids::LogId,
        log_progress::{LogProgress, Sighting},
    },
    tenant::{
        TenantDb,
        log::{self, LogRow},
    },
};

use crate::batch::{self, Rows};

/// Returns the progress of the next epoch if the log was restored or has started over.
///
/// Nearly always the rows at the ends are those that were read before, and nothing more is queried.
pub(crate) async fn check(
    db: &TenantDb,
    progress: &mut LogProgress,
    rows: &Rows,
    now: Timestamp,
) -> sql::Result<Option<LogProgress>> {
    if progress.is_same_log(&prints(&rows.ends), now) {
        return Ok(None);
    }
    let mut conn = db.connection().await?;
    let position = progress.position();
    let ids: Vec<(LogId, LogId)> = progress.anchors.ids().map(|id| (id, id)).collect();
    let mut there = Vec::new();
    for ids in ids.chunks(batch::RANGES) {
        there.extend(log::within(&mut conn, ids, i64::MAX).await?);
    }
    let seen = Sighting {
        prints: prints(&there),
        any_below: log::any_up_to(&mut conn, position).await?,
        any_above: rows.any_above(position),
    };
    let Some(after) = progress.anchors.restart(position, &seen) else { return Ok(None) };
    let floor = log::highest(&mut conn).await?;
    Ok(Some(progress.clone().restarted(after, floor, now)))
}

fn prints(rows: &[LogRow]) -> HashMap<LogId, u64> {
    rows.iter().map(|row| (row.log_id, row.print())).collect()
}
