//! Waits that end when their condition holds, with limits that suffice for any machine.

use std::time::Duration;

/// How slow a machine may be.
pub(crate) const SLOWEST: Duration = Duration::from_mins(2);

/// Returns the result of `look` as soon as it has one.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    ends(what, looking).await
}

/// Returns the result of work that could wait forever; panics if it does.
pub(crate) async fn ends<T>(what: &str, work: impl Future<Output = T>) -> T {
    let Ok(result) = tokio::time::timeout(SLOWEST, work).await else { panic!("still waiting for {what}") };
    result
}
