//! Endpoints that are slow, hang or only fail: what they get, and that they go on by themselves.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared::domain::delivery::DeliveryStatus;
use webhook_fanout::Lane;

use super::{
    delivery, event,
    fanout::{attempt, message, office_with, subscription},
};
use crate::office::{Answer, Office, Receiver};

async fn breakers(office: &Office) -> Value {
    office.admin("GET", "/v1/admin/webhooks/monitor", None).await.expect(200)["breakers"].clone()
}

async fn send(office: &Office, lane: Lane, bodies: &[&str]) {
    let response = webhook_fanout::deliver(&office.app, lane, event(bodies)).await;
    assert!(response.batch_item_failures.is_empty());
}

fn hangs() -> Answer {
    Answer::status(200).pause(Duration::from_mins(1))
}

#[tokio::test]
async fn an_endpoint_that_hangs_is_parked_until_a_probe_succeeds() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let (one, two) = (message(&office, 1).await, message(&office, 2).await);
    receiver.otherwise(hangs());

    let began = Instant::now();
    send(&office, Lane::Fast, &[&one]).await;
    assert!(began.elapsed() < Duration::from_secs(4), "the fast lane waits for nobody");
    assert_eq!(delivery(&office, 1).await.attempts, 0, "the attempt goes on in the slow lane");
    assert_eq!(breakers(&office).await[0]["state"], "slow");
    send(&office, Lane::Fast, &[&two]).await;
    assert_eq!(receiver.received().len(), 1, "what is known to be slow is not tried in the fast lane");
    let slow = office.queue.take_slow().await;
    assert_eq!(slow.len(), 2);

    let began = Instant::now();
    send(&office, Lane::Slow, &[&slow[0]]).await;
    assert!((14..18).contains(&began.elapsed().as_secs()), "the promised 15 s: {:?}", began.elapsed());
    let failed = delivery(&office, 1).await;
    assert_eq!((failed.status, failed.status_code), (DeliveryStatus::Retrying, None));
    assert_eq!(failed.error_message.as_deref(), Some("no answer within 15 seconds"));
    let shown = breakers(&office).await;
    assert_eq!(
        (&shown[0]["state"], &shown[0]["parkedUntil"]),
        (&json!("parked"), &json!("2026-03-09T12:00:15Z"))
    );

    for lane in [Lane::Fast, Lane::Slow] {
        send(&office, lane, &[&two]).await;
    }
    assert_eq!(receiver.received().len(), 2, "nobody calls a parked endpoint");
    let parked = delivery(&office, 2).await;
    assert_eq!((parked.status, parked.attempts), (DeliveryStatus::Pending, 0));
    let listed = office.get("/v1/webhooks/deliveries?success=false").await;
    let listed = listed.expect(200)["data"].as_array().unwrap().clone();
    assert!(listed.iter().all(|it| it["nextAttemptAt"].is_string()), "{listed:?}");

    office.set_time("2026-03-09T12:00:15Z");
    receiver.otherwise(Answer::status(200).pause(Duration::from_millis(300)));
    let three = message(&office, 3).await;
    send(&office, Lane::Slow, &[&two, &three]).await;
    assert_eq!(receiver.received().len(), 3, "one delivery probes, the other waits");
    assert_eq!(breakers(&office).await, json!([]));
    let [two_done, three_done] = [delivery(&office, 2).await, delivery(&office, 3).await]
        .map(|it| it.status == DeliveryStatus::Delivered);
    assert!(two_done != three_done);
    attempt(&office, if two_done { &three } else { &two }, 1).await;
    assert_eq!(receiver.received().len(), 4);
}

#[tokio::test]
async fn an_endpoint_that_only_fails_is_parked_for_longer_and_longer() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    receiver.otherwise(Answer::status(500));
    // The time of the failure, what the monitor says then, and when the endpoint is tried again.
    let expected = [
        ("12:00:00", None),
        ("12:00:09", None),
        ("12:00:10", Some("12:00:25")),
        ("12:00:25", Some("12:00:55")),
        ("12:00:55", Some("12:01:55")),
        ("13:00:00", Some("13:02:00")),
        ("14:00:00", Some("14:04:00")),
        ("15:00:00", Some("15:08:00")),
        ("16:00:00", Some("16:10:00")),
        ("17:00:00", Some("17:10:00")),
    ];
    for (log_id, (time, until)) in (1..).zip(expected) {
        office.set_time(&format!("2026-03-09T{time}Z"));
        let body = message(&office, log_id).await;
        attempt(&office, &body, 1).await;
        assert_eq!(delivery(&office, log_id).await.attempts, 1, "{time}");
        let shown = breakers(&office).await;
        let until = until.map(|until| format!("2026-03-09T{until}Z"));
        assert_eq!(shown[0]["parkedUntil"].as_str(), until.as_deref(), "{time}: {shown}");
    }
    let body = message(&office, 20).await;
    attempt(&office, &body, 1).await;
    assert_eq!(delivery(&office, 20).await.attempts, 0);
    office.set_time("2026-03-09T17:10:00Z");
    receiver.otherwise(Answer::status(200));
    attempt(&office, &body, 1).await;
    assert_eq!((breakers(&office).await, delivery(&office, 20).await.succeeded()), (json!([]), true));
}

#[tokio::test]
async fn an_endpoint_that_takes_its_time_is_served_in_the_slow_lane_until_it_is_quick() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let (one, two, three) = (message(&office, 1).await, message(&office, 2).await, message(&office, 3).await);
    receiver.otherwise(Answer::status(200).pause(Duration::from_secs(3)));
    send(&office, Lane::Fast, &[&one]).await;
    let slow = office.queue.take_slow().await;
    send(&office, Lane::Slow, &[&slow[0]]).await;
    let done = delivery(&office, 1).await;
    assert_eq!((done.status, done.attempts), (DeliveryStatus::Delivered, 1));
    assert_eq!(breakers(&office).await[0]["state"], "slow");
    receiver.otherwise(Answer::status(200));
    send(&office, Lane::Slow, &[&two]).await;
    assert_eq!(breakers(&office).await, json!([]));
    send(&office, Lane::Fast, &[&three]).await;
    assert!(delivery(&office, 3).await.succeeded());
    let ids: Vec<String> = receiver.received().iter().map(|it| it.header("webhook-id").to_owned()).collect();
    assert_eq!(ids, ["DemoOffice-1", "DemoOffice-1", "DemoOffice-2", "DemoOffice-3"]);
}

#[tokio::test]
async fn an_endpoint_is_called_four_times_at_once_at_most() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    receiver.otherwise(Answer::status(200).pause(Duration::from_millis(200)));
    let mut bodies = Vec::new();
    for log_id in 1..=10 {
        bodies.push(message(&office, log_id).await);
    }
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    send(&office, Lane::Fast, &bodies).await;
    assert_eq!((receiver.received().len(), receiver.most_at_once()), (10, 4));
    assert_eq!(subscription(&office).await.version, 1, "success is not written to the subscription");
}

#[tokio::test]
async fn another_url_is_called_at_once() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let (one, two) = (message(&office, 1).await, message(&office, 2).await);
    receiver.otherwise(hangs());
    send(&office, Lane::Fast, &[&one]).await;
    let better = Receiver::start().await;
    crate::webhooks::sign_up(&office, &better.url, &["Claims"]).await;
    assert_eq!(breakers(&office).await, json!([]));
    send(&office, Lane::Fast, &[&two]).await;
    assert_eq!(better.received().len(), 1);
}
