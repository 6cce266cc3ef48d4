//! Waits for conditions. The limit is only for what never happens, so that tests are fast on a fast
//! machine and pass on a slow one.

use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine.
pub(crate) const END: Duration = Duration::from_mins(3);
/// Pause between two checks; a longer check is followed by a pause of its own length.
const PAUSE: Duration = Duration::from_millis(50);

/// Repeats `look` until it returns `Ok`; its `Err` describes the progress.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let began = Instant::now();
    loop {
        let looked = Instant::now();
        let state = match look().await {
            Ok(found) => return found,
            Err(state) => state,
        };
        assert!(began.elapsed() < END, "{what}: not within {END:?}: {state}");
        tokio::time::sleep(PAUSE.max(looked.elapsed())).await;
    }
}

/// Repeats `is_so` until it returns true.
pub(crate) async fn until_true(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    until(what, async || is_so().await.then_some(()).ok_or_else(String::new)).await;
}

/// Repeats `left` until nothing is left. The limit restarts with each progress, because much work
/// may take long.
pub(crate) async fn until_none_left(what: &str, mut left: impl AsyncFnMut() -> usize) {
    let mut before = usize::MAX;
    while before > 0 {
        before = until(what, async || {
            let now = left().await;
            if now < before { Ok(now) } else { Err(format!("{now} are left")) }
        })
        .await;
    }
}
