//! Retries after conflicts with concurrent changes.

use std::time::Duration;

use crate::app::App;

/// How often a change without `If-Match` is attempted when concurrent changes conflict with it.
pub const MAX_CONFLICT_RETRIES: u32 = 16;

/// Runs a change until no concurrent change conflicts with it.
///
/// `retry_on_conflict!(app, detail, || { …; Ok(Some(changed)) })` is an `ApiResult<_>`. The block
/// reads the record again each time. It is `Ok(None)` if the record was changed meanwhile. After 16
/// conflicts, the result is 409 `CONCURRENT_CHANGE` with `detail`.
///
/// It is a macro because the compiler cannot show that the futures of async closures are `Send`.
#[macro_export]
macro_rules! retry_on_conflict {
    ($app:expr, $detail:expr, || $change:expr) => {{
        let mut attempt = 1;
        loop {
            let changed: $crate::api::ApiResult<_> = async { $change }.await;
            match changed {
                Ok(Some(changed)) => break Ok(changed),
                Ok(None) if attempt < $crate::api::MAX_CONFLICT_RETRIES => {
                    $crate::api::backoff(&$app, attempt).await;
                    attempt += 1;
                }
                Ok(None) => {
                    let code = $crate::api::Code::ConcurrentChange;
                    break Err($crate::api::ApiError::new(code, $detail));
                }
                Err(error) => break Err(error),
            }
        }
    }};
}

/// Waits before the next attempt: longer after each one, with jitter, and at most 128 ms.
pub async fn backoff(app: &App, attempt: u32) {
    let [random] = app.random.bytes::<1>();
    let longest = 4_u64 << attempt.min(5);
    tokio::time::sleep(Duration::from_millis(longest * u64::from(random) / 256)).await;
}
