//! Retries after conflicts with concurrent changes.

use std::time::Duration;

use crate::app::App;

/// How often a change without `If-Match` is attempted when concurrent changes conflict with it.
pub const MAX_CONFLICT_RETRIES: u32 = 16;

/// Waits before the next attempt: longer after each one, with jitter, and at most 128 ms.
pub async fn backoff(app: &App, attempt: u32) {
    let [random] = app.random.bytes::<1>();
    let longest = 4_u64 << attempt.min(5);
    tokio::time::sleep(Duration::from_millis(longest * u64::from(random) / 256)).await;
}
