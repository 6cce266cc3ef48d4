//! The environments of one function: as many as the load needs, up to a limit; what comes in beyond that waits for a moment
//! and is then refused, as Lambda does past a function's concurrency.

use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use super::invocation::{InvokeError, Job, Outcome, PAYLOAD_LIMIT};
use super::{Deployed, Shared, worker};

/// Invocations of one function that may wait.
const WAITING_LIMIT: usize = 500;

pub(super) struct Pool {
    pub(super) shared: Arc<Shared>,
    pub(super) deployed: Deployed,
    state: Mutex<State>,
    emptied: Notify,
}

#[derive(Default)]
struct State {
    /// What new environments run.
    binary: PathBuf,
    waiting: VecDeque<Job>,
    /// Idle workers, the one that worked last at the end: it is taken first, so that the others can grow old.
    parked: Vec<(u64, oneshot::Sender<Job>)>,
    /// Workers that take jobs, by their numbers.
    workers: HashSet<u64>,
    /// Those of the version before, which take jobs until as many new ones have come up.
    old: HashSet<u64>,
    /// Those of `workers` that have not asked for their first job yet.
    starting: HashSet<u64>,
    /// Workers that take no more jobs; their processes are on their way out.
    leaving: HashSet<u64>,
    next_worker: u64,
    stopping: bool,
}

impl State {
    /// Counts a worker that is about to start; its number.
    fn add_worker(&mut self) -> u64 {
        let number = self.next_worker;
        self.next_worker += 1;
        self.workers.insert(number);
        self.starting.insert(number);
        number
    }

    /// The oldest waiting job that somebody still waits for.
    fn next_waiting(&mut self) -> Option<Job> {
        while let Some(job) = self.waiting.pop_front() {
            if !job.reply.is_closed() {
                job.begun.store(true, Ordering::Relaxed);
                return Some(job);
            }
        }
        None
    }

    /// A new worker has come up and takes the place of an old one, of an idle one if there is; the last takes those of all.
    fn replace_old(&mut self) {
        let idle = self.parked.iter().map(|(number, _)| *number).find(|number| self.old.contains(number));
        let first = idle.or_else(|| self.old.iter().next().copied());
        let replaced: Vec<u64> =
            if self.starting.is_empty() { self.old.drain().collect() } else { first.into_iter().collect() };
        for number in replaced {
            self.old.remove(&number);
            self.leaving.insert(number);
            // A busy one asks for its next turn and hears of it.
            self.parked.retain(|(parked, _)| *parked != number);
        }
    }

    fn is_empty(&self) -> bool {
        self.workers.is_empty() && self.old.is_empty() && self.leaving.is_empty()
    }
}

/// What a worker does next.
pub(super) enum Turn {
    Work(Job),
    Wait(oneshot::Receiver<Job>),
    Leave,
}

impl Pool {
    pub(super) fn new(shared: Arc<Shared>, deployed: Deployed) -> Arc<Self> {
        let state = State { binary: deployed.binary.clone(), ..State::default() };
        Arc::new(Self { shared, deployed, state: Mutex::new(state), emptied: Notify::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of workers, each with at most one process.
    pub(super) fn size(&self) -> usize {
        let state = self.state();
        state.workers.len() + state.old.len() + state.leaving.len()
    }

    pub(super) fn binary(&self) -> PathBuf {
        self.state().binary.clone()
    }

    /// Starts as many environments of this binary as there are of the one before, one after the other, which are let go one by one as
    /// the new ones come up: nobody waits for a start. What they have begun they finish.
    pub(super) fn deploy(self: &Arc<Self>, binary: PathBuf) {
        let mut state = self.state();
        state.binary = binary;
        let unneeded: Vec<u64> = state.starting.drain().collect();
        for number in unneeded {
            state.workers.remove(&number);
            state.leaving.insert(number);
        }
        let old: Vec<u64> = state.workers.drain().collect();
        state.old.extend(old);
        for _ in 0..state.old.len().min(self.shared.settings.environments) {
            let number = state.add_worker();
            tokio::spawn(worker::replace(Arc::clone(self), number));
        }
        self.staff(&mut state);
    }

    pub(super) async fn invoke(self: &Arc<Self>, event: Bytes) -> Result<Outcome, InvokeError> {
        if event.len() > PAYLOAD_LIMIT {
            return Err(InvokeError::TooLarge);
        }
        let (reply, mut outcome) = oneshot::channel();
        let begun = Arc::new(AtomicBool::new(false));
        self.submit(Job { event, reply, begun: Arc::clone(&begun) })?;
        loop {
            match timeout(self.shared.settings.waiting, &mut outcome).await {
                Ok(outcome) => return outcome.map_err(|_| InvokeError::Stopping),
                Err(_) if self.withdraw(&begun, &mut outcome) => return Err(InvokeError::Throttled),
                Err(_) => {}
            }
        }
    }

    /// Takes a job back that no environment has begun; one that is coming up is waited for.
    fn withdraw(&self, begun: &AtomicBool, outcome: &mut oneshot::Receiver<Outcome>) -> bool {
        let state = self.state();
        let hopeless = !begun.load(Ordering::Relaxed) && state.starting.is_empty();
        if hopeless {
            // Whoever takes jobs leaves out what nobody waits for.
            outcome.close();
        }
        hopeless
    }

    fn submit(self: &Arc<Self>, job: Job) -> Result<(), InvokeError> {
        let mut state = self.state();
        if state.stopping || *self.shared.stop.borrow() {
            return Err(InvokeError::Stopping);
        }
        if state.waiting.len() >= WAITING_LIMIT {
            state.waiting.retain(|job| !job.reply.is_closed());
        }
        if state.waiting.len() >= WAITING_LIMIT {
            return Err(InvokeError::Throttled);
        }
        let mut job = job;
        while let Some((_, parked)) = state.parked.pop() {
            job.begun.store(true, Ordering::Relaxed);
            match parked.send(job) {
                Ok(()) => return Ok(()),
                Err(unsent) => job = unsent,
            }
        }
        job.begun.store(false, Ordering::Relaxed);
        state.waiting.push_back(job);
        self.staff(&mut state);
        Ok(())
    }

    /// Starts workers for the jobs that no worker is coming for.
    fn staff(self: &Arc<Self>, state: &mut State) {
        while state.waiting.len() > state.starting.len()
            && state.workers.len() < self.shared.settings.environments
            && !state.stopping
        {
            let number = state.add_worker();
            tokio::spawn(worker::run(Arc::clone(self), number));
        }
    }

    /// Whether the worker may still start: no later version has come meanwhile.
    pub(super) fn awaits(&self, number: u64) -> bool {
        self.state().starting.contains(&number)
    }

    /// A worker's environment has come up, or is free again.
    pub(super) fn next_turn(&self, number: u64) -> Turn {
        let mut state = self.state();
        if state.starting.remove(&number) {
            state.replace_old();
        }
        if !state.workers.contains(&number) && !state.old.contains(&number) {
            return Turn::Leave;
        }
        if let Some(job) = state.next_waiting() {
            return Turn::Work(job);
        }
        let (send, receive) = oneshot::channel();
        state.parked.push((number, send));
        Turn::Wait(receive)
    }

    /// Whether the idle worker may go: it isn't the only one and no job is on its way to it.
    pub(super) fn may_retire(&self, number: u64) -> bool {
        let mut state = self.state();
        let position = state.parked.iter().position(|(parked, _)| *parked == number);
        match position {
            Some(position) if state.workers.len() + state.old.len() > 1 => {
                state.parked.remove(position);
                state.workers.remove(&number);
                state.old.remove(&number);
                state.leaving.insert(number);
                true
            }
            _ => false,
        }
    }

    /// Puts a job back that its worker could not begin.
    pub(super) fn give_back(&self, job: Job) {
        job.begun.store(false, Ordering::Relaxed);
        self.state().waiting.push_front(job);
    }

    /// Answers the waiting invocation for which this worker was started, unless another one is coming for it.
    pub(super) fn fail_waiting(&self, number: u64, outcome: &Outcome) {
        let mut state = self.state();
        if state.workers.contains(&number)
            && state.old.is_empty()
            && let Some(job) = state.next_waiting()
        {
            let _ = job.reply.send(outcome.clone());
        }
    }

    /// A worker is gone.
    pub(super) fn leave(self: &Arc<Self>, number: u64) {
        let mut state = self.state();
        state.parked.retain(|(parked, _)| *parked != number);
        let came_up = !state.starting.remove(&number);
        state.workers.remove(&number);
        state.old.remove(&number);
        state.leaving.remove(&number);
        // A version that doesn't come up isn't tried without end while the one before serves.
        if came_up || state.old.is_empty() {
            self.staff(&mut state);
        }
        if state.is_empty() {
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
                if state.is_empty() {
                    return;
                }
            }
            emptied.await;
        }
    }
}
