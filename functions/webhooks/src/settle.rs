//! What was begun for a subscription as it was before a change.

use std::time::Duration;

/// A delivery begins so soon after its subscription was read, or reads it again.
const BEGUN_WITHIN: Duration = Duration::from_secs(1);

/// Waits until no delivery begins any more that had not seen the change: when the partner has the answer, the old endpoint can
/// be switched off.
pub(crate) async fn settle() {
    tokio::time::sleep(BEGUN_WITHIN).await;
}
