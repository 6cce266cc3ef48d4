//! Outcomes of deliveries that wait to be written together.
//!
//! One transaction with one count for each practice keeps counts equal to the sum of the
//! deliveries; a total for all practices would be an item that every process writes.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use aws_sdk_dynamodb::types::TransactWriteItem;
use tokio::sync::oneshot;

use super::Result;
use crate::domain::PracticePass;

/// Outcomes per transaction, which also contains at most as many counts. DynamoDB allows 100 items.
const TOGETHER: usize = 40;

/// The change that an outcome makes to its practice's counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CountChange {
    pub total: i64,
    pub failed: i64,
}

/// A pending write of one delivery, and the caller that waits for it.
#[derive(Debug)]
pub(super) struct PendingOutcome {
    pub(super) key: String,
    pub(super) write: TransactWriteItem,
    pub(super) practicepass: PracticePass,
    pub(super) count: CountChange,
    pub(super) random: u8,
    /// No further round of tries begins after this.
    pub(super) until: Instant,
    pub(super) done: oneshot::Sender<Result<()>>,
}

/// Outcomes that are not yet written.
#[derive(Clone, Debug, Default)]
pub(super) struct PendingOutcomes(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) outcomes: Vec<PendingOutcome>,
    /// A task is writing, and will check for more afterwards.
    pub(super) writing: bool,
    /// Practices whose first item had a conflict.
    pub(super) busy: HashSet<PracticePass>,
}

impl PendingOutcomes {
    pub(super) fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the outcomes to write next, at most one per delivery; `None` if no outcome is left.
    pub(super) fn next(&self) -> Option<Vec<PendingOutcome>> {
        let mut waiting = self.waiting();
        let mut keys = HashSet::new();
        let mut taken = Vec::new();
        for outcome in std::mem::take(&mut waiting.outcomes) {
            if taken.len() < TOGETHER && keys.insert(outcome.key.clone()) {
                taken.push(outcome);
            } else {
                waiting.outcomes.push(outcome);
            }
        }
        waiting.writing = !taken.is_empty();
        waiting.writing.then_some(taken)
    }

    /// Returns outcomes whose write was throttled, to be written before all others.
    pub(super) fn put_back(&self, mut throttled: Vec<PendingOutcome>) {
        let mut waiting = self.waiting();
        waiting.busy.extend(throttled.iter().map(|outcome| outcome.practicepass.clone()));
        throttled.append(&mut waiting.outcomes);
        waiting.outcomes = throttled;
    }
}
