use std::time::Duration;

use serde_json::json;
use shared::{
    control::{
        deliveries::{Claimed, Delivery},
        subscriptions::{DisabledReason, Subscription},
    },
    domain::{delivery::DeliveryStatus, ids::PartnerId},
};

use sqlx::Connection;
use webhook_fanout::Lane;

use super::{deliver, delivery, delivery_key, event, poll, receive, take_log_ids, write};
use crate::{
    office::{Answer, Engine, Gate, Office, Receiver, eventually, on_both_databases},
    webhooks::sign_up,
};

pub(super) async fn office_with(receiver: &Receiver) -> Office {
    let office = Office::open(Engine::Sqlite).await;
    sign_up(&office, &receiver.url, &["Claims"]).await;
    office
}

/// The body of the message for the first attempt at one of `DemoOffice`'s events.
pub(crate) async fn message(office: &Office, log_id: i64) -> String {
    write(office, log_id, "claims").await;
    poll(office).await;
    let messages = receive(office).await.into_iter().map(|message| message.body);
    // The queue may also contain retries of other events.
    let mut first = messages.filter(|body| log_id_and_attempt(body) == (log_id, 1));
    first.next().unwrap()
}

fn log_id_and_attempt(body: &str) -> (i64, i64) {
    let message: serde_json::Value = serde_json::from_str(body).unwrap();
    (message["logId"].as_i64().unwrap(), message["attempt"].as_i64().unwrap())
}

pub(crate) async fn attempt(office: &Office, body: &str, number: u32) {
    let mut message: serde_json::Value = serde_json::from_str(body).unwrap();
    message["attempt"] = json!(number);
    let response = webhook_fanout::deliver(&office.app, Lane::Fast, event(&[&message.to_string()])).await;
    assert!(response.batch_item_failures.is_empty());
}

pub(super) async fn subscription(office: &Office) -> Subscription {
    let partner = PartnerId("prt_acme".into());
    office.app.control.subscription(office.db.practicepass(), &partner).await.unwrap().unwrap()
}

async fn an_event_reaches_the_partner_signed_and_without_patient_data(office: Office) {
    let receiver = Receiver::start().await;
    sign_up(&office, &receiver.url, &["Claims"]).await;
    write(&office, 12, "claims").await;
    poll(&office).await;
    assert_eq!(deliver(&office).await, 0);
    let [sent] = <[_; 1]>::try_from(receiver.received()).unwrap();
    assert_eq!(
        sent.json(),
        json!({
            "eventId": "DemoOffice-12", "event": "Claims", "action": "created", "practicepass": "DemoOffice",
            "logId": 12, "recordId": 120, "occurredAt": "2026-03-09T12:00:00Z",
        })
    );
    let done = delivery(&office, 12).await;
    assert_eq!(sent.header("content-type"), "application/json");
    assert_eq!(sent.header("x-officepro-event"), "Claims");
    assert_eq!(sent.header("x-officepro-event-id"), "DemoOffice-12");
    assert_eq!(sent.header("x-officepro-delivery-id"), done.id.to_string());
    assert_eq!(sent.header("webhook-id"), "DemoOffice-12");
    assert_eq!(sent.header("webhook-timestamp"), "1773057600");
    let secret = subscription(&office).await.secret;
    let expected = shared::auth::webhook_signature::signatures(
        [&secret],
        "DemoOffice-12",
        office.app.clock.now(),
        sent.body.as_bytes(),
    );
    assert_eq!(Some(sent.header("webhook-signature").to_owned()), expected);
    assert_eq!((done.status, done.attempts, done.status_code), (DeliveryStatus::Delivered, 1, Some(200)));
    let counts = office.app.control.delivery_counts(office.db.practicepass()).await.unwrap();
    assert_eq!((counts.total, counts.failed), (1, 0));
}
on_both_databases!(an_event_reaches_the_partner_signed_and_without_patient_data);

#[tokio::test]
async fn a_failed_delivery_is_retried_on_schedule_until_it_is_exhausted() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let body = message(&office, 1).await;
    let waits = [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000];
    for (number, wait) in (1..).zip(waits) {
        receiver.then(Answer::status(500));
        attempt(&office, &body, number).await;
        let waiting = delivery(&office, 1).await;
        assert_eq!((waiting.status, waiting.attempts), (DeliveryStatus::Retrying, number));
        let planned = waiting.next_attempt_at.unwrap().duration_since(office.app.clock.now()).as_secs_f64();
        let wait = f64::from(wait);
        assert!((wait - 0.001..=wait * 1.1).contains(&planned), "attempt {number}: {planned}");
    }
    receiver.then(Answer::status(500));
    attempt(&office, &body, 8).await;
    let ended = delivery(&office, 1).await;
    assert_eq!((ended.status, ended.next_attempt_at), (DeliveryStatus::Exhausted, None));
    let events: Vec<String> =
        receiver.received().iter().map(|it| it.header("x-officepro-event-id").to_owned()).collect();
    assert_eq!(events, vec!["DemoOffice-1"; 8]);
    let counts = office.app.control.delivery_counts(office.db.practicepass()).await.unwrap();
    assert_eq!((counts.total, counts.failed), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_retry_waits_in_the_queue_and_succeeds() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    write(&office, 1, "claims").await;
    poll(&office).await;
    receiver.then(Answer::status(500));
    assert_eq!(deliver(&office).await, 0);
    let first = || receiver.received().len() == 1;
    let file = format!("sqlite://{}", office.queue_file.display());
    let mut queue = sqlx::SqliteConnection::connect(&file).await.unwrap();
    let wait: i64 =
        sqlx::query_scalar("select visible_at - sent_at from messages").fetch_one(&mut queue).await.unwrap();
    assert!(first() && (5_000..=6_000).contains(&wait), "it may be received after {wait} ms");
    sqlx::query("update messages set visible_at = sent_at").execute(&mut queue).await.unwrap();
    assert_eq!(deliver(&office).await, 0);
    assert_eq!(receiver.received().len(), 2);
    let done = delivery(&office, 1).await;
    assert_eq!((done.status, done.attempts), (DeliveryStatus::Delivered, 2));
    let counts = office.app.control.delivery_counts(office.db.practicepass()).await.unwrap();
    assert_eq!((counts.total, counts.failed), (1, 0));
}

#[tokio::test]
async fn the_poller_requeues_a_retry_only_when_it_is_due() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let body = message(&office, 1).await;
    for number in 1..=3 {
        receiver.then(Answer::status(500));
        attempt(&office, &body, number).await;
    }
    // The messages of short waits arrive in real time; only that of the fourth attempt matters.
    let fourth = async || {
        let messages = receive(&office).await.into_iter().map(|message| message.body);
        messages.filter(|body| log_id_and_attempt(body) == (1, 4)).collect::<Vec<_>>()
    };
    office.set_time("2026-03-09T12:29:59Z");
    poll(&office).await;
    assert!(fourth().await.is_empty());
    office.set_time("2026-03-09T12:34:00Z");
    poll(&office).await;
    poll(&office).await;
    let [message] = <[_; 1]>::try_from(fourth().await).unwrap();
    attempt(&office, &message, 4).await;
    let done = delivery(&office, 1).await;
    assert_eq!((done.status, done.attempts), (DeliveryStatus::Delivered, 4));
    office.set_time("2026-03-09T13:34:00Z");
    poll(&office).await;
    assert!(fourth().await.is_empty());
}

#[tokio::test]
async fn a_retry_with_a_lost_message_is_requeued_again() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let body = message(&office, 1).await;
    receiver.then(Answer::status(500));
    attempt(&office, &body, 1).await;
    for (time, expected) in [("12:00:20", 0), ("12:00:36", 1), ("12:15:00", 0), ("12:16:07", 1)] {
        office.set_time(&format!("2026-03-09T{time}Z"));
        let now = office.app.clock.now();
        let before = now - Duration::from_secs(30);
        let shard = delivery(&office, 1).await.id.0 % office.app.control.delivery_shards();
        let due = office.app.control.due_deliveries(shard, before, 10).await.unwrap();
        assert_eq!(due.len(), expected, "{time}");
        poll(&office).await;
        assert!(office.app.control.due_deliveries(shard, before, 10).await.unwrap().is_empty(), "{time}");
    }
}

#[tokio::test]
async fn a_duplicate_message_is_posted_once() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let body = message(&office, 1).await;
    attempt(&office, &body, 1).await;
    attempt(&office, &body, 1).await;
    assert_eq!(receiver.received().len(), 1);
    let body = message(&office, 2).await;
    let both = webhook_fanout::deliver(&office.app, Lane::Fast, event(&[&body, &body])).await;
    assert_eq!(receiver.received().len(), 2);
    assert!(both.batch_item_failures.is_empty());
}

#[tokio::test]
async fn an_attempt_of_a_dead_process_is_repeated_after_its_claim_expires() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let body = message(&office, 1).await;
    let parsed = serde_json::from_str(&body).unwrap();
    let now = office.app.clock.now();
    let id = office.app.control.next_delivery_id().await.unwrap();
    let first = Delivery::of_event(&parsed, id, now);
    office.app.control.claim_first(first, now).await.unwrap();
    let response = webhook_fanout::deliver(&office.app, Lane::Fast, event(&[&body])).await;
    assert!(response.batch_item_failures.is_empty(), "it is redelivered when the other claim ends");
    assert!(receiver.received().is_empty());
    office.set_time("2026-03-09T12:01:00Z");
    attempt(&office, &body, 1).await;
    assert_eq!((receiver.received().len(), delivery(&office, 1).await.id), (1, id));
}

#[tokio::test]
async fn an_interrupted_attempt_is_cancelled_with_its_deleted_subscription() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let body = message(&office, 1).await;
    let parsed = serde_json::from_str(&body).unwrap();
    let now = office.app.clock.now();
    let id = office.app.control.next_delivery_id().await.unwrap();
    let first = Delivery::of_event(&parsed, id, now);
    office.app.control.claim_first(first, now).await.unwrap();
    office.delete("/v1/webhooks").await.expect(200);
    let response = webhook_fanout::deliver(&office.app, Lane::Fast, event(&[&body])).await;
    assert!(response.batch_item_failures.is_empty(), "the outcome of a running attempt is awaited");
    assert_eq!(delivery(&office, 1).await.status, DeliveryStatus::Pending);
    office.set_time("2026-03-09T12:01:00Z");
    attempt(&office, &body, 1).await;
    assert_eq!(delivery(&office, 1).await.status, DeliveryStatus::Cancelled);
    assert!(receiver.received().is_empty());
}

#[tokio::test]
async fn the_poller_ends_a_manual_delivery_of_a_dead_process() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let (control, now) = (&office.app.control, office.app.clock.now());
    let subscription = subscription(&office).await;
    let id = control.next_delivery_id().await.unwrap();
    let payload = shared::domain::delivery::Payload::test(office.db.practicepass(), None, id.0, now);
    let manual = Delivery::manual(id, &subscription, payload, None, now);
    let key = manual.key.clone();
    control.claim_first(manual, now).await.unwrap();
    for (time, expected) in [("12:00:59", DeliveryStatus::Pending), ("12:01:00", DeliveryStatus::Failed)] {
        office.set_time(&format!("2026-03-09T{time}Z"));
        poll(&office).await;
        assert_eq!(control.delivery(&key).await.unwrap().unwrap().status, expected, "{time}");
    }
    let list = office.get("/v1/webhooks/deliveries").await;
    assert_eq!(list.expect(200)["data"][0]["nextAttemptAt"], serde_json::Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_410_disables_the_subscription_even_if_its_outcome_is_not_stored() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let body = message(&office, 1).await;
    let gate = Gate::closed();
    receiver.then(Answer::status(410).behind(&gate));
    let key = delivery_key(&office, 1);
    let delivering = webhook_fanout::deliver(&office.app, Lane::Slow, event(&[&body]));
    // While the endpoint answers, the claim ends and another process claims the delivery, so the
    // outcome is rejected.
    let meanwhile = async {
        eventually("the call", async || (!receiver.received().is_empty()).then_some(())).await;
        office.set_time("2026-03-09T12:02:00Z");
        let now = office.app.clock.now();
        let claimed = office.app.control.claim_again(&key, 1, 7, now).await.unwrap();
        assert!(matches!(claimed, Claimed::Yes(_)));
        gate.open();
    };
    let (response, ()) = tokio::join!(delivering, meanwhile);
    assert_eq!(response.batch_item_failures.len(), 1);
    assert_eq!(subscription(&office).await.disabled_reason, Some(DisabledReason::EndpointGone));
    office.set_time("2026-03-09T12:04:00Z");
    attempt(&office, &body, 1).await;
    assert_eq!(delivery(&office, 1).await.status, DeliveryStatus::Cancelled);
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_concurrent_success_keeps_a_failing_subscription_active() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let (one, two, three) = (message(&office, 1).await, message(&office, 2).await, message(&office, 3).await);
    receiver.then(Answer::status(500));
    attempt(&office, &one, 1).await;
    office.set_time("2026-03-14T12:00:00Z");
    let gate = Gate::closed();
    receiver.then(Answer::status(500).behind(&gate));
    let slow = async { webhook_fanout::deliver(&office.app, Lane::Fast, event(&[&two])).await };
    let success = async {
        eventually("the call", async || (receiver.received().len() == 2).then_some(())).await;
        attempt(&office, &three, 1).await;
        gate.open();
    };
    tokio::join!(slow, success);
    let after = subscription(&office).await;
    assert!(after.is_active() && after.failing_since.is_none(), "{after:?}");
    receiver.then(Answer::status(500));
    receiver.then(Answer::status(500));
    let four = message(&office, 4).await;
    attempt(&office, &four, 1).await;
    let since = subscription(&office).await.failing_since;
    office.set_time("2026-03-15T12:00:00Z");
    let five = message(&office, 5).await;
    attempt(&office, &five, 1).await;
    assert_eq!(subscription(&office).await.failing_since, since, "the first of the failures counts");
}

#[tokio::test]
async fn a_410_disables_the_subscription_and_the_partner_sees_why() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let body = message(&office, 1).await;
    receiver.then(Answer::status(410));
    attempt(&office, &body, 1).await;
    assert_eq!(delivery(&office, 1).await.status, DeliveryStatus::Cancelled);
    let shown = office.get("/v1/webhooks").await;
    let data = &shown.expect(200)["data"];
    assert_eq!((&data["status"], &data["disabledReason"]), (&json!("disabled"), &json!("ENDPOINT_GONE")));
    office.post("/v1/webhooks/test", &json!({})).await.expect_problem(409, "SUBSCRIPTION_DISABLED");
    write(&office, 2, "claims").await;
    poll(&office).await;
    assert_eq!(take_log_ids(&office).await, Vec::<i64>::new());

    sign_up(&office, &receiver.url, &["Claims"]).await;
    write(&office, 3, "claims").await;
    poll(&office).await;
    assert_eq!(take_log_ids(&office).await, [3], "events during the disabled time are not sent");
}

#[tokio::test]
async fn a_wait_that_the_endpoint_requests_is_respected() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    for (log_id, status, after, expected) in
        [(1, 500, "120", 5..=6), (2, 503, "Mon, 09 Mar 2026 12:10:00 GMT", 600..=660)]
    {
        let body = message(&office, log_id).await;
        receiver.then(Answer::status(status).header("retry-after", after));
        attempt(&office, &body, 1).await;
        let waiting = delivery(&office, log_id).await.next_attempt_at.unwrap();
        let wait = waiting.duration_since(office.app.clock.now()).as_secs();
        assert!(expected.contains(&wait), "{status}: {wait}");
    }
    let shown = office.get("/v1/webhooks").await;
    assert_eq!(
        shown.expect(200)["data"]["heldUntil"],
        "2026-03-09T12:10:00Z",
        "the time until the next attempt"
    );
}

#[tokio::test]
async fn a_redirect_is_a_failure() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let body = message(&office, 1).await;
    receiver.then(Answer::status(302).header("location", receiver.url.clone()));
    attempt(&office, &body, 1).await;
    let failed = delivery(&office, 1).await;
    assert_eq!((failed.status, failed.status_code), (DeliveryStatus::Retrying, Some(302)));
    let told =
        format!("the endpoint answered 302, redirected to {}; redirects are not followed", receiver.url);
    assert_eq!(failed.error_message, Some(told));
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn the_response_body_of_a_success_is_not_stored() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let body = message(&office, 1).await;
    receiver.then(Answer::status(200).body("thank you".into()));
    attempt(&office, &body, 1).await;
    let done = delivery(&office, 1).await;
    assert_eq!((done.status, done.history[0].answer.as_str()), (DeliveryStatus::Delivered, ""));
}

#[tokio::test]
async fn a_large_response_body_is_stored_truncated() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let body = message(&office, 1).await;
    receiver.then(Answer::status(500).body("x".repeat(5 << 20)));
    attempt(&office, &body, 1).await;
    let failed = delivery(&office, 1).await;
    assert_eq!((failed.status, failed.history[0].answer.len()), (DeliveryStatus::Retrying, 2_048));
}

#[tokio::test]
async fn an_endless_response_is_cut_off_and_a_compressed_one_not_unpacked() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let endless = message(&office, 1).await;
    receiver.then(Answer::status(500).body("x".repeat(64 << 10)).endless());
    attempt(&office, &endless, 1).await;
    let failed = delivery(&office, 1).await;
    assert_eq!((failed.status, failed.history[0].answer.len()), (DeliveryStatus::Retrying, 2_048));
    let hung_up = async || (receiver.in_progress_and_bytes_sent().0 == 0).then_some(());
    eventually("the end of the endpoint's sending", hung_up).await;
    // The sockets' buffers add to the bytes read.
    assert!(
        receiver.in_progress_and_bytes_sent().1 < 16 << 20,
        "{:?}",
        receiver.in_progress_and_bytes_sent()
    );

    let packed = message(&office, 2).await;
    receiver.then(Answer::status(500).header("content-encoding", "gzip").body("not gzip at all".into()));
    attempt(&office, &packed, 1).await;
    assert_eq!(delivery(&office, 2).await.history[0].answer, "not gzip at all");
}

#[tokio::test]
async fn a_refused_connection_is_a_failed_attempt() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    sign_up(&office, "http://127.0.0.1:9/", &["Claims"]).await;
    let body = message(&office, 1).await;
    attempt(&office, &body, 1).await;
    let failed = delivery(&office, 1).await;
    assert_eq!((failed.status, failed.status_code), (DeliveryStatus::Retrying, None));
    assert_eq!(failed.error_message.as_deref(), Some("the connection was refused"));
}

#[tokio::test]
async fn only_an_unreadable_message_stays_in_the_queue() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let body = message(&office, 1).await;
    let future = body.replace("\"v\":1", "\"v\":2");
    let response = webhook_fanout::deliver(&office.app, Lane::Fast, event(&["{", &body, &future])).await;
    let failed: Vec<&str> =
        response.batch_item_failures.iter().map(|it| it.item_identifier.as_str()).collect();
    assert_eq!(failed, ["m0", "m2"]);
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn nothing_is_sent_for_a_deleted_subscription() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let first = message(&office, 1).await;
    let waiting = message(&office, 2).await;
    receiver.then(Answer::status(500));
    attempt(&office, &waiting, 1).await;
    office.delete("/v1/webhooks").await.expect(200);
    sign_up(&office, &receiver.url, &["Claims"]).await;
    attempt(&office, &first, 1).await;
    attempt(&office, &waiting, 2).await;
    assert_eq!(receiver.received().len(), 1);
    assert_eq!(delivery(&office, 2).await.status, DeliveryStatus::Cancelled);
}

#[tokio::test]
async fn a_subscription_that_fails_for_five_days_is_disabled() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let day = async |log_id: i64, time: &str, status: u16| {
        office.set_time(time);
        let body = message(&office, log_id).await;
        receiver.then(Answer::status(status));
        attempt(&office, &body, 1).await;
        subscription(&office).await
    };
    assert!(day(1, "2026-03-09T12:00:00Z", 500).await.failing_since.is_some());
    assert_eq!(day(2, "2026-03-13T12:00:00Z", 200).await.failing_since, None);
    assert!(day(3, "2026-03-13T12:00:01Z", 500).await.is_active());
    assert!(day(4, "2026-03-18T12:00:00Z", 500).await.is_active());
    let disabled = day(5, "2026-03-18T12:00:20Z", 500).await;
    assert_eq!(disabled.disabled_reason, Some(DisabledReason::OnlyFailures));
}

#[tokio::test]
async fn a_slow_endpoint_does_not_delay_the_others_in_its_batch() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let (one, two) = (message(&office, 1).await, message(&office, 2).await);
    let gate = Gate::closed();
    receiver.otherwise(Answer::status(200).behind(&gate));
    let bodies = [one.as_str(), &two];
    let delivering = webhook_fanout::deliver(&office.app, Lane::Fast, event(&bodies));
    let answering = async {
        eventually("the second call before the first answer", async || {
            (receiver.received().len() == 2).then_some(())
        })
        .await;
        gate.open();
    };
    let (response, ()) = tokio::join!(delivering, answering);
    assert!(response.batch_item_failures.is_empty());
}
