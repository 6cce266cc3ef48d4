//! Deletion of expired rows from practices' databases, once a day.
//!
//! Each practice has its own minute, so no further schedule is needed, and the databases do not all
//! work at once.

use std::collections::HashSet;

use futures::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use shared::{
    app::App,
    auth::PracticeGrant,
    control::subscriptions::Subscription,
    domain::{PracticePass, ids::LogId, log_progress::LogProgress},
    tenant::{
        log,
        retention::{self, Prunable},
    },
};

use crate::error::PracticeError;

/// The number of practices processed concurrently; they share the databases with calls.
const AT_ONCE: usize = 4;
/// The maximum number of log rows that are deleted per practice and day.
const MOST: u64 = 50_000;
const MINUTES: u32 = 24 * 60;

/// The numbers of deleted rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    pub log: u64,
    pub answers: u64,
}

/// Prunes the practices whose minute it is. A failure is logged and retried the next day.
pub(crate) async fn run(app: &App, practices: &HashSet<PracticePass>, deadline: Timestamp) {
    let now = app.clock.now();
    let due = practices.iter().filter(|it| is_due(it, now));
    let pruning = stream::iter(due).for_each_concurrent(AT_ONCE, async |practicepass| {
        if app.clock.now() >= deadline {
            return;
        }
        match prune(app, practicepass).await {
            Ok(Pruned { log, answers }) => tracing::info!(%practicepass, log, answers, "pruned"),
            Err(error) => tracing::error!(%practicepass, %error, "a practice was not pruned"),
        }
    });
    pruning.await;
}

/// Whether it is the practice's minute of the day.
fn is_due(practice: &PracticePass, now: Timestamp) -> bool {
    let minute = now.as_second().div_euclid(60).rem_euclid(i64::from(MINUTES));
    i64::from(crc32fast::hash(practice.as_str().as_bytes()) % MINUTES) == minute
}

/// Deletes old log rows that have been read, and expired idempotency responses.
///
/// # Errors
/// If the practice's database or the control plane does not respond.
pub async fn prune(app: &App, practicepass: &PracticePass) -> Result<Pruned, PracticeError> {
    let now = app.clock.now();
    let db = app.open(&PracticeGrant::for_operations(practicepass.clone())).await?;
    let answers = retention::prune_answers(&db, now).await?;
    if app.config.event_log_days == 0 {
        return Ok(Pruned { log: 0, answers });
    }
    let before = now - SignedDuration::from_hours(24 * i64::from(app.config.event_log_days));
    // Read before the subscriptions: later sign-ups start at this row or a later one.
    let highest = log::highest(&mut db.connection().await?).await?;
    let progress = app.control.dispatch_states(Some(practicepass)).await?.pop().map(|it| it.progress);
    // Keep the rows by which the poller recognizes the log, even if the next subscription comes
    // years later.
    let kept: Vec<LogId> = progress.iter().flat_map(|it| it.anchors.ids()).collect();
    let below = unread_from(app, practicepass, progress).await?.unwrap_or(highest);
    let log = retention::prune_log(&db, &Prunable { now, before, below, kept: &kept }, MOST).await?;
    Ok(Pruned { log, answers })
}

/// Returns the lowest row that some subscription may still need, or at which its reading starts.
///
/// `None` if nobody reads this log. Deleted subscriptions, and those that the platform disabled, do
/// not count: a new sign-up starts at the newest row. A paused or suspended subscription counts,
/// because it resumes where it stopped.
async fn unread_from(
    app: &App,
    practicepass: &PracticePass,
    progress: Option<LogProgress>,
) -> Result<Option<LogId>, PracticeError> {
    let mut subscriptions = app.control.subscriptions_of(practicepass).await?;
    subscriptions.retain(Subscription::is_active);
    let start = |it: &Subscription| {
        let in_flight = it.in_flight.iter().map(|(from, _)| *from).min();
        in_flight.map_or(it.start_after_log_id, |from| from.min(it.start_after_log_id))
    };
    let first_start = subscriptions.iter().map(start).min();
    // Use the same rule as the poller: it may not have started with the newest subscription, and
    // then continues at its old position.
    let epoch = subscriptions.iter().map(|it| it.start_epoch).max().unwrap_or_default();
    let progress = progress.filter(|it| epoch <= it.epoch);
    Ok(first_start.map(|start| progress.map_or(start, |progress| progress.done_below())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_practice_is_pruned_in_one_minute_of_the_day() {
        let practice = PracticePass::try_from("DemoOffice").unwrap();
        let day: Timestamp = "2026-03-09T00:00:00Z".parse().unwrap();
        let due = (0..i64::from(MINUTES))
            .filter(|minute| is_due(&practice, day + SignedDuration::from_mins(*minute)));
        assert_eq!(due.count(), 1);
    }
}
