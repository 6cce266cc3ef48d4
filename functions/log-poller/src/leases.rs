//! The leases on practices that this run holds.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures::{StreamExt, stream};
use shared::{
    app::App,
    control::{self, dispatch::Lease},
    domain::{PracticePass, RequestId, log_progress::LogProgress},
};

use tokio::time::timeout;

use crate::beginning::beginning;

/// The number of leases that are released concurrently at the end of a run.
const RELEASED_AT_ONCE: usize = 64;

/// The leases of a run, which it keeps from poll to poll.
///
/// A practice without new rows costs one write per half of a lease.
pub(crate) struct Leases {
    /// The name of this run, not of the process.
    ///
    /// So an interrupted run holds no lease of the next run in the same process.
    owner: String,
    pub(crate) request_id: Option<RequestId>,
    held: Mutex<HashMap<PracticePass, Lease>>,
}

impl Leases {
    pub(crate) fn new(app: &App, request_id: Option<&RequestId>) -> Self {
        let owner = format!("{:032x}", u128::from_be_bytes(app.random.bytes()));
        Self { owner, request_id: request_id.cloned(), held: Mutex::default() }
    }

    /// Returns the held or a new lease; `None` while another process holds one.
    ///
    /// To keep the lease, the caller must return it to [`Self::keep`].
    pub(crate) async fn acquire(
        &self,
        app: &App,
        practicepass: &PracticePass,
    ) -> control::Result<Option<Lease>> {
        let now = app.clock.now();
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(practicepass);
        if let Some(lease) = held.filter(|lease| now < lease.until) {
            return Ok(Some(lease));
        }
        let taken =
            app.control.take_lease(practicepass, &self.owner, now, now + app.config.poll_lease).await?;
        let Some(mut lease) = taken else { return Ok(None) };
        lease.progress = beginning(app, practicepass, lease.progress).await?;
        Ok(Some(lease))
    }

    pub(crate) fn keep(&self, lease: Lease) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).insert(lease.practicepass().clone(), lease);
    }

    /// Writes progress if it has changed, and extends the lease if half of it is over.
    pub(crate) async fn save(
        &self,
        app: &App,
        lease: &mut Lease,
        progress: LogProgress,
    ) -> control::Result<()> {
        let now = app.clock.now();
        let half_over = lease.until.duration_since(now) < app.config.poll_lease / 2;
        if lease.saved.as_ref() == Some(&progress) && !half_over {
            return Ok(());
        }
        app.control.save_progress(lease, progress, now + app.config.poll_lease).await
    }

    /// Releases all leases except those of these practices.
    ///
    /// A practice that is no longer polled may have been removed, which invalidates its progress.
    pub(crate) async fn release_others(&self, app: &App, polled: &[PracticePass]) {
        let others: Vec<Lease> = {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            let polled: HashSet<&PracticePass> = polled.iter().collect();
            held.extract_if(|practicepass, _| !polled.contains(practicepass))
                .map(|(_, lease)| lease)
                .collect()
        };
        let left = AtomicUsize::new(others.len());
        let releasing = stream::iter(&others).for_each_concurrent(RELEASED_AT_ONCE, async |lease| {
            if let Err(error) = app.control.release(lease).await {
                tracing::warn!(%error, "a lease was not released; it will expire");
            }
            left.fetch_sub(1, Ordering::Relaxed);
        });
        if timeout(app.config.timeouts.released_leases, releasing).await.is_err() {
            let left = left.load(Ordering::Relaxed);
            tracing::warn!(practices = left, "leases were not released in time; they will expire");
        }
    }
}
