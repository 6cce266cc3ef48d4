//! Whether the call of a claimed delivery may begin.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::{
    app::App,
    config::Timeouts,
    control::{
        Result,
        deliveries::{Delivery, LONGEST_OUTCOME},
        subscriptions::Subscription,
    },
    egress,
};

/// How long a claim may take before the subscription is read again.
///
/// When the caller of a change gets the response, no call begins that has not seen the change.
pub const LONGEST_CLAIM: Duration = Duration::from_millis(500);

/// Whether what was decided about the subscription still holds. Reads it again.
///
/// `false` also if that takes too long.
pub async fn is_unchanged(app: &App, known: &Subscription) -> Result<bool> {
    let before = Instant::now();
    let found = app.control.subscription(&known.practicepass, &known.partner_id).await?;
    let same = |it: Subscription| {
        it.is_active()
            && (it.generation, it.paused_at) == (known.generation, known.paused_at)
            && (&it.hook_url, &it.scopes) == (&known.hook_url, &known.scopes)
    };
    Ok(found.is_some_and(same) && before.elapsed() <= LONGEST_CLAIM)
}

/// Whether the delivery's claim outlasts an attempt that begins at `now`.
///
/// Otherwise another process could claim the attempt and repeat it before its outcome is recorded.
pub fn outlasts_attempt(delivery: &Delivery, now: Timestamp) -> bool {
    delivery.claim_left(now) >= longest_attempt()
}

/// Returns the longest time from the start of a call until its outcome is recorded.
fn longest_attempt() -> Duration {
    egress::Timeouts::default().total + Timeouts::default().endpoint_health + LONGEST_OUTCOME
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::deliveries::busy_until;

    #[test]
    fn a_change_of_a_subscription_outlasts_a_read_and_a_claim() {
        let timeouts = Timeouts::default();
        assert!(timeouts.subscription_read + LONGEST_CLAIM < timeouts.subscription_change);
    }

    #[test]
    fn a_claim_outlasts_the_slowest_attempt_and_the_write_of_the_claim() {
        let now = Timestamp::UNIX_EPOCH;
        let claim = busy_until(now).duration_since(now).unsigned_abs();
        // A first claim is written in one operation of DynamoDB, after which the subscription is
        // read. A retry's claim also reads; if that takes too long, the call does not begin.
        let claiming = Duration::from_secs(3) + LONGEST_CLAIM;
        let attempt = longest_attempt();
        assert!(claiming + attempt < claim, "{claiming:?} + {attempt:?}");
    }
}
