//! The buffer of call records that are waiting to be written.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::control::{
    Error, Store,
    activity::{CallBatch, CallRecord},
};

/// The maximum number of records to keep while the store is down. The oldest are discarded.
const MAX_RECORDS: usize = 10_000;

#[derive(Default)]
pub struct CallLog {
    records: Mutex<Vec<CallRecord>>,
    /// Batches that the store may already have.
    open: Mutex<Vec<CallBatch>>,
    /// Serializes flushes: the one before the process ends also waits for one that is in progress.
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

    /// Writes every record once.
    ///
    /// Records that cannot be written before the timeout are kept for the next flush. The flush
    /// keeps the environment running; past the function's own timeout, Lambda would discard the
    /// environment and its records.
    pub async fn flush(&self, store: &Store, timeout: Duration) {
        if tokio::time::timeout(timeout, self.write_out(store)).await.is_err() {
            tracing::warn!("writing call records timed out; they are kept");
        }
    }

    /// Writes the batches. It can be canceled at any time: a batch is kept until the store has it.
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
                    tracing::warn!(%error, calls = batch.len(),
                        "call records could not be written; they are kept");
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
