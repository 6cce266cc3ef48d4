//! Clocks that were ahead: what they wrote is in force for a bounded time.

use serde_json::json;
use shared::{
    config::POLL_LEASE,
    control::{
        deliveries::Delivery,
        subscriptions::{Failed, LastError, LastOutcomes},
    },
    domain::{delivery::DeliveryStatus, webhook_event::EventMessage},
};
use webhook_fanout::Lane;

use super::{
    delivery, event,
    fanout::{attempt, message, office_with, subscription},
};
use crate::office::{Office, Receiver};

const AHEAD: &str = "2027-03-09T12:00:00Z";
const NOW: &str = "2026-03-09T12:00:00Z";

/// Claims the first attempt by the office's clock, as a process does that then dies.
async fn claim(office: &Office, body: &str) {
    let event: EventMessage = serde_json::from_str(body).unwrap();
    let (control, now) = (&office.app.control, office.app.clock.now());
    let id = control.next_delivery_id().await.unwrap();
    control.claim_first(Delivery::of_event(&event, id, now), now).await.unwrap();
}

#[tokio::test]
async fn what_a_clock_that_was_ahead_wrote_holds_nothing_back() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let (control, practicepass) = (&office.app.control, office.db.practicepass());
    let body = message(&office, 1).await;
    office.set_time(AHEAD);
    let (ahead, mut known) = (office.app.clock.now(), subscription(&office).await);
    let error = LastError { at: ahead, status_code: Some(503), message: None };
    control.note_failure(&mut known, Failed::Open(None), error).await.unwrap();
    assert!(control.take_probe(&mut known, ahead).await.unwrap());
    claim(&office, &body).await;
    let lease = |owner: &'static str, now: jiff::Timestamp| {
        control.take_lease(practicepass, owner, now, now + POLL_LEASE)
    };
    assert!(lease("ahead", ahead).await.unwrap().is_some());

    office.set_time(NOW);
    let now = office.app.clock.now();
    assert!(lease("now", now).await.unwrap().is_some(), "no event for a year");
    assert_eq!(subscription(&office).await.breaker.held_until(now), None, "shown");
    attempt(&office, &body, 1).await;
    assert_eq!(receiver.received().len(), 1, "the endpoint is probed");
    assert_eq!(delivery(&office, 1).await.status, DeliveryStatus::Delivered);
    let monitor = office.admin("GET", "/v1/admin/webhooks/monitor", None).await;
    assert_eq!(monitor.expect(200)["breakers"], json!([]));
}

#[tokio::test]
async fn a_claim_by_a_clock_that_was_ahead_does_not_keep_an_unwanted_delivery() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let body = message(&office, 1).await;
    office.set_time(AHEAD);
    claim(&office, &body).await;
    office.set_time(NOW);
    office.delete("/v1/webhooks").await.expect(200);
    attempt(&office, &body, 1).await;
    assert_eq!(delivery(&office, 1).await.status, DeliveryStatus::Cancelled);
    assert_eq!(office.queue.receive().await.len(), 0, "its message would return for a year");
}

#[tokio::test]
async fn a_success_of_a_clock_that_was_ahead_is_overwritten() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let body = message(&office, 1).await;
    office.set_time(AHEAD);
    let mut known = subscription(&office).await;
    office.app.control.touch_success(&mut known, office.app.clock.now()).await.unwrap();
    office.set_time(NOW);
    let response = webhook_fanout::deliver(&office.app, Lane::Fast, event(&[&body])).await;
    assert!(response.batch_item_failures.is_empty());
    let expected = LastOutcomes { last_success_at: Some(NOW.parse().unwrap()), last_error: None };
    assert_eq!(subscription(&office).await.last, expected);
}
