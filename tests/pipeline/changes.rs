//! Deletion, a new sign-up and another URL while deliveries are in progress.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use futures::{
    future::{Either, select},
    poll,
};
use shared::{control::Store, domain::ids::DeliveryId};
use webhook_fanout::Lane;

use super::{
    deliver, event,
    fanout::{message, office_with},
    poll as poll_once, write,
};
use crate::{
    office::{Answer, Engine, Gate, Office, Receiver, Reply, eventually, store_behind},
    webhooks::sign_up,
};

/// Concurrent deliveries to one endpoint.
const PLACES: usize = 4;

/// Makes eight deliveries, four of them in progress during `change`. Returns how many had arrived
/// when `change` returned, and how many arrived in total.
async fn calls_around(office: &Office, receiver: &Receiver, change: impl Future<Output = ()>) -> [usize; 2] {
    let gate = Gate::closed();
    receiver.otherwise(Answer::status(200).behind(&gate));
    let mut bodies = Vec::new();
    for log_id in 1..=8 {
        bodies.push(message(office, log_id).await);
    }
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    // A cached subscription expires at once.
    let app = office.another_app(|parts| parts.config.timeouts.subscription_read = Duration::ZERO);
    let delivering = webhook_fanout::deliver(&app, Lane::Fast, event(&bodies));
    let changing = async {
        eventually("four calls", async || (receiver.received().len() == PLACES).then_some(())).await;
        change.await;
        let answered = receiver.received().len();
        gate.open();
        answered
    };
    let (response, answered) = tokio::join!(delivering, changing);
    assert!(response.batch_item_failures.is_empty());
    [answered, receiver.received().len()]
}

#[tokio::test]
async fn deliveries_that_wait_during_a_url_change_go_to_the_new_url() {
    let (old, new) = (Receiver::start().await, Receiver::start().await);
    let office = office_with(&old).await;
    let change = async {
        sign_up(&office, &new.url, &["Claims"]).await;
    };
    assert_eq!(Box::pin(calls_around(&office, &old, change)).await, [PLACES; 2]);
    assert_eq!(new.received().len(), 8 - PLACES);
}

#[tokio::test]
async fn deliveries_that_wait_during_a_deletion_are_not_sent() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let change = async {
        office.delete("/v1/webhooks").await.expect(200);
    };
    assert_eq!(Box::pin(calls_around(&office, &receiver, change)).await, [PLACES; 2]);
}

/// Returns a store that counts first claims, and writes them when the gate opens.
async fn store_with_a_gate(office: &Office, claims: &Arc<AtomicI64>, gate: &Gate) -> Store {
    let (counted, until) = (claims.clone(), gate.clone());
    store_behind(office, move |call| {
        let (counted, until) = (counted.clone(), until.clone());
        async move {
            if call.operation == "PutItem" && call.body.contains("claimedUntil") {
                counted.fetch_add(1, Ordering::Relaxed);
                until.pass().await;
            }
            true
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_whose_claim_outlasts_a_change_is_sent_as_the_change_requires() {
    for (what, expected) in [("none", [1, 0]), ("deleted", [0, 0]), ("paused", [0, 0]), ("moved", [0, 1])] {
        let (receiver, other) = (Receiver::start().await, Receiver::start().await);
        let office = office_with(&receiver).await;
        let body = message(&office, 1).await;
        let (claims, gate) = (Arc::new(AtomicI64::new(0)), Gate::closed());
        let store = store_with_a_gate(&office, &claims, &gate).await;
        let app = office.another_app(|parts| parts.control = store);
        let delivering = webhook_fanout::deliver(&app, Lane::Slow, event(&[&body]));
        let changing = async {
            eventually("the claim", async || (claims.load(Ordering::Relaxed) > 0).then_some(())).await;
            change(&office, &other, what).await;
            // Longer than a claim may take, and shorter than the store's timeout.
            tokio::time::sleep(Duration::from_millis(600)).await;
            gate.open();
        };
        let (response, ()) = tokio::join!(delivering, changing);
        assert!(response.batch_item_failures.is_empty(), "{what}");
        // Its message may have returned to the queue, to be decided again.
        assert_eq!(deliver(&office).await, 0, "{what}");
        assert_eq!([receiver.received().len(), other.received().len()], expected, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_could_outlast_its_claim_does_not_begin() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let body = message(&office, 1).await;
    let (claims, gate) = (Arc::new(AtomicI64::new(0)), Gate::closed());
    let store = store_with_a_gate(&office, &claims, &gate).await;
    let app = office.another_app(|parts| parts.control = store);
    let delivering = webhook_fanout::deliver(&app, Lane::Slow, event(&[&body]));
    let changing = async {
        eventually("the claim", async || (claims.load(Ordering::Relaxed) > 0).then_some(())).await;
        office.set_time("2026-03-09T12:00:06Z");
        gate.open();
    };
    let (response, ()) = tokio::join!(delivering, changing);
    assert!(response.batch_item_failures.is_empty());
    assert_eq!(receiver.received().len(), 0, "another process could repeat it before its outcome");
    assert_eq!(deliver(&office).await, 0);
    assert_eq!(receiver.received().len(), 1);
}

/// Makes the change while a process claims a delivery.
async fn change(office: &Office, other: &Receiver, change: &str) {
    match change {
        "none" => (),
        "deleted" => drop(office.delete("/v1/webhooks").await.expect(200)),
        "paused" => drop(office.admin("POST", "/v1/admin/webhooks/1/pause", None).await.expect(200)),
        "moved" => drop(sign_up(office, &other.url, &["Claims"]).await),
        "access ended" => {
            let body = serde_json::json!({ "status": "suspended" });
            office.admin("PATCH", "/v1/admin/partners/prt_acme", Some(&body)).await.expect(200);
        }
        // The claim was written so slowly that it ends before an attempt would.
        "late" => office.set_time("2026-03-09T12:00:06Z"),
        _ => panic!("{change}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_manually_once_a_change_was_answered() {
    let mut wrong = Vec::new();
    for path in ["/v1/webhooks/test", "/v1/webhooks/deliveries/1/retry", "/v1/admin/webhooks/retry/1"] {
        for what in ["none", "deleted", "paused", "moved", "access ended", "late"] {
            let (receiver, other) = (Receiver::start().await, Receiver::start().await);
            let mut office = office_with(&receiver).await;
            let body = message(&office, 1).await;
            let response = webhook_fanout::deliver(&office.app, Lane::Slow, event(&[&body])).await;
            assert!(response.batch_item_failures.is_empty());
            let (claims, gate) = (Arc::new(AtomicI64::new(0)), Gate::closed());
            let store = store_with_a_gate(&office, &claims, &gate).await;
            let app = office.another_app(|parts| parts.control = store);
            office.answer_with(app);
            let sending = async {
                if path.contains("admin") {
                    return office.admin("POST", path, None).await;
                }
                office.post(path, &serde_json::json!({})).await
            };
            let changing = async {
                eventually("the claim", async || (claims.load(Ordering::Relaxed) > 0).then_some(())).await;
                change(&office, &other, what).await;
                gate.open();
            };
            let (reply, ()) = tokio::join!(sending, changing);
            let answer = &reply.expect(200)["data"];
            let id = answer["deliveryId"].as_i64().or(answer["retryDeliveryId"].as_i64()).unwrap();
            let ended = office.app.control.delivery_by_id(DeliveryId(id)).await.unwrap().unwrap();
            let calls = [receiver.received().len() - 1, other.received().len()];
            let explained = ended.error_message.as_ref().is_some_and(|it| it.starts_with("not sent: "));
            let found = (calls, answer["success"] == true, ended.attempts_made(), explained);
            let expected = if what == "none" { ([1, 0], true, 1, false) } else { ([0, 0], false, 0, true) };
            if found != expected || ended.awaits_attempt() {
                wrong.push(format!("{path} {what}: {found:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Fails unless the change is stored before its caller gets an answer, so that every delivery sees
/// it.
async fn is_answered_later(office: &Office, change: impl Future<Output = Reply>) {
    let before = super::fanout::subscription(office).await;
    let partner = before.partner_id.clone();
    let seen = eventually("the change", async || {
        let now = office.app.control.subscription(office.db.practicepass(), &partner).await.unwrap();
        now.is_none_or(|now| now.hook_url != before.hook_url).then_some(())
    });
    let (change, seen) = (pin!(change), pin!(seen));
    let Either::Right(((), mut change)) = select(change, seen).await else { panic!("answered at once") };
    for _ in 0..5 {
        office.admin("GET", "/v1/admin/webhooks/monitor", None).await.expect(200);
        assert!(poll!(&mut change).is_pending(), "answered at once");
    }
}

#[tokio::test]
async fn a_change_returns_after_earlier_deliveries_have_started() {
    let receiver = Receiver::start().await;
    let mut office = office_with(&receiver).await;
    let app = office.another_app(|parts| parts.config.timeouts.subscription_change = Duration::from_hours(1));
    office.answer_with(app);
    let request_body =
        serde_json::json!({ "hookUrl": "https://partner.example.com/hook", "scopes": ["Claims"] });
    Box::pin(is_answered_later(&office, office.post("/v1/webhooks/signup", &request_body))).await;
    Box::pin(is_answered_later(&office, office.delete("/v1/webhooks"))).await;
}

/// Writes, polls and delivers events as fast as possible, until stopped.
async fn work(office: &Office, written: &AtomicI64, done: &AtomicBool) {
    let round = async || {
        poll_once(office).await;
        deliver(office).await;
    };
    while !done.load(Ordering::Relaxed) {
        let writing = async {
            for _ in 0..3 {
                let id = written.load(Ordering::Relaxed) + 1;
                write(office, id, "claims").await;
                written.store(id, Ordering::Relaxed);
            }
        };
        tokio::join!(writing, round());
    }
    round().await;
}

fn log_ids(receiver: &Receiver) -> Vec<i64> {
    receiver.received().iter().map(|it| it.json()["logId"].as_i64().unwrap()).collect()
}

fn missing(receivers: &[&Receiver], ids: std::ops::RangeInclusive<i64>) -> Vec<i64> {
    let came: Vec<i64> = receivers.iter().flat_map(|it| log_ids(it)).collect();
    ids.filter(|id| !came.contains(id)).collect()
}

/// Waits until the endpoint is being called: one that is never called proves nothing.
async fn is_called(receiver: &Receiver) {
    eventually("ten calls", async || (receiver.received().len() >= 10).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_event_is_lost_while_the_url_changes() {
    let office = Office::open(Engine::Sqlite).await;
    let mut current = Receiver::start().await;
    sign_up(&office, &current.url, &["Claims"]).await;
    let (written, done) = (AtomicI64::new(0), AtomicBool::new(false));
    let changes = async {
        let mut replaced = Vec::new();
        for _ in 0..5 {
            is_called(&current).await;
            let new = Receiver::start().await;
            sign_up(&office, &new.url, &["Claims"]).await;
            replaced.push(std::mem::replace(&mut current, new));
        }
        is_called(&current).await;
        done.store(true, Ordering::Relaxed);
        replaced
    };
    let ((), replaced) = tokio::join!(work(&office, &written, &done), changes);
    let all: Vec<&Receiver> = replaced.iter().chain([&current]).collect();
    assert_eq!(missing(&all, 1..=written.into_inner()), Vec::<i64>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_up_after_a_deletion_misses_no_event() {
    let office = Office::open(Engine::Sqlite).await;
    let mut current = Receiver::start().await;
    sign_up(&office, &current.url, &["Claims"]).await;
    let (written, done) = (AtomicI64::new(0), AtomicBool::new(false));
    let events_until = async |last: i64| {
        let reached = async || (written.load(Ordering::Relaxed) >= last).then_some(());
        eventually("further events", reached).await;
    };
    let changes = async {
        let mut from = 0;
        for _ in 0..4 {
            is_called(&current).await;
            office.delete("/v1/webhooks").await.expect(200);
            // No subscription covers these.
            events_until(written.load(Ordering::Relaxed) + 5).await;
            current = Receiver::start().await;
            sign_up(&office, &current.url, &["Claims"]).await;
            // The row after this one may be in progress.
            from = written.load(Ordering::Relaxed) + 2;
        }
        events_until(from + 10).await;
        done.store(true, Ordering::Relaxed);
        from
    };
    let ((), from) = tokio::join!(work(&office, &written, &done), changes);
    assert_eq!(missing(&[&current], from..=written.into_inner()), Vec::<i64>::new());
}
