//! Clocks that were ahead: what they wrote is in force for a bounded time.

use serde_json::json;
use shared::{
    config::POLL_LEASE,
    control::{
        deliveries::Delivery,
        subscriptions::{Failed, LastError, LastOutcomes},
    },
    domain::{
        delivery::{DeliveryStatus, Payload},
        webhook_event::EventMessage,
    },
};
use webhook_fanout::Lane;

use super::{
    delivery, event,
    fanout::{attempt, message, office_with, subscription},
    poll, queued,
};
use crate::office::{Answer, Office, Receiver};

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
async fn a_retry_that_a_clock_that_was_ahead_scheduled_is_made_within_the_hour() {
    for ahead in ["2026-03-10T12:00:00Z", "2036-03-09T12:00:00Z"] {
        let receiver = Receiver::start().await;
        let office = office_with(&receiver).await;
        let body = message(&office, 1).await;
        receiver.then(Answer::status(500));
        office.set_time(ahead);
        attempt(&office, &body, 1).await;
        office.set_time(NOW);
        let sent = queued(&office).await.len();
        poll(&office).await;
        assert_eq!(queued(&office).await.len(), sent + 1, "{ahead}");
        let again = Some("2026-03-09T12:15:00Z".parse().unwrap());
        assert_eq!(delivery(&office, 1).await.next_attempt_at, again, "if its message is lost");
        poll(&office).await;
        assert_eq!(queued(&office).await.len(), sent + 1, "it is sent once");
        attempt(&office, &body, 2).await;
        assert_eq!(delivery(&office, 1).await.status, DeliveryStatus::Delivered, "{ahead}");
    }
}

#[tokio::test]
async fn the_longest_wait_of_a_right_clock_is_waited_for() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let body = message(&office, 1).await;
    receiver.then(Answer::status(503).header("retry-after", "99999999"));
    attempt(&office, &body, 1).await;
    let planned = delivery(&office, 1).await.next_attempt_at;
    assert!(planned >= Some("2026-03-10T00:00:00Z".parse().unwrap()), "{planned:?}");
    let sent = queued(&office).await.len();
    poll(&office).await;
    assert_eq!((queued(&office).await.len(), delivery(&office, 1).await.next_attempt_at), (sent, planned));
}

#[tokio::test]
async fn a_manual_delivery_of_a_dead_process_whose_clock_was_ahead_ends() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    office.set_time(AHEAD);
    let (control, now) = (&office.app.control, office.app.clock.now());
    let (id, to) = (control.next_delivery_id().await.unwrap(), subscription(&office).await);
    let payload = Payload::test(office.db.practicepass(), None, id.0, now);
    control.claim_first(Delivery::manual(id, &to, payload, None, now), now).await.unwrap();
    office.set_time(NOW);
    poll(&office).await;
    assert_eq!(control.delivery_by_id(id).await.unwrap().unwrap().status, DeliveryStatus::Failed);
}

/// Its age ends the checks of a withheld delivery, and the attempts at one that gets only 429.
#[tokio::test]
async fn a_delivery_that_a_clock_that_was_ahead_created_ends() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let (one, two) = (message(&office, 1).await, message(&office, 2).await);
    office.set_time(AHEAD);
    claim(&office, &one).await;
    claim(&office, &two).await;
    office.set_time(NOW);
    receiver.then(Answer::status(429));
    attempt(&office, &one, 1).await;
    assert_eq!(delivery(&office, 1).await.attempts, 1, "the 429 counts in the schedule");
    office.admin("POST", "/v1/admin/webhooks/1/pause", None).await.expect(200);
    attempt(&office, &two, 1).await;
    let ended = delivery(&office, 2).await;
    assert_eq!((ended.status, ended.next_attempt_at), (DeliveryStatus::Cancelled, None));
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
