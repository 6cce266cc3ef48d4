//! Turns new rows of practices' logs into queued events, and does the periodic work.
//!
//! It also sends deliveries whose next attempt is due, deletes expired rows from practices'
//! databases, and compares attached practices with their EMRs.

mod beginning;
mod bridges;
mod due;
mod error;
mod events;
mod faults;
mod leases;
mod practice;
mod program;
mod quiet;
mod record;
mod restart;
mod retention;
mod rounds;
mod batch;

use std::{collections::HashSet, time::Duration};

use due::Due;
use jiff::{SignedDuration, Timestamp};
use leases::Leases;
use serde::Deserialize;
use shared::{
    app::App,
    control::{self, subscriptions::BUCKETS},
    domain::{PracticePass, RequestId},
};

pub use bridges::look_after;
pub use error::PracticeError;
pub use program::main;
pub use retention::{Pruned, prune};

/// How long before its Lambda timeout a run stops beginning work. Its last steps take less.
const BEFORE_TIMEOUT: SignedDuration = SignedDuration::from_secs(6);
/// The longest run, so that the next minute's run finds the practices free.
const LONGEST_RUN: SignedDuration = SignedDuration::from_secs(54);

/// Returns the deadline of a run that begins at `now` and is killed at `timeout`.
pub fn end_of_run(now: Timestamp, timeout: Timestamp) -> Timestamp {
    (timeout - BEFORE_TIMEOUT).min(now + LONGEST_RUN)
}

/// The input from the schedule. A hash of their names spreads the practices over `of` schedules.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Poll {
    #[serde(default)]
    pub shard: u32,
    #[serde(default = "one")]
    pub of: u32,
    /// Whether to poll once instead of repeatedly.
    #[serde(default)]
    pub once: bool,
}

fn one() -> u32 {
    1
}

impl Poll {
    /// Whether a practice belongs to this schedule.
    pub fn takes(self, practice: &PracticePass) -> bool {
        let of = self.of.max(1);
        crc32fast::hash(practice.as_str().as_bytes()) % of == self.shard % of
    }

    /// Returns the buckets of subscriptions that can contain this schedule's practices.
    pub fn buckets(self) -> impl Iterator<Item = u32> {
        let of = self.of.max(1);
        let (mut common, mut rest) = (BUCKETS, of);
        while rest > 0 {
            (common, rest) = (rest, common % rest);
        }
        (0..BUCKETS).filter(move |bucket| bucket % common == self.shard % of % common)
    }
}

/// Polls repeatedly until `deadline`, or once.
///
/// A failure at one practice is logged and retried later. `request_id` is that of the invocation,
/// for events that the EMR wrote.
///
/// # Errors
/// If the practices could not be listed in some round.
pub async fn run(
    app: &App,
    poll: Poll,
    deadline: Timestamp,
    request_id: Option<&RequestId>,
) -> control::Result<()> {
    let leases = Leases::new(app, request_id);
    let left = time_left(app, deadline) + rounds::LAST_WAIT;
    let looking_after = async {
        if poll.once {
            return quiet::Asked::nobody();
        }
        let all = look_after_all(app, poll, deadline);
        tokio::time::timeout(left, all).await.unwrap_or_else(|_| {
            tracing::warn!("the run ended before all practices were checked");
            quiet::Asked::default()
        })
    };
    let retries = async {
        let retries = due_retries(app, poll, deadline);
        if tokio::time::timeout(left, retries).await.is_err() {
            tracing::warn!("the run ended before all due deliveries were queued; the next run queues them");
        }
    };
    // Boxed, so that the future of a run is small.
    let (before, polled, (), asked) = tokio::join!(
        Box::pin(record::begin(app, poll)),
        Box::pin(rounds::run(app, &leases, poll, deadline)),
        Box::pin(retries),
        Box::pin(looking_after)
    );
    leases.release_others(app, &[]).await;
    let last = async {
        app.write_data_problems().await;
        record::end(app, poll, (polled?, asked), before).await;
        Ok(())
    };
    let cut_off = |_| {
        tracing::error!("the end of the run was not recorded");
        Ok(())
    };
    tokio::time::timeout(app.config.timeouts.run_record, last).await.unwrap_or_else(cut_off)
}

/// Returns the time until `deadline`; zero if it is over.
fn time_left(app: &App, deadline: Timestamp) -> Duration {
    Duration::try_from(deadline.duration_since(app.clock.now())).unwrap_or_default()
}

/// Performs the periodic work for all practices, each in its own minute.
async fn look_after_all(app: &App, poll: Poll, deadline: Timestamp) -> quiet::Asked {
    let practices = match app.control.practices().await {
        Ok(practices) => practices,
        Err(error) => {
            tracing::error!(%error,
                "cannot list the practices; none is pruned, and those without subscriptions are not checked");
            return quiet::Asked::default();
        }
    };
    let practices: HashSet<PracticePass> =
        practices.into_iter().map(|it| it.practicepass).filter(|it| poll.takes(it)).collect();
    let asking = Box::pin(quiet::ask(app, &practices, deadline));
    let pruning = Box::pin(retention::run(app, &practices, deadline));
    let comparing = Box::pin(bridges::run(app, &practices, deadline));
    let (asked, (), ()) = tokio::join!(asking, pruning, comparing);
    quiet::Asked { registered: Some(practices), ..asked }
}

/// Sends due deliveries again.
///
/// Deliveries have no shard of practices, so the first schedule does this for all.
async fn due_retries(app: &App, poll: Poll, deadline: Timestamp) {
    if poll.shard != 0 {
        return;
    }
    due::measure(app).await;
    due::requeue(app, Due::TooFarAhead, deadline).await;
    let interval = app.config.poll_interval;
    loop {
        due::requeue(app, Due::Overdue, deadline).await;
        if poll.once || app.clock.now() + interval >= deadline {
            break;
        }
        tokio::time::sleep(interval).await;
    }
}

#[cfg(test)]
mod tests {
    use shared::{config::Timeouts, control::subscriptions::bucket_of};

    use super::*;

    #[test]
    fn the_last_steps_of_a_run_take_a_second_less_than_is_left() {
        let Timeouts { released_leases, run_record, .. } = Timeouts::default();
        // Leases are also released after the practices were listed.
        let steps = released_leases + rounds::LAST_WAIT + released_leases + run_record;
        assert!(steps + Duration::from_secs(1) <= BEFORE_TIMEOUT.unsigned_abs(), "{steps:?}");
        assert!(steps + LONGEST_RUN.unsigned_abs() <= Duration::from_secs(59), "{steps:?}");
        let now: Timestamp = "2026-03-09T12:00:00Z".parse().unwrap();
        let end = |seconds| end_of_run(now, now + SignedDuration::from_secs(seconds)).duration_since(now);
        assert_eq!((end(60).as_secs(), end(59).as_secs(), end(900).as_secs()), (54, 53, 54));
    }

    #[test]
    fn each_practice_belongs_to_a_bucket_of_exactly_one_schedule() {
        let practices: Vec<PracticePass> =
            (0..2_000).map(|n| PracticePass::try_from(format!("Practice{n:05}").as_str()).unwrap()).collect();
        for of in [1, 2, 3, 4, 10, 16, 20, 32, 48] {
            for shard in 0..of {
                let poll = Poll { shard, of, once: true };
                let buckets: HashSet<u32> = poll.buckets().collect();
                for practice in practices.iter().filter(|practice| poll.takes(practice)) {
                    assert!(buckets.contains(&bucket_of(practice)), "{practice} of {shard} of {of}");
                }
                let most = if of % 16 == 0 { 1 } else { 16 };
                assert!(buckets.len() <= most, "{shard} of {of}: {}", buckets.len());
            }
        }
    }
}
