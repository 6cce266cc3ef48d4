//! Waiting for what must come. The end is for what never comes: nothing waits longer than it must, on a slow machine neither.

use std::time::{Duration, Instant};

/// More than anything here takes on a machine that has many other things to do.
pub(crate) const END: Duration = Duration::from_mins(3);
/// Between two looks; one that costs more is followed by a pause as long as itself.
const PAUSE: Duration = Duration::from_millis(50);

/// Looks again and again until what is awaited is there; an `Err` tells how far it has come.
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

/// Looks again and again until it is so.
pub(crate) async fn until_it_is_so(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    until(what, async || is_so().await.then_some(()).ok_or_else(String::new)).await;
}

/// Looks again and again until nothing is left. The end is counted from when there was last less: much work may take long.
pub(crate) async fn until_none_is_left(what: &str, mut left: impl AsyncFnMut() -> usize) {
    let mut before = usize::MAX;
    while before > 0 {
        before = until(what, async || {
            let now = left().await;
            if now < before { Ok(now) } else { Err(format!("{now} are left")) }
        })
        .await;
    }
}
