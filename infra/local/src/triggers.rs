//! Triggers that invoke functions: queues and schedules.

mod queue;
mod schedule;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::runtime::{InvocationResult, InvokeError, RuntimeHost};
use crate::sqs;
use crate::template::Function;

/// Pause between attempts of an invocation while every environment is busy.
const BETWEEN_TRIES: Duration = Duration::from_millis(500);

/// The running triggers of all functions.
pub struct Triggers {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Triggers {
    /// Starts polling queues and running schedules. `every` replaces the interval of all schedules;
    /// `pollers` limits how many batches of one queue are processed concurrently.
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

    /// Stops receiving messages and starting invocations.
    pub fn stop_taking(&self) {
        let _ = self.stop.send(true);
    }

    /// Waits until the work in progress is finished.
    pub async fn finished(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Invokes a function, waiting for a free environment, as event source mappings and the scheduler
/// do: no caller could retry for them.
///
/// # Errors
/// [`InvokeError::Throttled`] if it was busy for `busy_timeout`; [`InvokeError::Stopping`] also if
/// the stack's stop interrupted the invocation.
async fn when_free(
    runtime: &RuntimeHost,
    function: &str,
    event: Bytes,
    busy_timeout: Duration,
) -> Result<InvocationResult, InvokeError> {
    let began = Instant::now();
    loop {
        match runtime.invoke(function, event.clone()).await {
            Err(InvokeError::Throttled) if began.elapsed() < busy_timeout => sleep(BETWEEN_TRIES).await,
            Ok(outcome) if outcome.is_cut_off() => return Err(InvokeError::Stopping),
            other => return other,
        }
    }
}
