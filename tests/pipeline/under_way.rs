//! Long attempts: how lists show them, how a retry works beside them, and that nothing waits for
//! them.

use std::time::Duration;

use serde_json::{Value, json};
use shared::{app::App, domain::delivery::DeliveryStatus};
use webhook_fanout::Lane;

use super::{
    delivery, event,
    fanout::{attempt, message, office_with, subscription},
};
use crate::office::{Answer, Gate, Office, Receiver, ends, eventually};

const MOMENT: Duration = Duration::from_millis(100);

async fn send(app: &App, lane: Lane, bodies: &[&str]) {
    let sending = webhook_fanout::deliver(app, lane, event(bodies));
    let response = ends("the batch", Box::pin(sending)).await;
    assert!(response.batch_item_failures.is_empty());
}

/// Returns the first row of the partner's list and of the administrators', with and without the
/// filter.
async fn listed(office: &Office) -> Vec<Value> {
    let mut rows = Vec::new();
    for filter in ["", "?success=false"] {
        let list = office.get(&format!("/v1/webhooks/deliveries{filter}")).await;
        rows.push(list.expect(200)["data"][0].clone());
        let monitor = office.admin("GET", &format!("/v1/admin/webhooks/monitor{filter}"), None).await;
        rows.push(monitor.expect(200)["recentDeliveries"][0].clone());
    }
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_got_429_is_counted_in_every_list() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let body = message(&office, 1).await;
    receiver.then(Answer::status(429).header("retry-after", "120"));
    attempt(&office, &body, 1).await;
    for row in listed(&office).await {
        assert_eq!((&row["status"], &row["attempts"]), (&json!("retrying"), &json!(1)), "{row}");
        assert_eq!(
            (&row["statusCode"], &row["nextAttemptAt"]),
            (&json!(429), &json!("2026-03-09T12:02:00Z"))
        );
    }
    let id = delivery(&office, 1).await.id;
    let shown = office.get(&format!("/v1/webhooks/deliveries/{id}")).await;
    let data = &shown.expect(200)["data"];
    assert_eq!((&data["attempts"], data["attemptLog"].as_array().unwrap().len()), (&json!(1), 1));
    // The poller reads it from an index, too, and its message is for the first attempt that counts.
    office.set_time("2026-03-09T12:03:00Z");
    let shard = id.0 % office.app.control.delivery_shards();
    let due = office.app.control.due_deliveries(shard, office.app.clock.now(), 10).await.unwrap();
    assert_eq!((due.len(), due[0].attempts, due[0].attempts_made()), (1, 0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_outlives_its_batch_is_in_every_list() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let gate = Gate::closed();
    receiver.then(Answer::status(200).behind(&gate));
    let fast = office.another_app(|parts| parts.config.timeouts.quick_answer = MOMENT);
    let body = message(&office, 1).await;
    send(&fast, Lane::Fast, &[&body]).await;
    for row in listed(&office).await {
        assert_eq!((&row["eventId"], &row["status"]), (&json!("DemoOffice-1"), &json!("pending")), "{row}");
    }
    let monitor = office.admin("GET", "/v1/admin/webhooks/monitor", None).await;
    let oldest = &monitor.expect(200)["queue"]["oldestUndeliveredEvent"];
    assert_eq!(oldest["eventId"], "DemoOffice-1");
    gate.open();
    fast.background.ended().await;
    let list = office.get("/v1/webhooks/deliveries").await;
    let row = &list.expect(200)["data"][0];
    assert_eq!((&row["status"], &row["attempts"]), (&json!("delivered"), &json!(1)));
}

/// A retry is delivered while the scheduled attempt is in progress, which then ends with `status`.
async fn retried_beside(status: u16) -> (Office, Receiver, String) {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let body = message(&office, 1).await;
    receiver.then(Answer::status(500));
    attempt(&office, &body, 1).await;
    let source = delivery(&office, 1).await;
    let gate = Gate::closed();
    receiver.then(Answer::status(status).behind(&gate));
    let scheduled = attempt(&office, &body, 2);
    let no_body = json!({});
    let retrying = async {
        eventually("the attempt", async || (receiver.received().len() == 2).then_some(())).await;
        let path = format!("/v1/webhooks/deliveries/{}/retry", source.id);
        let reply = office.post(&path, &no_body).await;
        assert_eq!(reply.expect(200)["data"]["success"], true);
    };
    let ending = async {
        // The retry was delivered and recorded; only the attempt keeps its call from ending.
        eventually("the retry", async || {
            let delivered = office.get("/v1/webhooks/deliveries?success=true").await;
            (!delivered.expect(200)["data"].as_array().unwrap().is_empty()).then_some(())
        })
        .await;
        tokio::time::sleep(MOMENT).await;
        gate.open();
    };
    ends("the retry", Box::pin(async { tokio::join!(scheduled, retrying, ending) })).await;
    assert_eq!(receiver.received().len(), 3);
    (office, receiver, body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successful_retry_beside_a_failing_attempt_ends_the_delivery() {
    let (office, receiver, body) = retried_beside(500).await;
    let settled = delivery(&office, 1).await;
    assert_eq!((settled.status, settled.next_attempt_at), (DeliveryStatus::Cancelled, None));
    assert_eq!(settled.attempts, 2, "the attempt beside the retry is on record");
    // Neither its message nor the poller sends it.
    attempt(&office, &body, 3).await;
    office.set_time("2026-03-09T18:00:00Z");
    super::poll(&office).await;
    super::deliver(&office).await;
    assert_eq!(receiver.received().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_beside_a_successful_attempt_leaves_the_delivery_delivered() {
    let (office, receiver, body) = retried_beside(200).await;
    assert_eq!(delivery(&office, 1).await.status, DeliveryStatus::Delivered);
    attempt(&office, &body, 3).await;
    assert_eq!(receiver.received().len(), 3);
    let counts = office.app.control.delivery_counts(office.db.practicepass()).await.unwrap();
    assert_eq!((counts.total, counts.failed), (2, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_waits_for_a_slow_endpoint_goes_to_the_slow_lane_with_its_batch() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let mut bodies = Vec::new();
    for log_id in 1..=10 {
        bodies.push(message(&office, log_id).await);
    }
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    // Nobody opens the gate before the batch has ended.
    let gate = Gate::closed();
    receiver.otherwise(Answer::status(200).behind(&gate));
    let fast = office.another_app(|parts| parts.config.timeouts.quick_answer = MOMENT);
    send(&fast, Lane::Fast, &bodies).await;
    assert_eq!(receiver.received().len(), 4);
    let slow = office.queue.take_slow().await;
    assert_eq!(slow.len(), 6);
    gate.open();
    fast.background.ended().await;
    let slow: Vec<&str> = slow.iter().map(String::as_str).collect();
    send(&office.app, Lane::Slow, &slow).await;
    let mut called: Vec<String> =
        receiver.received().iter().map(|it| it.header("webhook-id").to_owned()).collect();
    called.sort();
    let mut expected: Vec<String> = (1..=10).map(|log_id| format!("DemoOffice-{log_id}")).collect();
    expected.sort();
    assert_eq!(called, expected, "each once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_misses_its_slot_waits_for_the_next_one_in_the_queue() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let mut bodies = Vec::new();
    for log_id in 1..=6 {
        bodies.push(message(&office, log_id).await);
    }
    receiver.then(Answer::status(429).header("retry-after", "1"));
    attempt(&office, &bodies[0], 1).await;
    office.set_time("2026-03-09T12:00:05Z");
    let gate = Gate::closed();
    receiver.otherwise(Answer::status(200).behind(&gate));
    let app = office.another_app(|parts| parts.config.timeouts.slot_search = MOMENT);
    let bodies: Vec<&str> = bodies[1..].iter().map(String::as_str).collect();
    let sending = send(&app, Lane::Slow, &bodies);
    let ending = async {
        eventually("four calls", async || (receiver.received().len() == 5).then_some(())).await;
        // The fifth waits for a place, and meanwhile its slot passes.
        tokio::time::sleep(2 * MOMENT).await;
        office.set_time("2026-03-09T12:00:30Z");
        gate.open();
    };
    tokio::join!(sending, ending);
    assert_eq!(receiver.received().len(), 5, "the fifth is not called in this batch");
    let waiting = super::queued(&office).await;
    let waiting: Vec<Value> = waiting.iter().map(|body| serde_json::from_str(body).unwrap()).collect();
    let in_slot = waiting.iter().filter(|it| it["slot"].is_object() && it["logId"] != 1).count();
    assert_eq!(in_slot, 1, "{waiting:?}");
    assert!(subscription(&office).await.is_active());
}
