//! Checks whether the control plane's tables can be read.

use std::time::Duration;

use futures::future::join_all;
use shared::{app::App, control::Table};
use tokio::time::{Instant, timeout};

use super::check::{Check, CheckName, CheckStatus, too_long};

/// Reads from each table. Each read has its own time limit, so the check can name a table that
/// hangs.
pub(super) async fn check(app: &App, limit: Duration) -> Check {
    let began = Instant::now();
    let probes = Table::ALL.map(async |table| {
        let error = match timeout(limit, app.control.probe(table)).await {
            Ok(Ok(())) => return None,
            Ok(Err(error)) => error.to_string(),
            Err(_) => too_long(limit),
        };
        tracing::warn!(table = table.logical_id(), error, "a table cannot be read");
        Some(table.logical_id())
    });
    let unreadable: Vec<&str> = join_all(probes).await.into_iter().flatten().collect();
    let check = if unreadable.is_empty() {
        Check::new(CheckName::ControlPlane, CheckStatus::Ok, "All tables can be read.")
    } else {
        let detail = format!("These tables cannot be read: {}.", unreadable.join(", "));
        Check::new(CheckName::ControlPlane, CheckStatus::Failed, detail)
    };
    let count = i64::try_from(unreadable.len()).unwrap_or(i64::MAX);
    check.at_most("unreadableTables", count, 0).took(began)
}
