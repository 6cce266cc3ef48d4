//! The environments of one function: as many as the load needs, up to a limit; what comes in beyond that waits.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};

use super::invocation::{InvokeError, Job, Outcome, PAYLOAD_LIMIT};
use super::{Deployed, Shared, worker};

/// Invocations of one function that may wait; Lambda would throttle sooner.
const WAITING_LIMIT: usize = 10_000;

pub(super) struct Pool {
    pub(super) shared: Arc<Shared>,
    pub(super) deployed: Deployed,
    state: Mutex<State>,
    emptied: Notify,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    /// Idle workers, the one that worked last at the end: it is taken first, so that the others can grow old.
    parked: Vec<(u64, oneshot::Sender<Job>)>,
    /// Workers that have not asked for their first job yet.
    starting: usize,
    workers: usize,
    /// Those of them that are on their way out.
    retiring: usize,
    next_worker: u64,
    stopping: bool,
}

impl State {
    /// The oldest waiting job that somebody still waits for.
    fn next_waiting(&mut self) -> Option<Job> {
        while let Some(job) = self.waiting.pop_front() {
            if !job.reply.is_closed() {
                return Some(job);
            }
        }
        None
    }
}

/// What a worker does next.
pub(super) enum Turn {
    Work(Job),
    /// Wait for a job, as the worker of this number.
    Wait(u64, oneshot::Receiver<Job>),
}

/// How a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It never asked for a job.
    NeverCameUp,
    /// [`Pool::may_retire`] let it go.
    Retired,
    /// Its process is gone, or the stack stops.
    Lost,
}

impl Pool {
    pub(super) fn new(shared: Arc<Shared>, deployed: Deployed) -> Arc<Self> {
        Arc::new(Self { shared, deployed, state: Mutex::default(), emptied: Notify::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of workers, each with at most one process.
    pub(super) fn size(&self) -> usize {
        self.state().workers
    }

    pub(super) async fn invoke(self: &Arc<Self>, event: Bytes) -> Result<Outcome, InvokeError> {
        if event.len() > PAYLOAD_LIMIT {
            return Err(InvokeError::TooLarge);
        }
        let (reply, outcome) = oneshot::channel();
        self.submit(Job { event, reply })?;
        outcome.await.map_err(|_| InvokeError::Stopping)
    }

    fn submit(self: &Arc<Self>, job: Job) -> Result<(), InvokeError> {
        let mut state = self.state();
        if state.stopping || *self.shared.stop.borrow() {
            return Err(InvokeError::Stopping);
        }
        if state.waiting.len() >= WAITING_LIMIT {
            return Err(InvokeError::Throttled);
        }
        let mut job = job;
        while let Some((_, parked)) = state.parked.pop() {
            match parked.send(job) {
                Ok(()) => return Ok(()),
                Err(unsent) => job = unsent,
            }
        }
        state.waiting.push_back(job);
        self.staff(&mut state);
        Ok(())
    }

    /// Starts workers for the jobs that no worker is coming for.
    fn staff(self: &Arc<Self>, state: &mut State) {
        while state.waiting.len() > state.starting
            && state.workers < self.shared.settings.environments
            && !state.stopping
        {
            state.starting += 1;
            state.workers += 1;
            tokio::spawn(worker::run(Arc::clone(self)));
        }
    }

    /// A worker's environment has come up (`first`), or is free again.
    pub(super) fn next_turn(&self, first: bool) -> Turn {
        let mut state = self.state();
        if first {
            state.starting -= 1;
        }
        if let Some(job) = state.next_waiting() {
            return Turn::Work(job);
        }
        let number = state.next_worker;
        state.next_worker += 1;
        let (send, receive) = oneshot::channel();
        state.parked.push((number, send));
        Turn::Wait(number, receive)
    }

    /// Whether the idle worker may go: it isn't the only one and no job is on its way to it.
    pub(super) fn may_retire(&self, number: u64) -> bool {
        let mut state = self.state();
        let only = state.workers - state.retiring <= 1;
        let position = state.parked.iter().position(|(parked, _)| *parked == number);
        match position {
            Some(position) if !only => {
                state.parked.remove(position);
                state.retiring += 1;
                true
            }
            _ => false,
        }
    }

    /// Puts a job back that its worker could not begin.
    pub(super) fn give_back(&self, job: Job) {
        self.state().waiting.push_front(job);
    }

    /// A waiting job, for a worker that has only a failure to hand out.
    pub(super) fn take_waiting(&self) -> Option<Job> {
        self.state().next_waiting()
    }

    /// A worker is gone.
    pub(super) fn leave(self: &Arc<Self>, worker: End) {
        let mut state = self.state();
        state.workers -= 1;
        match worker {
            End::NeverCameUp => state.starting -= 1,
            End::Retired => state.retiring -= 1,
            End::Lost => {}
        }
        self.staff(&mut state);
        if state.workers == 0 {
            self.emptied.notify_waiters();
        }
    }

    /// Refuses new jobs, drops waiting ones and waits until every worker is gone.
    pub(super) async fn stopped(&self) {
        loop {
            let emptied = self.emptied.notified();
            tokio::pin!(emptied);
            emptied.as_mut().enable();
            {
                let mut state = self.state();
                state.stopping = true;
                state.waiting.clear();
                state.parked.clear();
                if state.workers == 0 {
                    return;
                }
            }
            emptied.await;
        }
    }
}
