//! What was begun for a subscription as it was before a change.

use shared::app::App;

/// Waits until no delivery begins any more that had not seen the change: when the partner has the answer, the old endpoint can
/// be switched off.
pub(crate) async fn settle(app: &App) {
    tokio::time::sleep(app.config.timeouts.subscription_change).await;
}
