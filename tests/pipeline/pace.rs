//! Endpoints that answer 429: the pace limits calls, no event is lost, and waiting uses up no
//! attempts.

use std::time::Duration;

use serde_json::json;
use shared::{
    app::App,
    control::subscriptions::{LastError, Slots, Subscription},
    domain::{delivery::DeliveryStatus, ids::PartnerId, pace::Slot, webhook_event::EventMessage},
};
use webhook_fanout::Lane;

use super::{
    delivery, event,
    fanout::{message, office_with, subscription},
};
use crate::office::{Answer, Office, Receiver, store_behind};

async fn send(office: &Office, lane: Lane, bodies: &[&str]) {
    let response = webhook_fanout::deliver(&office.app, lane, event(bodies)).await;
    assert!(response.batch_item_failures.is_empty());
}

fn rejection(after: &str) -> Answer {
    Answer::status(429).header("retry-after", after)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_429_pauses_the_endpoint_and_uses_no_attempt() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let (one, two) = (message(&office, 1).await, message(&office, 2).await);
    receiver.then(rejection("120"));
    send(&office, Lane::Fast, &[&one]).await;
    let waiting = delivery(&office, 1).await;
    assert_eq!((waiting.status, waiting.attempts, waiting.attempts_made()), (DeliveryStatus::Retrying, 0, 1));
    assert_eq!(waiting.next_attempt_at, Some("2026-03-09T12:02:00Z".parse().unwrap()));
    let shown = office.get("/v1/webhooks").await;
    let data = &shown.expect(200)["data"];
    assert_eq!((&data["lane"], &data["heldUntil"]), (&json!("slow"), &json!("2026-03-09T12:02:00Z")));
    assert_eq!(data["lastError"]["statusCode"], 429);
    assert!(data["rate"].as_f64().unwrap() >= 2.0, "{data}");
    assert_eq!(data["lastSuccessAt"], json!(null));
    let monitor = office.admin("GET", "/v1/admin/webhooks/monitor", None).await;
    assert_eq!(monitor.expect(200)["breakers"][0]["state"], "held");

    // In either lane, another event finds the endpoint held, and waits behind the first.
    for lane in [Lane::Fast, Lane::Slow] {
        send(&office, lane, &[&two]).await;
    }
    assert_eq!(receiver.received().len(), 1, "a held endpoint gets no call");
    let second = delivery(&office, 2).await;
    assert_eq!((second.status, second.attempts_made()), (DeliveryStatus::Pending, 0));
    assert!(waiting.next_attempt_at < second.next_attempt_at, "{:?}", second.next_attempt_at);

    // Afterwards, each event has its slot.
    let slow = super::queued(&office).await;
    let mut slots: Vec<(i64, &str)> = slow
        .iter()
        .filter_map(|body| {
            let message: serde_json::Value = serde_json::from_str(body).unwrap();
            Some((message["slot"]["at"].as_i64()?, body.as_str()))
        })
        .collect();
    slots.sort_unstable();
    assert_eq!(slots.len(), 2, "{slow:?}");
    office.set_time("2026-03-09T12:02:00Z");
    send(&office, Lane::Slow, &[slots[0].1, slots[1].1]).await;
    for log_id in [1, 2] {
        let done = delivery(&office, log_id).await;
        assert_eq!((done.status, done.attempts), (DeliveryStatus::Delivered, 1), "event {log_id}");
    }
    let counts = office.app.control.delivery_counts(office.db.practicepass()).await.unwrap();
    assert_eq!((counts.total, counts.failed), (2, 0));
    let monitor = office.admin("GET", "/v1/admin/webhooks/monitor", None).await;
    let breaker = &monitor.expect(200)["breakers"][0];
    assert_eq!((&breaker["state"], &breaker["failingSince"]), (&json!("paced"), &json!(null)));
    assert!(breaker["rate"].as_f64().unwrap() >= 2.0);
    let shown = office.get("/v1/webhooks").await;
    assert_eq!(shown.expect(200)["data"]["lastSuccessAt"], "2026-03-09T12:02:00Z");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retry_after_is_accepted_in_every_form_and_capped() {
    for (after, until) in [
        ("30", "2026-03-09T12:00:30Z"),
        ("Mon, 09 Mar 2026 12:10:00 GMT", "2026-03-09T12:10:00Z"),
        ("99999999999999999999999", "2026-03-10T00:00:00Z"),
        ("86400", "2026-03-10T00:00:00Z"),
        ("soon", "2026-03-09T12:00:05Z"),
        ("-1", "2026-03-09T12:00:05Z"),
    ] {
        let receiver = Receiver::start().await;
        let office = office_with(&receiver).await;
        let one = message(&office, 1).await;
        receiver.then(rejection(after));
        send(&office, Lane::Fast, &[&one]).await;
        let shown = office.get("/v1/webhooks").await;
        assert_eq!(shown.expect(200)["data"]["heldUntil"], until, "{after}");
        assert_eq!(delivery(&office, 1).await.next_attempt_at, Some(until.parse().unwrap()), "{after}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_rejections_lower_the_rate_once() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let mut bodies = Vec::new();
    for log_id in 1..=10 {
        bodies.push(message(&office, log_id).await);
    }
    receiver.otherwise(rejection("60"));
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    send(&office, Lane::Fast, &bodies).await;
    let called = receiver.received().len();
    assert!((1..=4).contains(&called), "{called} calls: the rest of the batch sees the first answer");
    let pace = subscription(&office).await.breaker.pace(office.app.clock.now()).cloned().unwrap();
    assert_eq!((pace.series, pace.base), (1, 2_000));
    let waiting: Vec<_> = office.queue.take_slow().await;
    assert_eq!(waiting.len() + called, 10, "the other events wait in the slow lane");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_only_gets_429_fails_in_the_end() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let one = message(&office, 1).await;
    receiver.otherwise(rejection("1"));
    send(&office, Lane::Fast, &[&one]).await;
    assert_eq!(delivery(&office, 1).await.attempts, 0);
    // Older than its whole schedule.
    office.set_time("2026-03-10T16:00:00Z");
    send(&office, Lane::Slow, &[&one]).await;
    assert_eq!((delivery(&office, 1).await.attempts, delivery(&office, 1).await.attempts_made()), (1, 2));
    office.set_time("2026-03-14T12:00:01Z");
    let two = message(&office, 2).await;
    send(&office, Lane::Slow, &[&two]).await;
    assert!(!subscription(&office).await.is_active(), "five days of nothing but failures");
}

/// Rejects a call of the endpoint at `now` in this slot; it asks for these seconds.
async fn reject(office: &Office, slot: Option<&Slot>, seconds: u64) {
    let mut known = subscription(office).await;
    let error = LastError { at: office.app.clock.now(), status_code: Some(429), message: None };
    let asked = Some(Duration::from_secs(seconds));
    office.app.control.note_rejection(&mut known, slot, asked, error).await.unwrap();
}

async fn take(office: &Office, count: usize) -> Vec<Slot> {
    let (mut known, now) = (subscription(office).await, office.app.clock.now());
    let taken = office.app.control.take_slots(&mut known, count, now).await.unwrap();
    let Slots::Taken(slots) = taken else { panic!("{taken:?}") };
    slots
}

fn in_slot(body: &str, slot: Slot) -> String {
    let message: EventMessage = serde_json::from_str(body).unwrap();
    serde_json::to_string(&message.in_slot(Some(slot))).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_is_void_while_the_endpoint_is_held_for_longer_than_was_known() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let one = message(&office, 1).await;
    reject(&office, None, 1).await;
    let slot = take(&office, 1).await[0];
    // Another call of the same burst was rejected, and asked for a minute.
    reject(&office, None, 60).await;
    let pace = subscription(&office).await.breaker.pace(office.app.clock.now()).cloned().unwrap();
    assert_eq!(pace.series, slot.series, "the rate was lowered for the first of them");
    office.set_time("2026-03-09T12:00:01Z");
    send(&office, Lane::Slow, &[&in_slot(&one, slot)]).await;
    assert_eq!(receiver.received().len(), 0);
    let next = delivery(&office, 1).await.next_attempt_at.unwrap();
    assert!(next >= "2026-03-09T12:01:00Z".parse().unwrap(), "{next}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_is_void_after_a_rejection_that_began_another_series() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let one = message(&office, 1).await;
    reject(&office, None, 1).await;
    let slots = take(&office, 10).await;
    office.set_time("2026-03-09T12:00:02Z");
    reject(&office, Some(&slots[1]), 1).await;
    office.set_time("2026-03-09T12:00:03.2Z");
    let void = slots.into_iter().find(|it| it.instant() >= office.app.clock.now()).unwrap();
    // Others are ahead of it in the new series.
    take(&office, 60).await;
    send(&office, Lane::Slow, &[&in_slot(&one, void)]).await;
    assert_eq!(receiver.received().len(), 0);
    let next = delivery(&office, 1).await.next_attempt_at.unwrap();
    assert!(next > void.instant(), "it has the last slot: {next}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_accepts_the_highest_rate_is_no_longer_limited() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let (one, two) = (message(&office, 1).await, message(&office, 2).await);
    reject(&office, None, 1).await;
    let slots = take(&office, 400).await;
    let fastest = *slots.iter().find(|it| it.is_fastest()).unwrap();
    office.set_time(&slots[0].instant().to_string());
    send(&office, Lane::Slow, &[&in_slot(&one, slots[0])]).await;
    let paced = subscription(&office).await.breaker.pace(office.app.clock.now()).is_some();
    assert!(paced, "a call at a low rate lifts nothing");
    office.set_time(&fastest.instant().to_string());
    send(&office, Lane::Slow, &[&in_slot(&two, fastest)]).await;
    assert_eq!(receiver.received().len(), 2);
    assert_eq!(subscription(&office).await.breaker.pace(office.app.clock.now()), None);
    let monitor = office.admin("GET", "/v1/admin/webhooks/monitor", None).await;
    assert_eq!(monitor.expect(200)["breakers"], json!([]));
}

#[tokio::test]
async fn an_accepted_call_of_an_earlier_series_lifts_no_pace() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    reject(&office, None, 1).await;
    let slots = take(&office, 400).await;
    let fastest = slots.iter().find(|it| it.is_fastest()).unwrap();
    let mut before = subscription(&office).await;
    // Meanwhile, the endpoint rejects a call.
    reject(&office, Some(&slots[1]), 1).await;
    office.app.control.lift_pace(&mut before, fastest).await.unwrap();
    let pace = |it: Subscription| it.breaker.pace(office.app.clock.now()).map(|it| it.series);
    assert_eq!((pace(subscription(&office).await), pace(before)), (Some(2), Some(1)));
}

/// Returns the app of a process before whose every try to take a slot another process takes one.
async fn always_overtaken(office: &Office) -> App {
    let (other, practicepass) = (office.app.clone(), office.db.practicepass().clone());
    let store = store_behind(office, move |call| {
        let (other, practicepass) = (other.clone(), practicepass.clone());
        async move {
            if call.body.contains("SET paceNext") {
                let partner = PartnerId("prt_acme".into());
                let mut known = other.control.subscription(&practicepass, &partner).await.unwrap().unwrap();
                other.control.take_slots(&mut known, 1, other.clock.now()).await.unwrap();
            }
            true
        }
    })
    .await;
    office.another_app(|parts| parts.control = store)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_429_is_recorded_although_others_take_every_slot() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let one = message(&office, 1).await;
    let app = always_overtaken(&office).await;
    receiver.then(rejection("60"));
    let response = webhook_fanout::deliver(&app, Lane::Slow, event(&[&one])).await;
    assert!(response.batch_item_failures.is_empty(), "the message would return after six minutes");
    let waiting = delivery(&office, 1).await;
    assert_eq!((waiting.status, waiting.attempts, waiting.attempts_made()), (DeliveryStatus::Retrying, 0, 1));
    assert_eq!(waiting.next_attempt_at, Some("2026-03-09T12:01:00Z".parse().unwrap()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_waits_in_line_while_others_take_every_slot() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let one = message(&office, 1).await;
    reject(&office, None, 60).await;
    let app = always_overtaken(&office).await;
    let response = webhook_fanout::deliver(&app, Lane::Slow, event(&[&one])).await;
    assert!(response.batch_item_failures.is_empty(), "five such failures make it a dead letter");
    let waiting = delivery(&office, 1).await;
    assert_eq!((waiting.status, waiting.attempts_made()), (DeliveryStatus::Pending, 0));
    assert!(waiting.next_attempt_at >= Some("2026-03-09T12:01:00Z".parse().unwrap()), "{waiting:?}");
    assert_eq!(receiver.received().len(), 0);
}
