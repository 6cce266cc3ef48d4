//! Endpoints that are slow, hang or fail: their circuit breakers open, and close without help.

use std::{ops::RangeInclusive, sync::atomic::Ordering, time::Duration};

use jiff::SignedDuration;
use serde_json::{Value, json};
use shared::{app::App, domain::delivery::DeliveryStatus, egress::Timeouts};
use webhook_fanout::Lane;

use super::{
    delivery, event,
    fanout::{attempt, message, office_with, subscription},
};
use crate::{
    office::{Answer, Gate, Office, Receiver, eventually, hooks, timeouts},
    store_calls::is_write,
};

const MOMENT: Duration = Duration::from_millis(100);

async fn breakers(office: &Office) -> Value {
    office.admin("GET", "/v1/admin/webhooks/monitor", None).await.expect(200)["breakers"].clone()
}

async fn send(app: &App, lane: Lane, bodies: &[&str]) {
    let response = webhook_fanout::deliver(app, lane, event(bodies)).await;
    assert!(response.batch_item_failures.is_empty());
}

/// The app of a process whose timeouts are a moment instead of minutes.
fn impatient(office: &Office) -> App {
    office.another_app(|parts| {
        parts.config.timeouts.quick_answer = MOMENT;
        parts.config.timeouts.hanging_answer = MOMENT;
        parts.hooks = hooks(Timeouts { total: 2 * MOMENT, ..timeouts::ENDPOINT });
    })
}

async fn messages(office: &Office, log_ids: RangeInclusive<i64>) -> Vec<String> {
    let mut messages = Vec::new();
    for log_id in log_ids {
        messages.push(message(office, log_id).await);
    }
    messages.sort();
    messages
}

/// Opens an endpoint that never responds.
fn hangs(receiver: &Receiver) {
    receiver.otherwise(Answer::status(200).behind(&Gate::closed()));
}

fn events(receiver: &Receiver) -> Vec<String> {
    receiver.received().iter().map(|it| it.header("webhook-id").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_circuit_of_a_hanging_endpoint_is_open_until_a_probe_succeeds() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let impatient = impatient(&office);
    let (one, two) = (message(&office, 1).await, message(&office, 2).await);
    hangs(&receiver);

    send(&impatient, Lane::Fast, &[&one]).await;
    impatient.background.ended().await;
    let failed = delivery(&office, 1).await;
    assert_eq!((failed.status, failed.status_code, failed.attempts), (DeliveryStatus::Retrying, None, 1));
    let told = "timed out reading the body of the answer: the call took 15 seconds";
    assert_eq!(failed.error_message.as_deref(), Some(told));
    let shown = breakers(&office).await;
    assert_eq!(
        (&shown[0]["state"], &shown[0]["openUntil"]),
        (&json!("open"), &json!("2026-03-09T12:00:15Z"))
    );

    for lane in [Lane::Fast, Lane::Slow] {
        send(&office.app, lane, &[&two]).await;
    }
    assert!(
        !events(&receiver).contains(&"DemoOffice-2".into()),
        "nobody calls an endpoint whose circuit is open"
    );
    let waiting = delivery(&office, 2).await;
    assert_eq!((waiting.status, waiting.attempts), (DeliveryStatus::Pending, 0));
    let listed = office.get("/v1/webhooks/deliveries?success=false").await;
    let listed = listed.expect(200)["data"].as_array().unwrap().clone();
    assert!(listed.iter().all(|it| it["nextAttemptAt"].is_string()), "{listed:?}");

    office.set_time("2026-03-09T12:00:15Z");
    let (three, four) = (message(&office, 3).await, message(&office, 4).await);
    let probe = Gate::closed();
    receiver.otherwise(Answer::status(200).behind(&probe));
    let (before, waiting) = (receiver.received().len(), office.queue.left().await);
    let both = [three.as_str(), &four];
    let probing = send(&office.app, Lane::Slow, &both);
    let other = async {
        // The probe is answered when the other delivery is back in the queue.
        eventually("the other", async || (office.queue.left().await > waiting).then_some(())).await;
        assert_eq!(breakers(&office).await[0]["state"], "half-open");
        probe.open();
    };
    tokio::join!(probing, other);
    assert_eq!(receiver.received().len(), before + 1, "one delivery probes, the other waits");
    assert_eq!(breakers(&office).await[0]["state"], "slow");
    let [three_done, four_done] = [delivery(&office, 3).await, delivery(&office, 4).await]
        .map(|it| it.status == DeliveryStatus::Delivered);
    assert!(three_done != four_done);
    send(&office.app, Lane::Slow, &[if three_done { &four } else { &three }]).await;
    assert_eq!(receiver.received().len(), before + 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requeued_deliveries_wait_no_longer_than_the_open_circuit() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let impatient = impatient(&office);
    let (one, two) = (message(&office, 1).await, message(&office, 2).await);
    hangs(&receiver);
    send(&impatient, Lane::Fast, &[&one]).await;
    impatient.background.ended().await;
    assert_eq!(breakers(&office).await[0]["state"], "open");
    send(&office.app, Lane::Slow, &[&two]).await;

    // The message is lost. The poller sends another, and would send a third after 15 minutes.
    let later = office.app.clock.now() + SignedDuration::from_mins(15);
    office.app.control.put_off(&delivery(&office, 2).await, later).await.unwrap();
    let waiting = office.queue.left().await;
    send(&office.app, Lane::Slow, &[&two]).await;
    assert_eq!(office.queue.left().await, waiting + 1, "the message goes back into the queue");
    let next = delivery(&office, 2).await.next_attempt_at.unwrap();
    assert!(next < later, "it waits for the endpoint, not for the poller: {next}");
}

/// Ill endpoints must not use up what the healthy ones need.
#[tokio::test]
async fn a_first_delivery_that_waits_costs_one_write() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let impatient = impatient(&office);
    let (one, messages) = (message(&office, 1).await, messages(&office, 2..=11).await);
    hangs(&receiver);
    send(&impatient, Lane::Fast, &[&one]).await;
    impatient.background.ended().await;
    office.app.control.next_delivery_id().await.unwrap();
    office.store_calls.take();
    send(&office.app, Lane::Fast, &messages.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let writes = office.store_calls.take().into_iter().filter(|it| is_write(it));
    assert_eq!(writes.collect::<Vec<_>>(), ["PutItem"; 10]);
    for log_id in 2..=11 {
        let waiting = delivery(&office, log_id).await;
        assert_eq!((waiting.status, waiting.attempts), (DeliveryStatus::Pending, 0));
        assert!(waiting.next_attempt_at.is_some());
    }
}

/// With one thread, all ten wait to be sent before the first is sent.
#[tokio::test]
async fn a_batch_for_the_slow_lane_is_sent_in_one_call() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let (one, messages) = (message(&office, 1).await, messages(&office, 2..=11).await);
    let gate = Gate::closed();
    receiver.otherwise(Answer::status(200).behind(&gate));
    let fast = office.another_app(|parts| parts.config.timeouts.quick_answer = MOMENT);
    send(&fast, Lane::Fast, &[&one]).await;
    let (queue, calls) = office.queue.counted().await;
    let counted = office.another_app(|parts| parts.queue = queue);
    send(&counted, Lane::Fast, &messages.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    let mut sent = office.queue.take_slow().await;
    sent.sort();
    assert_eq!(sent, messages);
    gate.open();
    fast.background.ended().await;
}

#[tokio::test]
async fn the_circuit_of_a_failing_endpoint_stays_open_increasingly_long() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    receiver.otherwise(Answer::status(500));
    // The time of the failure, the state in the monitor, and the time of the next attempt.
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
        assert_eq!(shown[0]["openUntil"].as_str(), until.as_deref(), "{time}: {shown}");
    }
    let body = message(&office, 20).await;
    attempt(&office, &body, 1).await;
    assert_eq!(delivery(&office, 20).await.attempts, 0);
    office.set_time("2026-03-09T17:10:00Z");
    receiver.otherwise(Answer::status(200));
    attempt(&office, &body, 1).await;
    assert_eq!((breakers(&office).await, delivery(&office, 20).await.succeeded()), (json!([]), true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_endpoint_uses_the_slow_lane_until_it_is_fast_again() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let gate = Gate::closed();
    receiver.otherwise(Answer::status(200).behind(&gate));
    let fast = office.another_app(|parts| parts.config.timeouts.quick_answer = MOMENT);
    let one = message(&office, 1).await;
    // The invocation ends before the endpoint answers, so other queued messages do not wait for it.
    send(&fast, Lane::Fast, &[&one]).await;
    assert_eq!((receiver.received().len(), fast.background.count()), (1, 1));
    let waiting = delivery(&office, 1).await;
    assert_eq!((waiting.status, waiting.attempts), (DeliveryStatus::Pending, 0));
    assert!(waiting.next_attempt_at.is_some(), "if the process dies, the delivery is found by its time");
    assert_eq!(breakers(&office).await[0]["state"], "slow");
    let two = message(&office, 2).await;
    send(&fast, Lane::Fast, &[&two]).await;
    assert_eq!(receiver.received().len(), 1, "a slow endpoint gets no attempt in the fast lane");
    assert_eq!(office.queue.take_slow().await.len(), 1);
    gate.open();
    fast.background.ended().await;
    let done = delivery(&office, 1).await;
    assert_eq!(
        (done.status, done.attempts_made(), done.next_attempt_at),
        (DeliveryStatus::Delivered, 1, None)
    );

    // For this process, every response is slow.
    let demanding = office.another_app(|parts| parts.config.timeouts.quick_answer = Duration::ZERO);
    for (log_id, app) in (3..).zip([&office.app, &office.app, &office.app, &office.app, &demanding]) {
        let body = message(&office, log_id).await;
        send(app, Lane::Slow, &[&body]).await;
        assert_eq!(breakers(&office).await[0]["state"], "slow", "after event {log_id}");
    }
    for log_id in 8..=12 {
        assert_eq!(breakers(&office).await[0]["state"], "slow", "a slow answer restarts the count: {log_id}");
        let body = message(&office, log_id).await;
        send(&office.app, Lane::Slow, &[&body]).await;
    }
    assert_eq!(breakers(&office).await, json!([]));
    let body = message(&office, 13).await;
    send(&office.app, Lane::Fast, &[&body]).await;
    let expected: Vec<String> = (1..=13).filter(|id| *id != 2).map(|id| format!("DemoOffice-{id}")).collect();
    assert_eq!(events(&receiver), expected, "each once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_of_a_dead_process_is_recorded_and_its_delivery_continues() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let gate = Gate::closed();
    receiver.then(Answer::status(200).behind(&gate));
    let dying = office.another_app(|parts| parts.config.timeouts.quick_answer = MOMENT);
    let one = message(&office, 1).await;
    send(&dying, Lane::Fast, &[&one]).await;
    // Its message is lost, and its outcome never arrives.
    office.set_time("2026-03-09T12:01:01Z");
    super::poll(&office).await;
    let bodies: Vec<String> = super::receive(&office).await.into_iter().map(|it| it.body).collect();
    send(&office.app, Lane::Slow, &[bodies.last().unwrap()]).await;
    let done = delivery(&office, 1).await;
    assert_eq!((done.status, done.attempts, done.attempts_made()), (DeliveryStatus::Delivered, 1, 2));
    let listed = office.get("/v1/webhooks/deliveries").await;
    assert_eq!(listed.expect(200)["data"][0]["attempts"], 2);
    let shown = office.get(&format!("/v1/webhooks/deliveries/{}", done.id)).await;
    let log = &shown.expect(200)["data"]["attemptLog"];
    assert_eq!((&log[0]["durationMs"], &log[1]["statusCode"]), (&Value::Null, &json!(200)));
    let told = "the attempt was interrupted before its outcome was known; the endpoint may have received it";
    assert_eq!((&log[0]["errorMessage"], &log[0]["at"]), (&json!(told), &json!("2026-03-09T12:00:00Z")));
    gate.open();
    dying.background.ended().await;
    assert_eq!(
        delivery(&office, 1).await.status,
        DeliveryStatus::Delivered,
        "a late outcome changes nothing"
    );
}

#[tokio::test]
async fn an_endpoint_gets_at_most_four_concurrent_calls() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let gate = Gate::closed();
    receiver.otherwise(Answer::status(200).behind(&gate));
    let mut bodies = Vec::new();
    for log_id in 1..=10 {
        bodies.push(message(&office, log_id).await);
    }
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    let sending = send(&office.app, Lane::Fast, &bodies);
    let answering = async {
        eventually("four calls", async || (receiver.received().len() >= 4).then_some(())).await;
        // Any further calls would arrive during these requests.
        for _ in 0..10 {
            office.get("/v1/webhooks").await.expect(200);
        }
        gate.open();
    };
    tokio::join!(sending, answering);
    assert_eq!((receiver.received().len(), receiver.most_at_once()), (10, 4));
    assert_eq!(subscription(&office).await.version, 1, "success is not written to the subscription");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_url_is_called_at_once() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let (one, two) = (message(&office, 1).await, message(&office, 2).await);
    hangs(&receiver);
    let fast = office.another_app(|parts| parts.config.timeouts.quick_answer = MOMENT);
    send(&fast, Lane::Fast, &[&one]).await;
    assert_eq!(breakers(&office).await[0]["state"], "slow");
    let better = Receiver::start().await;
    crate::webhooks::sign_up(&office, &better.url, &["Claims"]).await;
    assert_eq!(breakers(&office).await, json!([]));
    send(&office.app, Lane::Fast, &[&two]).await;
    assert_eq!(better.received().len(), 1);
}
