//! Where reading a practice's log begins.

use shared::{
    app::App,
    control::{self, subscriptions::Subscription},
    domain::{PracticePass, ids::LogId, log_progress::LogProgress},
};

/// Returns the position at which reading starts, or continues, under a new lease.
///
/// A first poll starts after the newest event at the first sign-up, but includes events then in
/// flight. An older position is moved forward to that start, because nobody subscribes to the
/// events in between.
pub(crate) async fn beginning(
    app: &App,
    practicepass: &PracticePass,
    progress: Option<LogProgress>,
) -> control::Result<Option<LogProgress>> {
    let mut subscriptions = app.control.subscriptions_of(practicepass).await?;
    subscriptions.retain(Subscription::is_active);
    let known = subscriptions.iter().map(|it| it.start_epoch).max().unwrap_or_default();
    let progress = progress.filter(|progress| known <= progress.epoch);
    let epoch = progress.as_ref().map_or(known, |progress| progress.epoch);
    let starts =
        subscriptions.iter().map(|it| if it.start_epoch < epoch { LogId(0) } else { it.start_after_log_id });
    let Some(first) = starts.min() else { return Ok(progress) };
    if progress.as_ref().is_some_and(|progress| first <= progress.top) {
        return Ok(progress);
    }
    let mut begun = match progress {
        Some(progress) => progress.moved_to(first),
        None => LogProgress { epoch, ..LogProgress::after(first) },
    };
    for subscription in subscriptions.iter().filter(|it| it.start_epoch == epoch) {
        begun.wait_for(&subscription.in_flight, subscription.started_at);
    }
    Ok(Some(begun))
}
