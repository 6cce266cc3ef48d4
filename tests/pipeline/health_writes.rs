//! A store that rejects the writes about an endpoint's health.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use jiff::SignedDuration;
use serde_json::json;
use shared::{
    control::{
        Store,
        subscriptions::{Failed, LastError, Slots, Subscription},
    },
    domain::delivery::DeliveryStatus,
};
use webhook_fanout::Lane;

use super::{
    delivery, event,
    fanout::{attempt, message, office_with, subscription},
};
use crate::office::{Answer, Office, Receiver, ends, store_behind, store_that_throttles};

/// Returns a store that rejects only records of a success in the subscription.
async fn forgets_successes(office: &Office) -> Store {
    store_behind(office, async |call| {
        !(call.operation == "UpdateItem" && call.body.contains("SET lastSuccessAt"))
    })
    .await
}

#[tokio::test]
async fn a_process_that_changes_an_endpoints_health_knows_the_record() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let (control, mut known) = (&office.app.control, subscription(&office).await);
    let minute = SignedDuration::from_mins(1);
    let (mut now, mut wrong) = (office.app.clock.now(), Vec::new());
    for change in [
        "success",
        "failure",
        "open",
        "probe",
        "recovered",
        "slow",
        "quick",
        "quick",
        "slow",
        "quick",
        "not quick",
        "quick",
        "quick",
        "quick",
        "quick",
        "quick",
        "rejected",
        "slots",
        "recovered",
        "lifted",
    ] {
        now += minute;
        let error = LastError { at: now, status_code: Some(500), message: None };
        match change {
            "success" => control.touch_success(&mut known, now).await.unwrap(),
            "failure" => control.note_failure(&mut known, Failed::Note, error).await.unwrap(),
            "open" => control.note_failure(&mut known, Failed::Open(None), error).await.unwrap(),
            "probe" => assert!(control.take_probe(&mut known, now).await.unwrap()),
            "recovered" => control.note_success(&mut known, now).await.unwrap(),
            "slow" => control.note_slow(&mut known, now).await.unwrap(),
            "quick" => control.note_speed(&mut known, true, now).await.unwrap(),
            "not quick" => control.note_speed(&mut known, false, now).await.unwrap(),
            "rejected" => control.note_rejection(&mut known, None, None, error).await.unwrap(),
            "slots" => drop(control.take_slots(&mut known, 400, now).await.unwrap()),
            "lifted" => {
                let Slots::Taken(slots) = control.take_slots(&mut known, 1, now).await.unwrap() else {
                    panic!()
                };
                control.lift_pace(&mut known, &slots[0]).await.unwrap();
            }
            _ => panic!("{change}"),
        }
        let stored = subscription(&office).await;
        let health = |it: &Subscription| (it.breaker.clone(), it.failing_since, it.last.clone());
        if health(&known) != health(&stored) {
            wrong.push(format!("after {change}: {:?}, stored {:?}", health(&known), health(&stored)));
        }
        let shown = stored.last.last_success_at;
        if change == "recovered" && (stored.breaker.is_open(), shown) != (false, Some(now)) {
            wrong.push(format!("after {change} at {now}: {shown:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(!known.breaker.is_slow() && known.breaker.pace(now).is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivered_event_is_not_sent_again_even_if_the_success_is_unrecorded() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let store = forgets_successes(&office).await;
    let app = office.another_app(|parts| parts.control = store);
    // The endpoint's first success, and the first after a failure.
    for log_id in [1, 2] {
        let body = message(&office, log_id).await;
        let before = receiver.received().len();
        for _ in 0..2 {
            let response = webhook_fanout::deliver(&app, Lane::Fast, event(&[&body])).await;
            assert!(response.batch_item_failures.is_empty(), "event {log_id} stays in the queue");
        }
        assert_eq!(receiver.received().len(), before + 1, "event {log_id}");
        let done = delivery(&office, log_id).await;
        assert_eq!((done.status, done.attempts), (DeliveryStatus::Delivered, 1));
        if log_id == 1 {
            let failed = message(&office, 3).await;
            receiver.then(Answer::status(500));
            attempt(&office, &failed, 1).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivered_retry_or_test_is_reported_as_a_success_even_if_unrecorded() {
    let receiver = Receiver::start().await;
    let mut office = office_with(&receiver).await;
    let body = message(&office, 1).await;
    receiver.then(Answer::status(500));
    attempt(&office, &body, 1).await;
    let source = delivery(&office, 1).await;
    let store = forgets_successes(&office).await;
    let app = office.another_app(|parts| parts.control = store);
    office.answer_with(app);
    let retry = format!("/v1/webhooks/deliveries/{}/retry", source.id);
    for path in ["/v1/webhooks/test", &retry] {
        let reply = office.post(path, &json!({})).await;
        assert_eq!(reply.expect(200)["data"]["success"], true, "{path}");
    }
    assert_eq!(delivery(&office, 1).await.status, DeliveryStatus::Cancelled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_is_attempted_again_if_the_endpoints_health_is_unrecorded() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let store = store_behind(&office, async |call| !call.body.contains("SET failingSince")).await;
    let app = office.another_app(|parts| parts.control = store);
    let body = message(&office, 1).await;
    receiver.then(Answer::status(500));
    let response = webhook_fanout::deliver(&app, Lane::Fast, event(&[&body])).await;
    assert_eq!(response.batch_item_failures.len(), 1);
    assert_eq!(delivery(&office, 1).await.status, DeliveryStatus::Pending, "its outcome is not written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_hangs_after_a_call_does_not_outlast_the_claim() {
    // In the last case, the other writes are done within the limit.
    for (status, hangs, limit, recorded) in [
        (200, "SET lastSuccessAt", 200, true),
        (500, "SET failingSince", 200, false),
        (429, "SET failingSince", 200, false),
        (429, "SET paceNext", 5_000, true),
    ] {
        let receiver = Receiver::start().await;
        let office = office_with(&receiver).await;
        let store = store_behind(&office, move |call| async move {
            if call.body.contains(hangs) {
                std::future::pending::<()>().await;
            }
            true
        })
        .await;
        let app = office.another_app(|parts| {
            parts.control = store;
            parts.config.timeouts.endpoint_health = Duration::from_millis(limit);
        });
        let body = message(&office, 1).await;
        receiver.then(Answer::status(status));
        let delivering = webhook_fanout::deliver(&app, Lane::Slow, event(&[&body]));
        let response = ends("the attempt", delivering).await;
        assert_eq!(response.batch_item_failures.is_empty(), recorded, "{status} {hangs}");
        assert_eq!(delivery(&office, 1).await.attempts_made(), u32::from(recorded), "{status} {hangs}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_store_does_not_make_a_quick_endpoint_a_slow_one() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let store = store_behind(&office, async |call| {
        if call.operation == "TransactWriteItems" {
            // The endpoint has answered.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        true
    })
    .await;
    let app = office.another_app(|parts| {
        parts.control = store;
        parts.config.timeouts.quick_answer = Duration::from_millis(500);
    });
    let body = message(&office, 1).await;
    let response = webhook_fanout::deliver(&app, Lane::Fast, event(&[&body])).await;
    assert!(response.batch_item_failures.is_empty());
    app.background.ended().await;
    assert_eq!(delivery(&office, 1).await.status, DeliveryStatus::Delivered);
    assert!(!subscription(&office).await.breaker.is_slow(), "its next event would go to the slow lane");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_not_sent_again_because_its_outcome_was_throttled_for_some_seconds() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = tries.clone();
    let store = store_that_throttles(&office, move |call| {
        let throttled = call.operation == "TransactWriteItems" && counted.fetch_add(1, Ordering::Relaxed) < 8;
        async move { !throttled }
    })
    .await;
    let app = office.another_app(|parts| parts.control = store);
    let body = message(&office, 1).await;
    let response = webhook_fanout::deliver(&app, Lane::Fast, event(&[&body])).await;
    assert!(response.batch_item_failures.is_empty(), "it would be sent again in six minutes");
    assert_eq!(tries.load(Ordering::Relaxed), 9);
    assert_eq!(delivery(&office, 1).await.status, DeliveryStatus::Delivered);
    assert_eq!(receiver.received().len(), 1);
}
