//! Call records that are yet to be written.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::control::activity::CallRecord;

/// Past so many, while the store is down, the oldest are given up.
const MAX_RECORDS: usize = 10_000;

#[derive(Default)]
pub struct CallLog {
    records: Mutex<Vec<CallRecord>>,
}

impl CallLog {
    pub fn push(&self, record: CallRecord) {
        self.put_back(vec![record]);
    }

    pub(super) fn take(&self) -> Vec<CallRecord> {
        std::mem::take(&mut *self.lock())
    }

    pub(super) fn put_back(&self, records: Vec<CallRecord>) {
        let mut kept = self.lock();
        kept.extend(records);
        let excess = kept.len().saturating_sub(MAX_RECORDS);
        if excess > 0 {
            tracing::error!(excess, "call records are lost");
            kept.drain(..excess);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<CallRecord>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
