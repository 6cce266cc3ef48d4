//! Turns new rows of practices' logs into events in the queue, and brings back deliveries whose next attempt is due.

mod due;
mod events;
mod leases;
mod practice;

use std::time::Duration;

use futures::{StreamExt, stream};
use jiff::Timestamp;
use leases::Leases;
use serde::Deserialize;
use shared::{app::App, control, domain::PracticePass};

pub use practice::PracticeError;

/// Practices polled at the same time.
const CONCURRENCY: usize = 8;
/// One practice's poll is given up after this long, so that it holds up no other.
const PRACTICE_LIMIT: Duration = Duration::from_secs(10);

/// The schedule's input: practices are spread over `of` schedules by a hash of their names.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Poll {
    #[serde(default)]
    pub shard: u32,
    #[serde(default = "one")]
    pub of: u32,
    /// Poll once instead of again and again.
    #[serde(default)]
    pub once: bool,
}

fn one() -> u32 {
    1
}

/// Polls again and again until `deadline`, or once. What fails for one practice is logged and tried again the next time.
///
/// # Errors
/// When the practices can't even be listed, in any of the polls.
pub async fn run(app: &App, poll: Poll, deadline: Timestamp) -> control::Result<()> {
    let interval = app.config.poll_interval;
    let leases = Leases::new(app);
    let mut failed = None;
    loop {
        let listed = app.control.practices_with_subscriptions().await;
        let practices = listed.unwrap_or_else(|error| {
            tracing::error!(%error, "the subscriptions can't be listed");
            failed = Some(error);
            Vec::new()
        });
        poll_once(app, &leases, poll, practices, deadline).await;
        if poll.once || app.clock.now() + interval >= deadline {
            break;
        }
        tokio::time::sleep(interval).await;
    }
    leases.release_all(app).await;
    failed.map_or(Ok(()), Err)
}

async fn poll_once(
    app: &App,
    leases: &Leases,
    poll: Poll,
    practices: Vec<PracticePass>,
    deadline: Timestamp,
) {
    let mine =
        practices.into_iter().filter(|practice| shard_of(practice, poll.of) == poll.shard % poll.of.max(1));
    let practices = stream::iter(mine).for_each_concurrent(CONCURRENCY, async |practice| {
        let polled = practice::poll(app, leases, &practice, deadline);
        match tokio::time::timeout(PRACTICE_LIMIT, polled).await {
            Ok(Ok(0)) => (),
            Ok(Ok(events)) => tracing::info!(%practice, events, "events sent"),
            Ok(Err(error)) => tracing::error!(%practice, %error, "a practice was not polled"),
            Err(_) => tracing::error!(%practice, "a practice's poll took too long"),
        }
    });
    let due = async {
        // Deliveries know no shard of practices: the first schedule brings them back for all.
        if poll.shard == 0
            && let Err(error) = due::bring_back(app).await
        {
            tracing::error!(%error, "due deliveries were not brought back");
        }
    };
    tokio::join!(practices, due);
}

fn shard_of(practice: &PracticePass, of: u32) -> u32 {
    crc32fast::hash(practice.as_str().as_bytes()) % of.max(1)
}
