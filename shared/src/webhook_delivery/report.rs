//! What is logged and counted of an attempt.

use jiff::Timestamp;

use crate::{
    control::deliveries::{CountChange, Delivery},
    domain::delivery::DeliveryStatus,
    telemetry::metrics,
};

/// Logs an attempt that has ended. What goes through a lane says so by its context; a test or a
/// manual retry is no metric.
pub(super) fn log(delivery: &Delivery, now: Timestamp) {
    let delivered = delivery.succeeded();
    // What a replay brings has been delivered before, or was given up.
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

/// Counted once when its first attempt has ended; as failed until it succeeds. Tests don't count.
pub(super) fn count_of(before: &Delivery, status: DeliveryStatus) -> CountChange {
    let succeeded = status == DeliveryStatus::Delivered;
    match (before.payload.is_test(), before.attempts) {
        (true, _) => CountChange::default(),
        (false, 0) => CountChange { total: 1, failed: i64::from(!succeeded) },
        (false, _) => CountChange { total: 0, failed: -i64::from(succeeded) },
    }
}
