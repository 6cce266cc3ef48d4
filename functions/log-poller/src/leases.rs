//! The practices that this run holds.

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

use crate::practice::beginning;

/// A run that ends gives back so many practices at the same time.
const RELEASED_AT_ONCE: usize = 64;

/// Leases are kept from poll to poll: a practice without new rows costs one write in half of a
/// lease.
pub(crate) struct Leases {
    /// A name for this run, not for the process: a run that was cut off holds on to nothing of the
    /// next one's.
    owner: String,
    pub(crate) request_id: Option<RequestId>,
    held: Mutex<HashMap<PracticePass, Lease>>,
}

impl Leases {
    pub(crate) fn new(app: &App, request_id: Option<&RequestId>) -> Self {
        let owner = format!("{:032x}", u128::from_be_bytes(app.random.bytes()));
        Self { owner, request_id: request_id.cloned(), held: Mutex::default() }
    }

    /// Takes a practice out of those held, or anew; `None` while another process holds it. It is
    /// held further only when it is given to [`Self::keep`] again.
    pub(crate) async fn hold(
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

    /// Writes progress when it has changed, and holds on when half of the lease is over.
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

    /// Gives back all but these: one that isn't polled any more may have been removed, and what is
    /// known of it is void.
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
                tracing::warn!(%error, "a practice was not given back; its lease ends by itself");
            }
            left.fetch_sub(1, Ordering::Relaxed);
        });
        if timeout(app.config.timeouts.released_leases, releasing).await.is_err() {
            let left = left.load(Ordering::Relaxed);
            tracing::warn!(
                practices = left,
                "practices were not given back in time; their leases end by themselves"
            );
        }
    }
}
