//! Call records that are yet to be written.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

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

    /// Writes every record once. What can't be written now, or not before the timeout, is kept for the next time: the
    /// environment is held meanwhile, and past the function's own timeout it would be thrown away with all it keeps.
    pub async fn flush(&self, store: &Store, timeout: Duration) {
        if tokio::time::timeout(timeout, self.write_out(store)).await.is_err() {
            tracing::warn!("call records are not written yet: the store is slow");
        }
    }

    /// May be dropped at any time: a batch stays until the store has it.
    async fn write_out(&self, store: &Store) {
        let _one_at_a_time = self.flushing.lock().await;
        self.seal();
        let mut position = 0;
        loop {
            let Some(batch) = lock(&self.open).get(position).cloned() else { return };
            match store.record_calls(&batch).await {
                Ok(()) => {
                    lock(&self.open).remove(position);
                }
                Err(error) => {
                    tracing::warn!(%error, calls = batch.len(), "call records are not written yet");
                    if matches!(error, Error::Unavailable { .. }) {
                        return;
                    }
                    position += 1;
                }
            }
        }
    }

    fn seal(&self) {
        let records = std::mem::take(&mut *lock(&self.records));
        let mut open = lock(&self.open);
        open.extend(CallBatch::seal(&records));
        while open.iter().map(CallBatch::len).sum::<usize>() > MAX_RECORDS {
            tracing::error!(calls = open.remove(0).len(), "call records are lost");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
