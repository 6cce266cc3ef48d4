//! Call records that are yet to be written.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::control::{
    Error, Store,
    activity::{CallBatch, CallRecord},
};

/// Past so many, while the store is down, the oldest are given up.
const MAX_RECORDS: usize = 10_000;

#[derive(Default)]
pub struct CallLog {
    records: Mutex<Vec<CallRecord>>,
    /// Batches that may or may not be in the store already.
    open: Mutex<Vec<CallBatch>>,
    /// One at a time: whoever flushes before the process ends also waits for what is under way.
    flushing: tokio::sync::Mutex<()>,
}

impl CallLog {
    pub fn push(&self, record: CallRecord) {
        let mut records = lock(&self.records);
        if records.len() >= MAX_RECORDS {
            tracing::error!("a call record is lost");
            records.remove(0);
        }
        records.push(record);
    }

    /// Writes every record once. What can't be written now is kept for the next time.
    pub async fn flush(&self, store: &Store) {
        let _one_at_a_time = self.flushing.lock().await;
        let mut batches = std::mem::take(&mut *lock(&self.open));
        batches.extend(CallBatch::seal(&std::mem::take(&mut *lock(&self.records))));
        let mut kept = Vec::new();
        let mut batches = batches.into_iter();
        for batch in batches.by_ref() {
            let Err(error) = store.record_calls(&batch).await else { continue };
            tracing::warn!(%error, calls = batch.len(), "call records are not written yet");
            kept.push(batch);
            if matches!(error, Error::Unavailable { .. }) {
                break;
            }
        }
        kept.extend(batches);
        self.keep(kept);
    }

    fn keep(&self, mut batches: Vec<CallBatch>) {
        while batches.iter().map(CallBatch::len).sum::<usize>() > MAX_RECORDS {
            tracing::error!(calls = batches.remove(0).len(), "call records are lost");
        }
        *lock(&self.open) = batches;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
