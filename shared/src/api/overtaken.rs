//! Changes that others make at the same time.

use std::time::Duration;

use crate::app::App;

/// How often a change without `If-Match` is made anew upon what another has just written.
pub const TRIES: u32 = 16;

/// Waits a moment, longer after each attempt and never as long as the others do.
pub async fn step_back(app: &App, attempt: u32) {
    let [random] = app.random.bytes::<1>();
    let longest = 4_u64 << attempt.min(5);
    tokio::time::sleep(Duration::from_millis(longest * u64::from(random) / 256)).await;
}
