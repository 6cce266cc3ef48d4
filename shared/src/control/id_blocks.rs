//! Blocks of integer ids, which a process uses one by one.

use std::{
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Mutex;

/// How long a block of delivery ids is used, so that ids roughly follow time.
const DELIVERY_IDS_HELD: Duration = Duration::from_mins(1);

/// A source of ids that are unique across all environments and increase within each.
///
/// Unused ids of a block are skipped.
#[derive(Clone, Debug)]
pub struct IdBlocks {
    pub(super) counter: &'static str,
    pub(super) size: i64,
    /// How long a block is used.
    pub(super) held: Duration,
    pub(super) leased: Arc<Mutex<Leased>>,
}

/// The unused ids of a block and the time of its lease; none at first.
#[derive(Debug, Default)]
pub(super) struct Leased {
    pub(super) ids: Range<i64>,
    pub(super) at: Option<Instant>,
}

impl IdBlocks {
    /// Creates a source of ids from the named counter, leased `size` at a time.
    pub fn new(counter: &'static str, size: i64) -> Self {
        Self { counter, size, held: Duration::MAX, leased: Arc::default() }
    }

    /// Limits how long a block is used.
    #[must_use]
    fn held_for(self, held: Duration) -> Self {
        Self { held, ..self }
    }
}

/// The ids that the control plane assigns.
#[derive(Debug)]
pub(super) struct Ids {
    pub(super) subscriptions: IdBlocks,
    pub(super) deliveries: IdBlocks,
}

impl Default for Ids {
    fn default() -> Self {
        Self {
            // There are few subscriptions, so lease single ids and skip none: a practice's first
            // partners get 1, 2, 3.
            subscriptions: IdBlocks::new("subscription", 1),
            deliveries: IdBlocks::new("delivery", 25).held_for(DELIVERY_IDS_HELD),
        }
    }
}
