//! Invocations that wait for a free environment, and their number in the whole host.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::watch;

use super::invocation::Job;

/// The number of waiting invocations of all functions.
///
/// While there is a backlog the processors are busy, so work that can be postponed is.
#[derive(Debug, Clone)]
pub(super) struct Backlog(Arc<watch::Sender<usize>>);

impl Backlog {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    /// Waits until no invocation waits for an environment.
    pub(super) async fn cleared(&self) {
        // The sender lives as long as `self`.
        let _ = self.0.subscribe().wait_for(|waiting| *waiting == 0).await;
    }

    fn add(&self) {
        self.0.send_modify(|waiting| *waiting += 1);
    }

    fn remove(&self, count: usize) {
        if count > 0 {
            self.0.send_modify(|waiting| *waiting -= count);
        }
    }
}

/// The waiting invocations of one function, oldest first.
pub(super) struct Queue {
    jobs: VecDeque<Job>,
    backlog: Backlog,
}

impl Queue {
    pub(super) fn new(backlog: Backlog) -> Self {
        Self { jobs: VecDeque::new(), backlog }
    }

    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Appends a job unless `limit` callers are already waiting. Returns whether it was appended.
    pub(super) fn push(&mut self, job: Job, limit: usize) -> bool {
        // A count, not a time: a limit of one second rejected calls on slow machines that were not
        // overloaded, one in 12 during a redeployment.
        if self.jobs.len() >= limit {
            self.drop_abandoned();
        }
        let has_room = self.jobs.len() < limit;
        if has_room {
            self.backlog.add();
            self.jobs.push_back(job);
        }
        has_room
    }

    /// Returns a job that its environment could not start to the front.
    pub(super) fn push_front(&mut self, job: Job) {
        self.backlog.add();
        self.jobs.push_front(job);
    }

    /// Removes the oldest job whose caller still waits.
    pub(super) fn pop(&mut self) -> Option<Job> {
        while let Some(job) = self.jobs.pop_front() {
            self.backlog.remove(1);
            if !job.reply.is_closed() {
                return Some(job);
            }
        }
        None
    }

    pub(super) fn clear(&mut self) {
        self.backlog.remove(self.jobs.len());
        self.jobs.clear();
    }

    fn drop_abandoned(&mut self) {
        let before = self.jobs.len();
        self.jobs.retain(|job| !job.reply.is_closed());
        self.backlog.remove(before - self.jobs.len());
    }
}
