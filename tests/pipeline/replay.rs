//! Replays of past events by an operator.

use jiff::Timestamp;
use serde_json::json;
use shared::{control::deliveries::Delivery, domain::delivery::DeliveryStatus};

use super::{
    deliver,
    fanout::{attempt, message, office_with, subscription},
    receive,
};
use crate::office::{Answer, Office, Receiver};

async fn replay(office: &Office, from: &str, to: &str, all: bool, name: &str) -> usize {
    let time = [from, to].map(|it| format!("2026-03-09T{it}Z").parse::<Timestamp>().unwrap());
    let subscription = subscription(office).await;
    let app = &office.app;
    app.control.replay(&app.queue, &subscription, time.into(), all, name).await.unwrap()
}

#[tokio::test]
async fn a_replay_resends_the_failed_events_of_a_period_under_the_same_ids() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    // Each event in its own minute; the first uses up all its attempts.
    for (id, status, attempts) in [(1, 500, 8), (2, 200, 1), (3, 200, 1), (4, 200, 1)] {
        office.set_time(&format!("2026-03-09T12:{id:02}:00Z"));
        let body = message(&office, id).await;
        for number in 1..=attempts {
            receiver.then(Answer::status(status));
            attempt(&office, &body, number).await;
        }
    }
    assert_eq!(super::delivery(&office, 1).await.status, DeliveryStatus::Exhausted);
    for message in receive(&office).await {
        office.queue.delete(&message).await;
    }
    assert_eq!(replay(&office, "12:02:00", "12:04:00", false, "r1").await, 0, "both succeeded");
    assert_eq!(replay(&office, "12:00:00", "12:04:00", false, "r1").await, 1);
    assert_eq!((deliver(&office).await, receiver.received().len()), (0, 12));
    assert_eq!(receiver.received()[11].header("x-officepro-event-id"), "DemoOffice-1");
    assert_eq!(replay(&office, "12:02:00", "12:04:00", true, "r2").await, 2, "the end is exclusive");
    assert_eq!(replay(&office, "12:02:00", "12:04:00", true, "r2").await, 2);
    let before = receiver.received().len();
    receiver.then(Answer::status(500));
    assert_eq!(deliver(&office).await, 0);
    let again = receiver.received().split_off(before);
    let mut ids: Vec<&str> = again.iter().map(|it| it.header("x-officepro-event-id")).collect();
    ids.sort_unstable();
    assert_eq!(
        ids,
        ["DemoOffice-2", "DemoOffice-3"],
        "a replay that runs twice under one name sends nothing twice"
    );
    let originals = [2, 3].map(|id| super::delivery_key(&office, id));
    let mut statuses = Vec::new();
    for original in &originals {
        let replayed: Delivery =
            office.app.control.delivery(&format!("{original}#r2")).await.unwrap().unwrap();
        let original = office.app.control.delivery(original).await.unwrap().unwrap();
        assert!(replayed.id != original.id && original.attempts == 1);
        statuses.push(replayed.status);
    }
    statuses.sort_by_key(ToString::to_string);
    assert_eq!(statuses, [DeliveryStatus::Delivered, DeliveryStatus::Retrying], "with the full schedule");
    let monitor = office.admin("GET", "/v1/admin/webhooks/monitor", None).await;
    assert_eq!(monitor.expect(200)["summary"]["totalDeliveries"], json!(7));
}

#[tokio::test]
async fn a_replay_of_failures_omits_deliveries_that_succeeded_or_are_still_attempted() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    // 1 is delivered by a retry, 2 waits for its next attempt, 3 has used up all attempts.
    for (id, attempts) in [(1, 1), (2, 1), (3, 8)] {
        let body = message(&office, id).await;
        for number in 1..=attempts {
            receiver.then(Answer::status(500));
            attempt(&office, &body, number).await;
        }
    }
    let retry = format!("/v1/webhooks/deliveries/{}/retry", super::delivery(&office, 1).await.id);
    assert_eq!(office.post(&retry, &json!({})).await.expect(200)["data"]["success"], true);
    // 4 is withheld until its partner has access again.
    let body = message(&office, 4).await;
    office.admin("POST", "/v1/admin/webhooks/1/pause", None).await.expect(200);
    attempt(&office, &body, 1).await;
    office.admin("POST", "/v1/admin/webhooks/1/resume", None).await.expect(200);
    let withheld = super::delivery(&office, 4).await;
    assert!(withheld.withheld.is_some() && withheld.next_attempt_at.is_some(), "{withheld:?}");
    for message in receive(&office).await {
        office.queue.delete(&message).await;
    }
    let sent = async |all, name: &str| {
        let count = replay(&office, "00:00:00", "23:59:59", all, name).await;
        let mut ids = super::take_log_ids(&office).await;
        ids.dedup();
        assert_eq!(ids.len(), count);
        ids
    };
    assert_eq!(sent(false, "r1").await, [3]);
    assert_eq!(sent(true, "r2").await, [1, 3], "all includes deliveries that a retry made");
}
