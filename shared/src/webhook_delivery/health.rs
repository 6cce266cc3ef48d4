//! Updates of a subscription's health after an attempt.

use jiff::{SignedDuration, Timestamp};

use super::classify::{PostOutcome, Verdict};
use crate::{
    app::App,
    control::{
        Result,
        subscriptions::{DisabledReason, Failed, LastError, Subscription},
    },
    domain::pace::Slot,
};

/// A subscription is disabled when every attempt has failed for this period.
const FAILING_LIMIT: SignedDuration = SignedDuration::from_hours(5 * 24);
/// Failures open the endpoint's circuit when every attempt has failed for this period.
const OPEN_AFTER: SignedDuration = SignedDuration::from_secs(10);

/// Updates the subscription's health after an attempt.
///
/// `slot` is the attempt's slot if the endpoint is paced.
///
/// Nothing is written if nothing changes. `subscription` may be older than the stored record, so
/// each write is conditional on the record's current state.
pub(super) async fn update_health(
    app: &App,
    subscription: &mut Subscription,
    outcome: &PostOutcome,
    slot: Option<&Slot>,
    now: Timestamp,
) -> Result<()> {
    let PostOutcome { attempt, took, verdict } = outcome;
    let error =
        LastError { at: now, status_code: attempt.status_code, message: attempt.error_message.clone() };
    if let Verdict::Rejected { asked } = *verdict {
        app.control.note_rejection(subscription, slot, asked, error.clone()).await?;
    }
    let failing_for = subscription.failing_since.map(|since| now.duration_since(since));
    match (*verdict, failing_for) {
        (Verdict::Success, failing) => {
            if failing.is_some() || subscription.breaker.is_open() {
                app.control.note_success(subscription, now).await?;
            } else if subscription.last.is_success_due(now) {
                app.control.touch_success(subscription, now).await?;
            }
            if subscription.breaker.is_slow() {
                let quick = *took < app.config.timeouts.quick_answer;
                app.control.note_speed(subscription, quick, now).await?;
            }
            match slot.filter(|slot| slot.is_fastest()) {
                Some(slot) => app.control.lift_pace(subscription, slot).await,
                None => Ok(()),
            }
        }
        (Verdict::Gone, _) => {
            app.control.disable_subscription(subscription, DisabledReason::EndpointGone, now).await
        }
        (_, Some(failing)) if failing >= FAILING_LIMIT => {
            app.control.disable_subscription(subscription, DisabledReason::OnlyFailures, now).await
        }
        // The endpoint works; its pace limits the rate.
        (Verdict::Rejected { .. }, _) => Ok(()),
        (Verdict::Failure { asked }, failing) => {
            // A failed probe reopens the circuit, however quickly it failed.
            let hangs = *took >= app.config.timeouts.hanging_answer;
            let parks = hangs
                || asked.is_some()
                || subscription.breaker.is_open()
                || failing.is_some_and(|it| it >= OPEN_AFTER);
            if parks || failing.is_none() {
                let failed = if parks { Failed::Open(asked) } else { Failed::Note };
                app.control.note_failure(subscription, failed, error).await?;
            }
            Ok(())
        }
    }
}
