//! Logs and counts of attempts.

use jiff::Timestamp;

use crate::{
    control::deliveries::{CountChange, Delivery},
    domain::delivery::DeliveryStatus,
    telemetry::metrics,
};

/// Logs an attempt that has ended.
///
/// The context of the log line names the lane. Tests and manual retries have no lane, so no metrics
/// count them.
pub(super) fn log(delivery: &Delivery, now: Timestamp) {
    let delivered = delivery.succeeded();
    // A replayed event was delivered before or had been abandoned, so its lag says nothing.
    let first = delivered && delivery.replay.is_none();
    let lag = first.then(|| now.duration_since(delivery.payload.occurred_at).as_millis().max(0));
    tracing::info!(
        target: metrics::DELIVERIES,
        Delivered = u8::from(delivered),
        DeliveryFailures = u8::from(!delivered),
        DeliveryLag = lag.and_then(|it| u64::try_from(it).ok()),
        deliveryId = delivery.id.0,
        subscriptionId = delivery.subscription_id.0,
        eventId = delivery.payload.event_id,
        attempt = delivery.attempts_made(),
        status = delivery.status_code,
        outcome = %delivery.status,
        durationMs = delivery.duration_ms,
        "delivery attempted"
    );
}

/// Returns the change of the practice's counts.
///
/// A delivery is counted when its first attempt has ended, as failed until it succeeds. Tests are
/// not counted.
pub(super) fn count_of(before: &Delivery, status: DeliveryStatus) -> CountChange {
    let succeeded = status == DeliveryStatus::Delivered;
    match (before.payload.is_test(), before.attempts) {
        (true, _) => CountChange::default(),
        (false, 0) => CountChange { total: 1, failed: i64::from(!succeeded) },
        (false, _) => CountChange { total: 0, failed: -i64::from(succeeded) },
    }
}
