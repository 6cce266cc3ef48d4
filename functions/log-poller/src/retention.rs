//! Once a day each practice's database is relieved of what has been kept for long enough. Each has
//! a minute of its own, so that neither a schedule more is needed nor all databases work at once.

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

use crate::practice::PracticeError;

/// Practices at the same time; they share the databases with calls.
const AT_ONCE: usize = 4;
/// Rows of the log that are deleted in one day, of each practice.
const MOST: u64 = 50_000;
const MINUTES: u32 = 24 * 60;

/// How many rows a pruning deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    pub log: u64,
    pub answers: u64,
}

/// Prunes those of the practices whose minute it is. What fails for one is logged, and tried again
/// the next day.
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

/// Deletes rows of the log that are old and behind what has been read, and answers that have
/// expired.
///
/// # Errors
/// When the practice's database or the control plane can't be asked.
pub async fn prune(app: &App, practicepass: &PracticePass) -> Result<Pruned, PracticeError> {
    let now = app.clock.now();
    let db = app.open(&PracticeGrant::for_operations(practicepass.clone())).await?;
    let answers = retention::prune_answers(&db, now).await?;
    if app.config.event_log_days == 0 {
        return Ok(Pruned { log: 0, answers });
    }
    let before = now - SignedDuration::from_hours(24 * i64::from(app.config.event_log_days));
    // Before the subscriptions: who signs up after they were read starts at this row or a later
    // one.
    let highest = log::highest(&mut db.connection().await?).await?;
    let progress = app.control.dispatch_states(Some(practicepass)).await?.pop().map(|it| it.progress);
    // By the rows that it remembers the poller knows the log again, also when the next subscription
    // comes after years.
    let kept: Vec<LogId> = progress.iter().flat_map(|it| it.anchors.ids()).collect();
    let below = unread_from(app, practicepass, progress).await?.unwrap_or(highest);
    let log = retention::prune_log(&db, &Prunable { now, before, below, kept: &kept }, MOST).await?;
    Ok(Pruned { log, answers })
}

/// The lowest row that some subscription may not have been sent yet, or the one with which its
/// reading begins. `None`: nobody reads this log. How far it was read for subscriptions that were
/// deleted, or that the platform disabled, holds up nothing: who signs up anew starts at the newest
/// row. One that is paused, or suspended for want of a key, goes on where it was.
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
    // As the poller itself, which may not have begun with the newest of them, and then goes on
    // where it was.
    let epoch = subscriptions.iter().map(|it| it.start_epoch).max().unwrap_or_default();
    let progress = progress.filter(|it| epoch <= it.epoch);
    Ok(first_start.map(|start| progress.map_or(start, |progress| progress.done_below())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_practice_has_one_minute_of_a_day() {
        let practice = PracticePass::try_from("DemoOffice").unwrap();
        let day: Timestamp = "2026-03-09T00:00:00Z".parse().unwrap();
        let due = (0..i64::from(MINUTES))
            .filter(|minute| is_due(&practice, day + SignedDuration::from_mins(*minute)));
        assert_eq!(due.count(), 1);
    }
}
