//! Claims and outcomes: whose response was lost, and which end before the claim does.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use jiff::{SignedDuration, Timestamp};
use shared::{
    control::{
        Store,
        deliveries::{Attempt, Claimed, CountChange, Delivery},
    },
    domain::{delivery::DeliveryStatus, webhook_event::EventMessage},
};

use super::{
    delivery, delivery_key,
    fanout::{message, office_with},
};
use crate::office::{
    Office, Receiver, eventually, store_behind, store_that_loses_a_response, store_that_throttles,
};

/// Claims the first attempt at an event.
async fn claim(office: &Office, store: &Store, body: &str) -> Box<Delivery> {
    let event: EventMessage = serde_json::from_str(body).unwrap();
    let (id, now) = (store.next_delivery_id().await.unwrap(), office.app.clock.now());
    let claimed = store.claim_first(Delivery::of_event(&event, id, now), now).await.unwrap();
    let Claimed::Yes(delivery) = claimed else { panic!("it would wait for itself: {claimed:?}") };
    delivery
}

fn delivered(mut delivery: Box<Delivery>, at: Timestamp) -> Delivery {
    let attempt = Attempt {
        at,
        status_code: Some(200),
        duration_ms: Some(1),
        error_message: None,
        answer: String::new(),
    };
    delivery.record(attempt, DeliveryStatus::Delivered, None);
    *delivery
}

/// The ends of the keys of events 1 and 2.
const KEYS: [&str; 2] = ["D#DemoOffice#1#1\"", "D#DemoOffice#1#2\""];
const ONE: CountChange = CountChange { total: 1, failed: 0 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_claim_whose_response_was_lost_is_the_callers() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let body = message(&office, 1).await;
    let store = store_that_loses_a_response(&office, |call| call.body.contains("claimedUntil")).await;
    claim(&office, &store, &body).await;
    let event: EventMessage = serde_json::from_str(&body).unwrap();
    let (id, now) = (store.next_delivery_id().await.unwrap(), office.app.clock.now());
    let other = Delivery::of_event(&event, id, now);
    assert!(matches!(store.claim_first(other, now).await.unwrap(), Claimed::Busy(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_claim_whose_response_was_lost_is_the_callers() {
    for put_back in [true, false] {
        let receiver = Receiver::start().await;
        let office = office_with(&receiver).await;
        let first = claim(&office, &office.app.control, &message(&office, 1).await).await;
        if put_back {
            office.app.control.put_back(&first, office.app.clock.now()).await.unwrap();
        } else {
            // Its process died.
            office.set_time("2026-03-09T12:02:00Z");
        }
        let (key, now) = (delivery_key(&office, 1), office.app.clock.now());
        let store = store_that_loses_a_response(&office, |call| call.body.contains("SET claimedUntil")).await;
        let claimed = store.claim_again(&key, 1, 7, now).await.unwrap();
        assert!(matches!(claimed, Claimed::Yes(_)), "it would wait for itself: {claimed:?}");
        // A process that claims in the same millisecond.
        let other = store.claim_again(&key, 1, 8, now).await.unwrap();
        assert!(matches!(other, Claimed::Busy(_)), "{other:?}");
        assert_eq!(delivery(&office, 1).await.attempts_made(), u32::from(!put_back));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_is_not_taken_for_that_of_another_process_in_the_same_millisecond() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let first = claim(&office, &office.app.control, &message(&office, 1).await).await;
    let (key, now) = (delivery_key(&office, 1), office.app.clock.now());
    office.app.control.put_back(&first, now).await.unwrap();
    let (other, overtaken) = (office.app.clone(), key.clone());
    let store = store_behind(&office, move |call| {
        let (other, key) = (other.clone(), overtaken.clone());
        async move {
            if call.body.contains("SET claimedUntil") {
                let claimed = other.control.claim_again(&key, 1, 7, now).await.unwrap();
                assert!(matches!(claimed, Claimed::Yes(_)), "{claimed:?}");
            }
            true
        }
    })
    .await;
    let claimed = store.claim_again(&key, 1, 8, now).await.unwrap();
    assert!(matches!(claimed, Claimed::Busy(_)), "both would make the attempt: {claimed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_whose_response_was_lost_is_recorded_once() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let now = office.app.clock.now();
    let store = store_that_loses_a_response(&office, |call| call.operation == "TransactWriteItems").await;
    let ended = delivered(claim(&office, &store, &message(&office, 1).await).await, now);
    store.record_outcome(ended, ONE, 0, now).await.unwrap();
    assert_eq!(delivery(&office, 1).await.status, DeliveryStatus::Delivered);
    assert_eq!(store.delivery_counts(office.db.practicepass()).await.unwrap().total, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_is_not_tried_again_when_its_claim_is_nearly_over() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = tries.clone();
    let store = store_that_throttles(&office, move |call| {
        let transaction = call.operation == "TransactWriteItems";
        counted.fetch_add(usize::from(transaction), Ordering::Relaxed);
        async move { !transaction }
    })
    .await;
    let claimed = office.app.clock.now();
    let ended = delivered(claim(&office, &store, &message(&office, 1).await).await, claimed);
    let late = claimed + SignedDuration::from_secs(28);
    assert!(store.record_outcome(ended, ONE, 0, late).await.is_err());
    assert_eq!(tries.load(Ordering::Relaxed), 1, "another process may claim the delivery in 2 s");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_does_not_wait_until_an_earlier_one_is_no_longer_throttled() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = tries.clone();
    // Throttled until both outcomes are in one transaction.
    let store = store_that_throttles(&office, move |call| {
        let transaction = call.operation == "TransactWriteItems";
        counted.fetch_add(usize::from(transaction), Ordering::Relaxed);
        async move { !transaction || KEYS.iter().all(|key| call.body.contains(key)) }
    })
    .await;
    let now = office.app.clock.now();
    let one = delivered(claim(&office, &store, &message(&office, 1).await).await, now);
    let two = delivered(claim(&office, &store, &message(&office, 2).await).await, now);
    let second = async {
        eventually("the first try", async || (tries.load(Ordering::Relaxed) > 0).then_some(())).await;
        store.record_outcome(two, ONE, 0, now).await
    };
    let (one, two) = tokio::join!(store.record_outcome(one, ONE, 0, now), second);
    assert!(one.is_ok() && two.is_ok(), "{one:?} {two:?}");
}
