//! The signal by which parts of the stack learn that they shall end.

use tokio::sync::watch;

/// Waits until the stack stops; a lost sender counts as that.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // The guard that wait_for returns must not be held across another await.
    let _ = stop.wait_for(|stop| *stop).await.is_ok();
}
