//! Retries after conflicts with concurrent changes.

use std::time::Duration;

use super::{ApiError, ApiResult, Code};
use crate::app::App;

/// How often a change without `If-Match` is attempted when concurrent changes conflict with it.
const MAX_CONFLICT_RETRIES: u32 = 16;

/// Runs `change` until no concurrent change conflicts with it.
///
/// `change` reads the record anew each time. It returns `None` if the record was changed meanwhile.
///
/// # Errors
/// The errors of `change`; 409 `CONCURRENT_CHANGE` with `detail` after 16 conflicts.
pub async fn retry_on_conflict<T>(
    app: &App,
    detail: &'static str,
    mut change: impl AsyncFnMut() -> ApiResult<Option<T>>,
) -> ApiResult<T> {
    for attempt in 1..=MAX_CONFLICT_RETRIES {
        if let Some(changed) = change().await? {
            return Ok(changed);
        }
        backoff(app, attempt).await;
    }
    Err(ApiError::new(Code::ConcurrentChange, detail))
}

/// Waits before the next attempt: longer after each one, with jitter, and at most 128 ms.
async fn backoff(app: &App, attempt: u32) {
    let [random] = app.random.bytes::<1>();
    let longest = 4_u64 << attempt.min(5);
    tokio::time::sleep(Duration::from_millis(longest * u64::from(random) / 256)).await;
}
