//! The signal that tells parts of the stack to stop.

use tokio::sync::watch;

/// Waits until the stack stops; a dropped sender counts as a stop.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // The guard that wait_for returns must not be held across another await.
    let _ = stop.wait_for(|stop| *stop).await.is_ok();
}
