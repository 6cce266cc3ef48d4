//! Partners' own operations on deliveries: retries, replays, tests of a scope.

use serde_json::{Value, json};
use shared::{
    control::deliveries::{Claimed, Delivery},
    domain::{Scope, delivery::DeliveryStatus},
};

use super::{
    deliver, delivery, delivery_key, event,
    fanout::{attempt, message, office_with, subscription},
    poll, receive, row,
};
use crate::{
    office::{Answer, Engine, Gate, Office, ReceivedCall, Receiver, eventually, on_both_databases, run_sql},
    webhooks::sign_up,
};
use webhook_fanout::Lane;

const REPLAY: &str = "/v1/webhooks/replay";

/// Writes a row with this time.
fn row_at(log_id: i64, table: &str, time: &str) -> String {
    row(log_id, table).replace("2026-03-09T12:00:00Z", time)
}

async fn summary(office: &Office) -> (i64, i64) {
    let counts = office.app.control.delivery_counts(office.db.practicepass()).await.unwrap();
    (counts.total, counts.failed)
}

#[tokio::test]
async fn a_delivery_with_a_successful_retry_is_not_resent() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let body = message(&office, 1).await;
    receiver.then(Answer::status(500));
    attempt(&office, &body, 1).await;
    let source = delivery(&office, 1).await;
    assert_eq!((source.status, summary(&office).await), (DeliveryStatus::Retrying, (1, 1)));

    // A failed retry changes nothing else.
    receiver.then(Answer::status(500));
    let path = format!("/v1/webhooks/deliveries/{}/retry", source.id);
    assert_eq!(office.post(&path, &json!({})).await.expect(200)["data"]["success"], false);
    let after = delivery(&office, 1).await;
    assert_eq!((after.status, after.next_attempt_at), (source.status, source.next_attempt_at));

    let retried = office.post(&path, &json!({})).await;
    let data = retried.expect(200)["data"].clone();
    assert_eq!(data["success"], true);
    let shown = office.get(&format!("/v1/webhooks/deliveries/{}", source.id)).await;
    let shown = &shown.expect(200)["data"];
    assert_eq!(
        (&shown["status"], &shown["cancelReason"]),
        (&json!("cancelled"), &json!("DELIVERED_BY_RETRY"))
    );
    assert_eq!(shown["nextAttemptAt"], Value::Null);
    let told = format!("not sent again: retry {} was delivered", data["retryDeliveryId"]);
    assert_eq!((&shown["errorMessage"], &shown["attempts"]), (&json!(told), &json!(1)));

    // Neither its message nor the poller sends it.
    let before = receiver.received().len();
    attempt(&office, &body, 2).await;
    office.set_time("2026-03-09T18:00:00Z");
    poll(&office).await;
    deliver(&office).await;
    assert_eq!(receiver.received().len(), before);
    let failed = office.get("/v1/webhooks/deliveries?success=false").await;
    let failed = failed.expect(200)["data"].as_array().unwrap().len();
    assert_eq!(summary(&office).await, (3, i64::try_from(failed).unwrap()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_concurrent_retry_and_attempt_end_as_one() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let body = message(&office, 1).await;
    receiver.then(Answer::status(500));
    attempt(&office, &body, 1).await;
    let source = delivery(&office, 1).await;
    // During the retry, the scheduled attempt waits.
    let gate = Gate::closed();
    receiver.then(Answer::status(200).behind(&gate));
    let path = format!("/v1/webhooks/deliveries/{}/retry", source.id);
    let no_body = json!({});
    let retrying = office.post(&path, &no_body);
    let meanwhile = async {
        eventually("the call", async || (receiver.received().len() == 2).then_some(())).await;
        attempt(&office, &body, 2).await;
        assert_eq!(receiver.received().len(), 2);
        gate.open();
    };
    let (reply, ()) = tokio::join!(retrying, meanwhile);
    reply.expect(200);
    assert_eq!(delivery(&office, 1).await.status, DeliveryStatus::Cancelled);

    // A retry that succeeds during a scheduled attempt ends the delivery, whether or not the
    // attempt fails.
    let body = message(&office, 2).await;
    receiver.then(Answer::status(500));
    attempt(&office, &body, 1).await;
    let key = delivery_key(&office, 2);
    let now = office.app.clock.now();
    let Claimed::Yes(claimed) = office.app.control.claim_again(&key, 2, 7, now).await.unwrap() else {
        panic!()
    };
    let gate = Gate::closed();
    receiver.then(Answer::status(200).behind(&gate));
    let before = receiver.received().len();
    let path = format!("/v1/webhooks/deliveries/{}/retry", claimed.id);
    let retrying = office.post(&path, &no_body);
    let meanwhile = async {
        eventually("the call", async || (receiver.received().len() > before).then_some(())).await;
        office.app.control.put_back(&claimed, now).await.unwrap();
        gate.open();
    };
    let (reply, ()) = tokio::join!(retrying, meanwhile);
    reply.expect(200);
    assert_eq!(delivery(&office, 2).await.status, DeliveryStatus::Cancelled);
}

#[tokio::test]
async fn the_list_after_a_new_sign_up_includes_the_deliveries_readable_by_id() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let body = message(&office, 1).await;
    attempt(&office, &body, 1).await;
    let first = subscription(&office).await;
    office.delete("/v1/webhooks").await.expect(200);
    let again = sign_up(&office, &receiver.url, &["Claims"]).await;
    let second = subscription(&office).await;
    assert_eq!(again["id"], first.id.0);
    assert!(second.generation > first.generation && again["secret"].is_string());
    let body = message(&office, 2).await;
    attempt(&office, &body, 1).await;
    let listed = office.get("/v1/webhooks/deliveries").await;
    let rows = listed.expect(200)["data"].as_array().unwrap().clone();
    assert_eq!(rows.len(), 2);
    for row in &rows {
        office.get(&format!("/v1/webhooks/deliveries/{}", row["id"])).await.expect(200);
    }
    // Events for the earlier subscription are not sent.
    let retry = format!("/v1/webhooks/deliveries/{}/retry", rows[1]["id"]);
    office.post(&retry, &json!({})).await.expect_problem(409, "SUBSCRIPTION_DELETED");
}

#[tokio::test]
async fn a_test_can_use_the_format_of_a_scopes_events() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    sign_up(&office, &receiver.url, &["Claims", "Patients"]).await;
    for scope in ["Claims", "Patients"] {
        let tested = office.post("/v1/webhooks/test", &json!({ "event": scope })).await;
        assert_eq!(tested.expect(200)["data"]["success"], true);
        let sent = receiver.received().pop().unwrap();
        assert_eq!(sent.header("x-officepro-event"), scope);
        let body = sent.json();
        assert_eq!(
            (&body["event"], &body["action"], &body["logId"]),
            (&json!(scope), &json!("test"), &json!(0))
        );
        assert_eq!(body["eventId"], tested.body["data"]["eventId"]);
        assert!(body["eventId"].as_str().unwrap().starts_with("DemoOffice-test-"));
    }
    assert_eq!(office.post("/v1/webhooks/test", &json!({})).await.expect(200)["data"]["success"], true);
    assert_eq!(receiver.received().pop().unwrap().header("x-officepro-event"), "Test");
    assert_eq!(summary(&office).await, (0, 0), "tests do not count");
    let other = office.post("/v1/webhooks/test", &json!({ "event": "Payments" })).await;
    other.expect_problem(422, "INVALID_FIELDS");
    assert_eq!(other.wrong_fields(), ["body.event"]);
    let authorization = format!("Bearer {}", office.token("all").await);
    let bare = office.call("POST", "/v1/webhooks/test", &[("authorization", &authorization)], None).await;
    bare.expect(200);
}

async fn a_replay_sends_the_events_of_a_period_under_the_same_ids(office: Office) {
    let receiver = Receiver::start().await;
    sign_up(&office, &receiver.url, &["Claims", "Payments"]).await;
    for (id, table, time) in [
        (1, "claims", "2026-03-09T07:59:59Z"),
        (2, "claims", "2026-03-09T08:00:00Z"),
        (3, "patients", "2026-03-09T09:00:00Z"),
        (4, "payments", "2026-03-09T09:30:00Z"),
        (5, "sessions", "2026-03-09T09:31:00Z"),
        // The clocks of the EMR's programs differ.
        (6, "claims", "2026-03-09T07:00:00Z"),
        (7, "claims", "2026-03-09T09:59:59Z"),
        (8, "claims", "2026-03-09T10:00:00Z"),
    ] {
        run_sql(&office.db, &row_at(id, table, time)).await;
    }
    poll(&office).await;
    deliver(&office).await;
    let before = receiver.received();
    assert_eq!(before.len(), 6);
    let body = json!({ "from": "2026-03-09T08:00:00Z", "to": "2026-03-09T10:00:00Z" });
    let reply = office.post(REPLAY, &body).await;
    let data = &reply.expect(201)["data"];
    assert_eq!(
        (&data["events"], &data["from"], &data["to"]),
        (&json!(3), &json!("2026-03-09T08:00:00Z"), &json!("2026-03-09T10:00:00Z")),
    );
    let name = data["replay"].as_str().unwrap().to_owned();
    deliver(&office).await;
    let again = receiver.received().split_off(before.len());
    let mut bodies: Vec<Value> = again.iter().map(ReceivedCall::json).collect();
    bodies.sort_by_key(|it| it["logId"].as_i64());
    let mut first: Vec<Value> = before.iter().map(ReceivedCall::json).collect();
    first.retain(|it| [2, 4, 7].contains(&it["logId"].as_i64().unwrap()));
    first.sort_by_key(|it| it["logId"].as_i64());
    assert_eq!(bodies, first, "the same ids and bodies");
    let listed = office.get("/v1/webhooks/deliveries").await;
    let rows = listed.expect(200)["data"].as_array().unwrap().clone();
    let of_replay = rows.iter().filter(|it| it["replay"] == name).count();
    assert_eq!((rows.len(), of_replay), (9, 3));
}
on_both_databases!(a_replay_sends_the_events_of_a_period_under_the_same_ids);

#[tokio::test]
async fn a_replay_includes_events_from_before_or_outside_the_subscription() {
    let receiver = Receiver::start().await;
    let office = Office::open(Engine::Sqlite).await;
    run_sql(&office.db, &row_at(1, "claims", "2026-03-08T12:00:00Z")).await;
    sign_up(&office, &receiver.url, &["Claims"]).await;
    let body = message(&office, 2).await;
    receiver.then(Answer::status(410));
    attempt(&office, &body, 1).await;
    run_sql(&office.db, &row_at(3, "claims", "2026-03-09T12:00:00Z")).await;
    poll(&office).await;
    for message in receive(&office).await {
        office.queue.delete(&message).await;
    }
    let times = json!({ "from": "2026-03-08T00:00:00Z", "to": "2026-03-10T00:00:00Z" });
    office.post(REPLAY, &times).await.expect_problem(409, "SUBSCRIPTION_DISABLED");
    sign_up(&office, &receiver.url, &["Claims"]).await;
    assert_eq!(office.post(REPLAY, &times).await.expect(201)["data"]["events"], 3);
    let before = receiver.received().len();
    deliver(&office).await;
    let mut ids: Vec<i64> =
        receiver.received().split_off(before).iter().map(|it| it.json()["logId"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 3]);
}

#[tokio::test]
async fn a_replay_with_an_idempotency_key_sends_nothing_twice() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let body = message(&office, 1).await;
    attempt(&office, &body, 1).await;
    for message in receive(&office).await {
        office.queue.delete(&message).await;
    }
    let authorization = format!("Bearer {}", office.token("all").await);
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
        ("idempotency-key", "replay-1"),
    ];
    let times = json!({ "from": "2026-03-09T00:00:00Z", "to": "2026-03-10T00:00:00Z" });
    let ask = async || office.call("POST", REPLAY, &headers, Some(&times.to_string())).await;
    let (first, second) = (ask().await, ask().await);
    assert_eq!(first.expect(201), second.expect(201));
    assert_eq!(second.header("idempotent-replayed"), "true");
    // As if the first response and its record were lost: the replay has the same name.
    let key = first.body["data"]["replay"].as_str().unwrap();
    deliver(&office).await;
    let replayed = format!("{}#{key}", delivery_key(&office, 1));
    assert!(office.app.control.delivery(&replayed).await.unwrap().unwrap().succeeded());
    assert_eq!(receiver.received().len(), 2);

    for (times, wrong) in [
        (json!({ "from": "2026-03-09T10:00:00Z", "to": "2026-03-09T10:00:00Z" }), vec!["body.to"]),
        (json!({ "from": "2026-02-01T00:00:00Z", "to": "2026-03-09T10:00:00Z" }), vec!["body.to"]),
        (json!({ "from": "2026-03-10T00:00:00Z", "to": "2026-03-11T00:00:00Z" }), vec!["body.from"]),
        (json!({ "from": "yesterday" }), vec!["body.from", "body.to"]),
        (
            json!({ "from": "0000-01-01T00:00:00+23:59", "to": "0000-01-02T00:00:00Z" }),
            vec!["body.from", "body.to"],
        ),
        (
            json!({ "from": "2026-03-09T00:00:00Z", "to": "2026-03-10T00:00:00Z", "all": true }),
            vec!["body.all"],
        ),
    ] {
        let reply = office.post(REPLAY, &times).await;
        reply.expect_problem(422, "INVALID_FIELDS");
        let mut fields = reply.wrong_fields();
        fields.sort_unstable();
        assert_eq!(fields, wrong);
    }
    let mut answers = Vec::new();
    for _ in 0..14 {
        answers.push(office.post(REPLAY, &times).await);
    }
    let refused = answers.iter().find(|it| it.status == 429).expect("the hourly limit is reached");
    refused.expect_problem(429, "RATE_LIMITED");
    assert_eq!(refused.header("retry-after"), "3600", "the hour has just begun");
    assert_eq!(answers.iter().filter(|it| it.status == 201).count(), 11);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_over_the_limit_sends_nothing() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let many = "insert into log (log_id, table_name, action, record_id, logged_at)
         with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < 10001)
         select n, 'claims', 'insert', n, '2026-03-09T11:00:00Z' from numbers";
    office.sql(many).await;
    let times = json!({ "from": "2026-03-09T10:00:00Z", "to": "2026-03-09T12:00:00Z" });
    office.post(REPLAY, &times).await.expect_problem(422, "REPLAY_TOO_LARGE");
    assert_eq!(receive(&office).await.len(), 0);
}

#[tokio::test]
async fn a_replay_covers_only_the_practice_of_the_key_and_granted_scopes() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    message(&office, 1).await;
    let times = json!({ "from": "2026-03-09T00:00:00Z", "to": "2026-03-10T00:00:00Z" });
    let token = office.token("other").await;
    office.send(&token, "POST", REPLAY, Some(&times)).await.expect_problem(404, "NOT_FOUND");
    let token = office.token_with(&[Scope::Scheduling]).await;
    office.send(&token, "POST", REPLAY, Some(&times)).await.expect_problem(403, "INSUFFICIENT_SCOPE");
    office.admin("POST", "/v1/admin/webhooks/1/pause", None).await.expect(200);
    office.post(REPLAY, &times).await.expect_problem(409, "SUBSCRIPTION_PAUSED");
}

#[tokio::test]
async fn a_replay_is_queued_separately_from_current_events() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let body = message(&office, 1).await;
    let mut message: shared::domain::webhook_event::EventMessage = serde_json::from_str(&body).unwrap();
    let group = |message: &_| shared::control::queue::Message::of_event(message, 0).unwrap().group;
    assert_eq!(group(&message), "1");
    message.replay = Some("p-1".into());
    assert_eq!(group(&message), "1-replay");
    let response =
        webhook_fanout::deliver(&office.app, Lane::Fast, event(&[&serde_json::to_string(&message).unwrap()]))
            .await;
    assert!(response.batch_item_failures.is_empty());
    let key = Delivery::key_of_message(&message);
    assert_eq!(office.app.control.delivery(&key).await.unwrap().unwrap().replay.as_deref(), Some("p-1"));
}

#[tokio::test]
async fn a_key_reused_after_a_day_names_the_same_replay_only_with_the_same_body() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let body = message(&office, 1).await;
    attempt(&office, &body, 1).await;
    let days =
        [("2026-03-09T00:00:00Z", "2026-03-10T00:00:00Z"), ("2026-03-09T01:00:00Z", "2026-03-10T00:00:00Z")];
    let mut names = Vec::new();
    for (time, (from, to)) in [
        ("2026-03-09T12:00:00Z", days[0]),
        ("2026-03-10T13:00:00Z", days[1]),
        ("2026-03-11T14:00:00Z", days[0]),
    ] {
        office.set_time(time);
        let authorization = format!("Bearer {}", office.token("all").await);
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", "application/json"),
            ("idempotency-key", "replay-1"),
        ];
        let times = json!({ "from": from, "to": to }).to_string();
        let reply = office.call("POST", REPLAY, &headers, Some(&times)).await;
        names.push(reply.expect(201)["data"]["replay"].as_str().unwrap().to_owned());
        deliver(&office).await;
    }
    assert!(names[0] != names[1] && names[0] == names[2], "{names:?}");
    assert_eq!(receiver.received().len(), 3, "the event, and once for each of the two replays");
    assert_eq!(office.post(REPLAY, &json!({ "from": days[0].0, "to": days[0].1 })).await.status, 201);
    let without = office.post(REPLAY, &json!({ "from": days[0].0, "to": days[0].1 })).await;
    assert!(!names.contains(&without.expect(201)["data"]["replay"].as_str().unwrap().to_owned()));
}

#[tokio::test]
async fn two_replays_in_one_second_have_two_names() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let body = message(&office, 1).await;
    attempt(&office, &body, 1).await;
    let times = json!({ "from": "2026-03-09T00:00:00Z", "to": "2026-03-10T00:00:00Z" });
    let mut names = Vec::new();
    for _ in 0..2 {
        let reply = office.post(REPLAY, &times).await;
        names.push(reply.expect(201)["data"]["replay"].clone());
        deliver(&office).await;
    }
    assert_ne!(names[0], names[1]);
    assert_eq!(receiver.received().len(), 3, "each sends the event");
    let names: Vec<String> = (0..50).map(|_| officepro_operator::new_name().unwrap()).collect();
    assert_eq!(names.iter().collect::<std::collections::HashSet<_>>().len(), 50, "an operator's, too");
}
