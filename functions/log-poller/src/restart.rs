//! Whether the log is still the one that was read before.

use jiff::Timestamp;
use shared::{
    domain::{
        ids::LogId,
        log_progress::{LogProgress, Sighting},
    },
    tenant::{self, TenantDb, log},
};

use crate::slice::Rows;

/// The progress of the log's next epoch, if the log was restored or began anew. Nearly always the row at the position is the
/// one that was read, and nothing more is asked for.
pub(crate) async fn check(
    db: &TenantDb,
    progress: &mut LogProgress,
    rows: &Rows,
    now: Timestamp,
) -> tenant::Result<Option<LogProgress>> {
    let position = progress.position();
    if position == LogId(0) {
        return Ok(None);
    }
    if let Some(row) = &rows.at_position {
        match progress.anchors.agrees(position, row.print()) {
            Some(true) => return Ok(None),
            Some(false) => (),
            None => {
                progress.anchors.add(position, row.print(), now);
                return Ok(None);
            }
        }
    }
    let mut conn = db.connection().await?;
    let ids: Vec<(LogId, LogId)> = progress.anchors.ids().map(|id| (id, id)).collect();
    let mut seen = Sighting { any_above: rows.any_above(position), ..Sighting::default() };
    let there = log::within(&mut conn, &ids, i64::try_from(ids.len()).unwrap_or(i64::MAX)).await?;
    seen.prints = there.iter().map(|row| (row.log_id, row.print())).collect();
    seen.highest_below = log::highest_up_to(&mut conn, position).await?;
    let Some(after) = progress.anchors.restart(&seen) else { return Ok(None) };
    let floor = log::highest(&mut conn).await?;
    Ok(Some(progress.clone().restarted(after.min(position), floor, now)))
}
