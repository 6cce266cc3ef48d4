//! What invokes functions by itself: queues and schedules.

mod queue;
mod schedule;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::runtime::{InvokeError, Outcome, RuntimeHost};
use crate::sqs;
use crate::template::Function;

/// Between two tries of an invocation that found every environment busy.
const BETWEEN_TRIES: Duration = Duration::from_millis(500);

/// The running triggers of all functions.
pub struct Triggers {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Triggers {
    /// Starts polling queues and keeping schedules. `every` replaces the interval of all schedules; `pollers` bounds
    /// how many batches of one queue are in work at once.
    pub fn start(
        functions: &[Function],
        runtime: &Arc<RuntimeHost>,
        queues: &Arc<sqs::Service>,
        every: Option<Duration>,
        pollers: usize,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for function in functions {
            for trigger in &function.queues {
                let allowed = trigger
                    .maximum_concurrency
                    .map_or(pollers, |limit| usize::try_from(limit).unwrap_or(usize::MAX).min(pollers));
                for _ in 0..allowed.max(1) {
                    let poller = queue::Poller {
                        function: function.id.clone(),
                        trigger: trigger.clone(),
                        runtime: Arc::clone(runtime),
                        queues: Arc::clone(queues),
                    };
                    tasks.spawn(poller.run(stopped.clone()));
                }
            }
            for schedule in &function.schedules {
                let mut schedule = schedule.clone();
                schedule.every = every.unwrap_or(schedule.every);
                tasks.spawn(schedule::run(
                    function.id.clone(),
                    schedule,
                    Arc::clone(runtime),
                    stopped.clone(),
                ));
            }
        }
        Self { tasks, stop }
    }

    /// Takes no more messages and starts no more invocations.
    pub fn stop_taking(&self) {
        let _ = self.stop.send(true);
    }

    /// Waits until the work that was begun is over.
    pub async fn finished(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Invokes a function once one of its environments is free, as event source mappings and the scheduler do; they aren't callers
/// who could be told to come back. [`InvokeError::Throttled`] when it has been busy for as long as `patience`; [`InvokeError::Stopping`] also
/// for an invocation that the stack's end cut off.
async fn when_free(
    runtime: &RuntimeHost,
    function: &str,
    event: Bytes,
    patience: Duration,
) -> Result<Outcome, InvokeError> {
    let began = Instant::now();
    loop {
        match runtime.invoke(function, event.clone()).await {
            Err(InvokeError::Throttled) if began.elapsed() < patience => sleep(BETWEEN_TRIES).await,
            Ok(outcome) if outcome.is_cut_off() => return Err(InvokeError::Stopping),
            other => return other,
        }
    }
}
