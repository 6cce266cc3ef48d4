//! Turns new rows of practices' logs into events in the queue, brings back deliveries whose next attempt is due, deletes what
//! practices' databases have kept for long enough, and compares attached practices with their EMRs.

mod bridges;
mod due;
mod events;
mod faults;
mod leases;
mod practice;
mod record;
mod restart;
mod retention;
mod rounds;
mod slice;

use jiff::Timestamp;
use leases::Leases;
use serde::Deserialize;
use shared::{
    app::App,
    control,
    domain::{PracticePass, RequestId},
};

pub use bridges::look_after;
pub use practice::PracticeError;
pub use retention::{Pruned, prune};

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

impl Poll {
    /// Whether a practice is one of this schedule's.
    fn takes(self, practice: &PracticePass) -> bool {
        let of = self.of.max(1);
        crc32fast::hash(practice.as_str().as_bytes()) % of == self.shard % of
    }
}

/// Polls again and again until `deadline`, or once. What fails for one practice is logged and tried again later.
/// `request_id`: of the invocation, for events of the EMR's own.
///
/// # Errors
/// When the practices can't even be listed, in any of the rounds.
pub async fn run(
    app: &App,
    poll: Poll,
    deadline: Timestamp,
    request_id: Option<&RequestId>,
) -> control::Result<()> {
    let leases = Leases::new(app, request_id);
    let pruning = async {
        if !poll.once {
            retention::run(app, poll, deadline).await;
        }
    };
    // Boxed: whoever waits for a run would hold all of it.
    let (before, polled, (), ()) = tokio::join!(
        Box::pin(record::begin(app, poll)),
        Box::pin(rounds::run(app, &leases, poll, deadline)),
        Box::pin(due_retries(app, poll, deadline)),
        Box::pin(pruning)
    );
    leases.release_others(app, &[]).await;
    app.write_data_problems().await;
    record::end(app, poll, polled?, before).await;
    Ok(())
}

/// Deliveries know no shard of practices: the first schedule brings them back for all.
async fn due_retries(app: &App, poll: Poll, deadline: Timestamp) {
    if poll.shard != 0 {
        return;
    }
    due::measure(app).await;
    let interval = app.config.poll_interval;
    loop {
        due::bring_back(app, deadline).await;
        if poll.once || app.clock.now() + interval >= deadline {
            break;
        }
        tokio::time::sleep(interval).await;
    }
}
