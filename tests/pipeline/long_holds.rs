//! Endpoints that request half a day, which is longer than SQS can delay a message: nothing is sent
//! to them meanwhile, and the poller requeues everything afterward.

use jiff::SignedDuration;
use shared::domain::delivery::DeliveryStatus;
use sqlx::Connection;
use webhook_fanout::Lane;

use super::{
    delivery, event,
    fanout::{attempt, message, office_with, subscription},
    poll, queued,
};
use crate::office::{Answer, Office, Receiver};

/// Returns the number of messages that wait in the queues for their first receive.
async fn waiting(office: &Office) -> i64 {
    let file = format!("sqlite://{}", office.queue_file.display());
    let mut queue = sqlx::SqliteConnection::connect(&file).await.unwrap();
    let waiting = sqlx::query_scalar("select count(*) from messages where receive_count = 0");
    waiting.fetch_one(&mut queue).await.unwrap()
}

async fn empty(office: &Office) {
    let file = format!("sqlite://{}", office.queue_file.display());
    let mut queue = sqlx::SqliteConnection::connect(&file).await.unwrap();
    sqlx::query("delete from messages").execute(&mut queue).await.unwrap();
}

async fn send_slowly(office: &Office, body: &str) {
    let response = webhook_fanout::deliver(&office.app, Lane::Slow, event(&[body])).await;
    assert!(response.batch_item_failures.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_requests_a_day_is_not_called_for_half_of_it_and_then_gets_everything() {
    for status in [429, 503] {
        let receiver = Receiver::start().await;
        let office = office_with(&receiver).await;
        let (one, two) = (message(&office, 1).await, message(&office, 2).await);
        receiver.then(Answer::status(status).header("retry-after", "86400"));
        attempt(&office, &one, 1).await;
        let held = subscription(&office).await.breaker.held_until(office.app.clock.now());
        assert_eq!(held, Some("2026-03-10T00:00:00Z".parse().unwrap()), "{status}");
        send_slowly(&office, &two).await;
        for log_id in [1, 2] {
            let next = delivery(&office, log_id).await.next_attempt_at.unwrap();
            assert!(held <= Some(next), "{status}, event {log_id}: {next}");
            assert!(next <= "2026-03-10T03:00:00Z".parse().unwrap(), "{status}, event {log_id}: {next}");
        }
        assert_eq!(waiting(&office).await, 0, "{status}: a message would return every quarter of an hour");

        empty(&office).await;
        office.set_time("2026-03-09T23:59:00Z");
        poll(&office).await;
        assert_eq!(queued(&office).await, Vec::<String>::new(), "{status}: both are due later");

        // One of them probes, and the other may have to wait for it.
        for minute in 1..=5 {
            office.set_time(&format!("2026-03-10T03:{minute:02}:00Z"));
            poll(&office).await;
            for body in queued(&office).await {
                send_slowly(&office, &body).await;
            }
        }
        for (log_id, attempts) in [(1, 2), (2, 1)] {
            let done = delivery(&office, log_id).await;
            assert_eq!(done.status, DeliveryStatus::Delivered, "{status}, event {log_id}");
            assert_eq!(done.attempts_made(), attempts, "{status}, event {log_id}");
        }
        assert_eq!(receiver.received().len(), 3, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_requeued_during_a_long_hold_waits_for_its_end_and_not_for_the_poller() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let (one, two) = (message(&office, 1).await, message(&office, 2).await);
    // The second is due when the endpoint asks for half a day.
    receiver.then(Answer::status(500));
    attempt(&office, &two, 1).await;
    receiver.then(Answer::status(503).header("retry-after", "43200"));
    attempt(&office, &one, 1).await;
    // As the poller does with messages that it sends.
    let later = office.app.clock.now() + SignedDuration::from_mins(15);
    office.app.control.put_off(&delivery(&office, 2).await, later).await.unwrap();
    attempt(&office, &two, 2).await;
    let next = delivery(&office, 2).await.next_attempt_at.unwrap();
    let end = "2026-03-10T00:00:00Z".parse().unwrap();
    assert!(next >= end, "it would be requeued every quarter of an hour: {next}");
}
