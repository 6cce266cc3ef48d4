//! The environments of one function: as many as the load needs, up to a limit.
//!
//! Further invocations wait in a queue. When it is full they are rejected, like invocations beyond
//! a Lambda function's concurrency.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::invocation::{InvocationResult, InvokeError, Job, PAYLOAD_LIMIT};
use super::queue::Queue;
use super::{Deployed, Shared, worker};

/// How long after a deployment the environments of a new version wait for a moment without waiting
/// invocations. After that they start anyway.
const IDLE_LIMIT: Duration = Duration::from_secs(15);

/// Environments that are started beside lingering ones, at most.
const MOST_LINGERING: usize = 16;

pub(super) struct Pool {
    pub(super) shared: Arc<Shared>,
    pub(super) deployed: Deployed,
    state: Mutex<State>,
    emptied: Notify,
}

struct State {
    /// The binary that new environments run.
    binary: PathBuf,
    waiting: Queue,
    /// Idle workers; the last one worked most recently and is used first, so that the others can
    /// retire.
    idle_workers: Vec<(u64, oneshot::Sender<Job>)>,
    /// Numbers of the workers that accept jobs.
    workers: HashSet<u64>,
    /// Workers of the previous version, which accept jobs until as many new ones have started.
    old: HashSet<u64>,
    /// Replacements of old workers that have no process yet.
    queued: HashSet<u64>,
    /// Those of `workers` that have not asked for their first job yet.
    starting: HashSet<u64>,
    /// Those whose invocation has its answer, but whose extension is still working. As in Lambda
    /// they do not count against the callers' concurrency: others start beside them.
    lingering: HashSet<u64>,
    /// Workers that accept no more jobs; their processes are ending.
    leaving: HashSet<u64>,
    next_worker: u64,
    stopping: bool,
}

impl State {
    fn new(binary: PathBuf, waiting: Queue) -> Self {
        Self {
            binary,
            waiting,
            idle_workers: Vec::new(),
            workers: HashSet::new(),
            old: HashSet::new(),
            queued: HashSet::new(),
            starting: HashSet::new(),
            lingering: HashSet::new(),
            leaving: HashSet::new(),
            next_worker: 0,
            stopping: false,
        }
    }

    fn next_number(&mut self) -> u64 {
        let number = self.next_worker;
        self.next_worker += 1;
        number
    }

    /// Registers a worker that is about to start.
    fn add_worker(&mut self, number: u64) {
        self.workers.insert(number);
        self.starting.insert(number);
    }

    /// Replaces an old worker, preferably an idle one, by a new one that has started.
    fn replace_old(&mut self) {
        let idle =
            self.idle_workers.iter().map(|(number, _)| *number).find(|number| self.old.contains(number));
        let first = idle.or_else(|| self.old.iter().next().copied());
        self.dismiss(first.into_iter().collect());
        self.end_replacement();
    }

    /// Dismisses the remaining old workers once no more new ones are going to start.
    fn end_replacement(&mut self) {
        if self.is_replaced() && !self.workers.is_empty() {
            let old = self.old.drain().collect();
            self.dismiss(old);
        }
    }

    fn dismiss(&mut self, workers: Vec<u64>) {
        for number in workers {
            self.old.remove(&number);
            self.leaving.insert(number);
            // A busy worker learns it when it asks for its next job.
            self.idle_workers.retain(|(idle, _)| *idle != number);
        }
    }

    /// Whether every environment of the newest version has started.
    fn is_replaced(&self) -> bool {
        self.starting.is_empty() && self.queued.is_empty()
    }

    /// Workers that may start above the limit: one per lingering worker, up to `MOST_LINGERING`.
    fn may_start_beside(&self) -> usize {
        self.lingering.len().min(MOST_LINGERING)
    }

    fn is_empty(&self) -> bool {
        [&self.workers, &self.old, &self.queued, &self.leaving].iter().all(|numbers| numbers.is_empty())
    }
}

/// What a worker does next.
pub(super) enum WorkerTask {
    Work(Job),
    Wait(oneshot::Receiver<Job>),
    Leave,
}

impl Pool {
    pub(super) fn new(shared: Arc<Shared>, deployed: Deployed) -> Arc<Self> {
        let state = State::new(deployed.binary.clone(), Queue::new(shared.backlog.clone()));
        Arc::new(Self { shared, deployed, state: Mutex::new(state), emptied: Notify::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of workers, each with at most one process.
    pub(super) fn size(&self) -> usize {
        let state = self.state();
        state.workers.len() + state.old.len() + state.leaving.len()
    }

    /// Returns the number of invocations that wait for an environment.
    pub(super) fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    pub(super) fn binary(&self) -> PathBuf {
        self.state().binary.clone()
    }

    /// Replaces the environments of the previous version one by one.
    ///
    /// Each ends once its replacement has started and its own work is finished, so no invocation
    /// waits for a start.
    pub(super) fn deploy(self: &Arc<Self>, binary: PathBuf) {
        let mut state = self.state();
        state.binary = binary;
        state.queued.clear();
        let unneeded: Vec<u64> = state.starting.drain().collect();
        for number in unneeded {
            state.workers.remove(&number);
            state.leaving.insert(number);
        }
        let old: Vec<u64> = state.workers.drain().collect();
        state.old.extend(old);
        let idle_until = Instant::now() + IDLE_LIMIT;
        for _ in 0..state.old.len().min(self.shared.settings.environments) {
            let number = state.next_number();
            state.queued.insert(number);
            tokio::spawn(worker::replace(Arc::clone(self), number, idle_until));
        }
        self.staff(&mut state);
    }

    pub(super) async fn invoke(self: &Arc<Self>, event: Bytes) -> Result<InvocationResult, InvokeError> {
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
        let mut job = job;
        while let Some((_, worker)) = state.idle_workers.pop() {
            match worker.send(job) {
                Ok(()) => return Ok(()),
                Err(unsent) => job = unsent,
            }
        }
        if !state.waiting.push(job, self.shared.settings.waiting) {
            return Err(InvokeError::Throttled);
        }
        self.staff(&mut state);
        Ok(())
    }

    /// Starts workers for the jobs that no starting worker will handle.
    fn staff(self: &Arc<Self>, state: &mut State) {
        while state.waiting.len() > state.starting.len()
            && state.workers.len() + state.old.len()
                < self.shared.settings.environments + state.may_start_beside()
            && !state.stopping
        {
            let number = state.next_number();
            state.add_worker(number);
            tokio::spawn(worker::run(Arc::clone(self), number));
        }
    }

    /// Registers a replacement that is about to start. Returns false if it is no longer needed,
    /// because of a later version or because the old environments have ended.
    pub(super) fn begin_replacement(&self, number: u64) -> bool {
        let mut state = self.state();
        let is_needed = state.queued.remove(&number) && !state.old.is_empty();
        if is_needed {
            state.add_worker(number);
        }
        is_needed
    }

    /// Returns what a worker does next, whose environment has started or is free again.
    pub(super) fn next_task(&self, number: u64) -> WorkerTask {
        let mut state = self.state();
        if state.starting.remove(&number) {
            state.replace_old();
        }
        if !state.workers.contains(&number) && !state.old.contains(&number) {
            return WorkerTask::Leave;
        }
        if let Some(job) = state.waiting.pop() {
            return WorkerTask::Work(job);
        }
        let (send, receive) = oneshot::channel();
        state.idle_workers.push((number, send));
        WorkerTask::Wait(receive)
    }

    /// Retires an idle worker, unless it is the only one or a job is already on its way to it.
    /// Returns whether it retired.
    pub(super) fn may_retire(&self, number: u64) -> bool {
        let mut state = self.state();
        let position = state.idle_workers.iter().position(|(idle, _)| *idle == number);
        match position {
            Some(position) if state.workers.len() + state.old.len() > 1 => {
                state.idle_workers.remove(position);
                state.workers.remove(&number);
                state.old.remove(&number);
                state.leaving.insert(number);
                true
            }
            _ => false,
        }
    }

    /// Whether the worker's environment lingers after its answer.
    pub(super) fn linger(self: &Arc<Self>, number: u64, lingers: bool) {
        let mut state = self.state();
        if lingers {
            state.lingering.insert(number);
            self.staff(&mut state);
        } else {
            state.lingering.remove(&number);
        }
    }

    /// Puts a job back that its worker could not begin.
    pub(super) fn give_back(&self, job: Job) {
        self.state().waiting.push_front(job);
    }

    /// Fails the waiting invocation that this worker was started for, unless another worker may
    /// take it.
    pub(super) fn fail_waiting(&self, number: u64, outcome: &InvocationResult) {
        let mut state = self.state();
        if state.workers.contains(&number)
            && state.old.is_empty()
            && let Some(job) = state.waiting.pop()
        {
            let _ = job.reply.send(outcome.clone());
        }
    }

    /// Removes a worker whose process has ended.
    pub(super) fn leave(self: &Arc<Self>, number: u64) {
        let mut state = self.state();
        state.idle_workers.retain(|(idle, _)| *idle != number);
        let came_up = !state.starting.remove(&number);
        state.queued.remove(&number);
        state.workers.remove(&number);
        state.old.remove(&number);
        state.lingering.remove(&number);
        state.leaving.remove(&number);
        state.end_replacement();
        // Do not retry a version that fails to start while the previous one serves.
        if came_up || state.old.is_empty() {
            self.staff(&mut state);
        }
        if state.is_empty() {
            self.emptied.notify_waiters();
        }
    }

    /// Rejects new jobs, drops waiting ones and waits until every worker has ended.
    pub(super) async fn stopped(&self) {
        loop {
            let emptied = self.emptied.notified();
            tokio::pin!(emptied);
            emptied.as_mut().enable();
            {
                let mut state = self.state();
                state.stopping = true;
                state.waiting.clear();
                state.idle_workers.clear();
                if state.is_empty() {
                    return;
                }
            }
            emptied.await;
        }
    }
}
