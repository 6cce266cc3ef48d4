//! The administrators' view of webhooks, and their retries.

use serde_json::{Value, json};
use shared::{
    control::deliveries::Delivery,
    domain::{
        PracticePass,
        delivery::DeliveryStatus,
        ids::{LogId, PartnerId},
    },
};

use crate::{
    office::{ADMIN_SECRET, Answer, Engine, Office, Receiver, Reply},
    pipeline::fanout::{attempt, message},
    webhooks::sign_up,
};

const MONITOR: &str = "/v1/admin/webhooks/monitor";

async fn monitor(office: &Office, query: &str) -> Value {
    office.admin("GET", &format!("{MONITOR}?{query}"), None).await.expect(200).clone()
}

async fn retry(office: &Office, id: i64) -> Reply {
    office.admin("POST", &format!("/v1/admin/webhooks/retry/{id}"), None).await
}

fn event_ids(body: &Value) -> Vec<&str> {
    body["recentDeliveries"].as_array().unwrap().iter().map(|it| it["eventId"].as_str().unwrap()).collect()
}

/// Delivers events with these log ids, each at the second of its number and answered with its
/// status. Retries in the queue use real time and are omitted.
async fn events(office: &Office, receiver: &Receiver, events: &[(i64, u16)]) {
    for (log_id, status) in events {
        office.set_time(&format!("2026-03-09T12:00:{log_id:02}Z"));
        let body = message(office, *log_id).await;
        receiver.then(Answer::status(*status));
        attempt(office, &body, 1).await;
    }
}

/// Delivers event 1, answered with this status; returns the delivery's id.
async fn delivered(office: &Office, receiver: &Receiver, status: u16) -> i64 {
    sign_up(office, &receiver.url, &["Claims"]).await;
    events(office, receiver, &[(1, status)]).await;
    monitor(office, "").await["recentDeliveries"][0]["id"].as_i64().unwrap()
}

#[tokio::test]
async fn the_monitor_responds_as_documented() {
    let office = Office::open(Engine::Sqlite).await;
    let receiver = Receiver::start().await;
    sign_up(&office, &receiver.url, &["Claims"]).await;
    events(&office, &receiver, &[(1, 200), (2, 500), (3, 200)]).await;
    office.set_time("2026-03-09T12:00:10Z");
    let mut body = monitor(&office, "practicepass=DemoOffice&success=false&limit=50&offset=0").await;
    let delivery = &mut body["recentDeliveries"][0];
    let id = delivery["id"].take();
    assert!(id.is_i64() && delivery["durationMs"].take().is_u64());
    let next = delivery["nextAttemptAt"].take();
    assert!(next.as_str().unwrap().starts_with("2026-03-09T12:00:07"), "{next}");
    assert_eq!(
        body,
        json!({
            "summary": {
                "totalSubscriptions": 1, "activeSubscriptions": 1, "totalDeliveries": 3,
                "failedDeliveries": 1,
                "successRate": 66.67,
            },
            "dispatchStates": [{ "practicepass": "DemoOffice", "lastLogId": 3 }],
            "recentDeliveries": [{
                "id": null, "subscriptionId": 1, "practicepass": "DemoOffice", "event": "Claims",
                "eventId": "DemoOffice-2", "status": "retrying", "success": false, "statusCode": 500,
                "attempts": 1, "errorMessage": "the endpoint answered 500", "durationMs": null,
                "createdAt": "2026-03-09T12:00:02Z", "nextAttemptAt": null, "requestId": null,
                    "cancelReason": null,
                "replay": null,
            }],
            "queue": {
                "dueRetries": 1,
                "oldestUndeliveredEvent": {
                    "eventId": "DemoOffice-2", "deliveryId": id, "practicepass": "DemoOffice",
                    "occurredAt": "2026-03-09T12:00:00Z", "createdAt": "2026-03-09T12:00:02Z",
                },
                "deadLetters": 0,
            },
            "disabledSubscriptions": [],
            "breakers": [],
            "dataProblems": [],
            "pagination": { "limit": 50, "offset": 0, "hasMore": false },
        })
    );
}

#[tokio::test]
async fn a_monitor_without_webhooks_shows_zeros() {
    let office = Office::open(Engine::Sqlite).await;
    let body = monitor(&office, "").await;
    for figure in
        ["totalSubscriptions", "activeSubscriptions", "totalDeliveries", "failedDeliveries", "successRate"]
    {
        assert_eq!(body["summary"][figure].as_f64(), Some(0.0), "{figure}");
    }
    assert_eq!((&body["dispatchStates"], &body["recentDeliveries"]), (&json!([]), &json!([])));
    assert_eq!(body["queue"], json!({ "dueRetries": 0, "oldestUndeliveredEvent": null, "deadLetters": 0 }));
}

#[tokio::test]
async fn the_monitor_filters_by_practice_and_outcome_and_pages_without_gaps() {
    let office = Office::open(Engine::Sqlite).await;
    let receiver = Receiver::start().await;
    sign_up(&office, &receiver.url, &["Claims"]).await;
    let outcomes: Vec<(i64, u16)> = (1..=30).map(|id| (id, if id % 3 == 0 { 500 } else { 200 })).collect();
    events(&office, &receiver, &outcomes).await;
    let expected = |wanted: &dyn Fn(i64) -> bool| -> Vec<String> {
        (1..=30).rev().filter(|id| wanted(*id)).map(|id| format!("DemoOffice-{id}")).collect()
    };
    for of_practice in ["", "&practicepass=DemoOffice"] {
        let all = monitor(&office, &format!("limit=100{of_practice}")).await;
        assert_eq!(event_ids(&all), expected(&|_| true));
        let failed = monitor(&office, &format!("success=false{of_practice}")).await;
        assert_eq!(event_ids(&failed), expected(&|id| id % 3 == 0));
        let passed = monitor(&office, &format!("success=true&limit=100{of_practice}")).await;
        assert_eq!(event_ids(&passed), expected(&|id| id % 3 != 0));
        let mut paged: Vec<String> = Vec::new();
        loop {
            let page = monitor(&office, &format!("limit=7&offset={}{of_practice}", paged.len())).await;
            paged.extend(event_ids(&page).into_iter().map(str::to_owned));
            assert_eq!(page["pagination"]["hasMore"], json!(paged.len() < 30));
            if paged.len() >= 30 {
                break;
            }
        }
        assert_eq!(paged, expected(&|_| true));
        assert_eq!(failed["summary"], all["summary"], "the outcome filters only the list");
        assert_eq!(all["summary"]["failedDeliveries"], 10);
    }
    let other = monitor(&office, "practicepass=OtherOffice").await;
    assert_eq!((&other["recentDeliveries"], &other["dispatchStates"]), (&json!([]), &json!([])));
    assert_eq!(other["summary"]["totalDeliveries"], 0);
    assert_eq!(other["summary"]["totalSubscriptions"], 0);
}

#[tokio::test]
async fn an_invalid_monitor_parameter_is_named() {
    let office = Office::open(Engine::Sqlite).await;
    for query in
        ["limit=0", "limit=101", "offset=-1", "offset=10001", "success=maybe", "practicepass=no%20pass"]
    {
        let reply = office.admin("GET", &format!("{MONITOR}?{query}"), None).await;
        reply.expect_problem(400, "INVALID_QUERY");
    }
    office.get(MONITOR).await.expect_problem(401, "INVALID_ADMIN_SECRET");
}

#[tokio::test]
async fn the_summary_matches_the_deliveries() {
    let office = Office::open(Engine::Sqlite).await;
    let receiver = Receiver::start().await;
    let source = delivered(&office, &receiver, 500).await;
    let count = async || {
        let summary = monitor(&office, "").await["summary"].clone();
        (summary["totalDeliveries"].as_i64().unwrap(), summary["failedDeliveries"].as_i64().unwrap())
    };
    assert_eq!(count().await, (1, 1));
    receiver.then(Answer::status(503));
    retry(&office, source).await.expect(200);
    assert_eq!(count().await, (2, 2));
    retry(&office, source).await.expect(200);
    assert_eq!(count().await, (3, 2));
    office.post("/v1/webhooks/test", &json!({})).await.expect(200);
    assert_eq!(count().await, (3, 2), "tests don't count");
    assert_eq!(receiver.received().len(), 4);
}

#[tokio::test]
async fn the_monitor_shows_why_a_subscription_was_disabled() {
    let office = Office::open(Engine::Sqlite).await;
    let receiver = Receiver::start().await;
    let source = delivered(&office, &receiver, 410).await;
    let body = monitor(&office, "practicepass=DemoOffice").await;
    assert_eq!(
        body["disabledSubscriptions"],
        json!([{
            "id": 1, "partnerId": "prt_acme", "practicepass": "DemoOffice", "reason": "ENDPOINT_GONE",
            "since": "2026-03-09T12:00:01Z",
        }])
    );
    assert_eq!(
        (&body["summary"]["totalSubscriptions"], &body["summary"]["activeSubscriptions"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(body["queue"]["oldestUndeliveredEvent"], Value::Null, "nothing more is tried");
    retry(&office, source).await.expect_problem(409, "SUBSCRIPTION_DISABLED");
    sign_up(&office, &receiver.url, &["Claims"]).await;
    let body = monitor(&office, "").await;
    assert_eq!(
        (&body["summary"]["activeSubscriptions"], &body["disabledSubscriptions"]),
        (&json!(1), &json!([]))
    );
}

#[tokio::test]
async fn an_abandoned_delivery_is_not_an_undelivered_event() {
    let office = Office::open(Engine::Sqlite).await;
    let receiver = Receiver::start().await;
    delivered(&office, &receiver, 500).await;
    assert!(monitor(&office, "").await["queue"]["oldestUndeliveredEvent"].is_object());
    let partner = PartnerId("prt_acme".into());
    let practicepass = PracticePass::try_from("DemoOffice").unwrap();
    let subscription = office.app.control.subscription(&practicepass, &partner).await.unwrap().unwrap();
    let key = Delivery::key_of(&practicepass, subscription.id, LogId(1));
    let status = DeliveryStatus::Cancelled;
    let now = office.app.clock.now();
    assert!(office.app.control.give_up_delivery(&key, status, now).await.unwrap());
    office.set_time("2026-03-09T12:00:10Z");
    let body = monitor(&office, "success=false").await;
    assert_eq!(body["recentDeliveries"][0]["status"], "cancelled");
    assert_eq!(body["queue"]["oldestUndeliveredEvent"], Value::Null);
    assert_eq!(body["queue"]["dueRetries"], 0);
}

#[tokio::test]
async fn an_admin_retry_resends_the_same_event_and_is_audited() {
    let office = Office::open(Engine::Sqlite).await;
    let receiver = Receiver::start().await;
    let source = delivered(&office, &receiver, 500).await;
    let first = retry(&office, source).await;
    let id = first.expect(200)["data"]["retryDeliveryId"].as_i64().unwrap();
    assert_ne!(id, source);
    assert_eq!(
        first.body,
        json!({
            "message": "Webhook delivery retried successfully",
            "data": {
                "sourceDeliveryId": source, "retryDeliveryId": id, "success": true, "statusCode": 200,
                "attempts": 1, "errorMessage": null,
            },
        })
    );
    receiver.then(Answer::status(500));
    let failed = retry(&office, id).await;
    let body = failed.expect(200);
    assert_eq!(body["message"], "Webhook delivery retry failed");
    assert_eq!(body["data"]["sourceDeliveryId"], id);
    assert_eq!((&body["data"]["success"], &body["data"]["statusCode"]), (&json!(false), &json!(500)));
    assert_eq!(body["data"]["errorMessage"], "the endpoint answered 500");
    let sent = receiver.received();
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().all(|it| it.header("x-officepro-event-id") == "DemoOffice-1"));
    let audit = office.admin("GET", "/v1/admin/audit?limit=100", None).await;
    let targets: Vec<&Value> = audit.expect(200)["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["action"] == "webhooks.retry")
        .map(|row| &row["target"])
        .collect();
    assert_eq!(targets.len(), 2);
    assert!(targets.contains(&&json!(source.to_string())) && targets.contains(&&json!(id.to_string())));
}

#[tokio::test]
async fn a_delivery_that_cannot_be_retried_is_rejected() {
    let office = Office::open(Engine::Sqlite).await;
    let receiver = Receiver::start().await;
    let source = delivered(&office, &receiver, 200).await;
    retry(&office, 999_999).await.expect_problem(404, "NOT_FOUND");
    retry(&office, 0).await.expect_problem(400, "INVALID_PATH");
    office.delete("/v1/webhooks").await.expect(200);
    retry(&office, source).await.expect_problem(409, "SUBSCRIPTION_DELETED");
    sign_up(&office, &receiver.url, &["Claims"]).await;
    retry(&office, source).await.expect_problem(409, "SUBSCRIPTION_DELETED");
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn a_repeated_admin_retry_with_an_idempotency_key_is_sent_once() {
    let office = Office::open(Engine::Sqlite).await;
    let receiver = Receiver::start().await;
    let path = format!("/v1/admin/webhooks/retry/{}", delivered(&office, &receiver, 500).await);
    let headers = [("x-admin-secret", ADMIN_SECRET), ("idempotency-key", "again-1")];
    receiver.then(Answer::status(500));
    let failed = office.call("POST", &path, &headers, None).await;
    assert_eq!(failed.expect(200)["data"]["success"], false);
    let first = office.call("POST", &path, &headers, None).await;
    let again = office.call("POST", &path, &headers, None).await;
    assert_eq!(first.expect(200), again.expect(200));
    assert_eq!((first.header("idempotent-replayed"), again.header("idempotent-replayed")), ("", "true"));
    assert_eq!(receiver.received().len(), 3);
}

#[tokio::test]
async fn only_its_partner_and_administrators_read_a_delivery_with_its_attempts() {
    let office = Office::open(Engine::Sqlite).await;
    let receiver = Receiver::start().await;
    sign_up(&office, &receiver.url, &["Claims"]).await;
    let body = message(&office, 1).await;
    for (number, status) in [(1, 500), (2, 503), (3, 200)] {
        office.set_time(&format!("2026-03-09T1{number}:00:00Z"));
        receiver.then(Answer::status(status).body(format!("answer {number}")));
        attempt(&office, &body, number).await;
    }
    let listed = monitor(&office, "").await["recentDeliveries"][0].clone();
    let own = format!("/v1/webhooks/deliveries/{}", listed["id"]);
    let mut detail = office.get(&own).await.expect(200)["data"].clone();
    let by_admin = office.admin("GET", &own.replace("/v1/", "/v1/admin/"), None).await;
    assert_eq!(by_admin.expect(200)["data"], detail);
    let log = detail.as_object_mut().unwrap().remove("attemptLog").unwrap();
    assert_eq!(detail, listed);
    let told: Vec<_> =
        log.as_array().unwrap().iter().map(|it| (&it["statusCode"], &it["at"], &it["answer"])).collect();
    assert_eq!(
        told,
        [
            (&json!(500), &json!("2026-03-09T11:00:00Z"), &json!("")),
            (&json!(503), &json!("2026-03-09T12:00:00Z"), &json!("answer 2")),
            (&json!(200), &json!("2026-03-09T13:00:00Z"), &json!("")),
        ]
    );
    assert_eq!(
        (&log[0]["errorMessage"], &log[2]["errorMessage"]),
        (&json!("the endpoint answered 500"), &json!(null))
    );
    assert!(log[0]["durationMs"].is_u64());

    let stranger = office.token("other").await;
    office.send(&stranger, "GET", &own, None).await.expect_problem(404, "NOT_FOUND");
    office.get("/v1/webhooks/deliveries/99999").await.expect_problem(404, "NOT_FOUND");
    office.admin("GET", "/v1/admin/webhooks/deliveries/99999", None).await.expect_problem(404, "NOT_FOUND");
}

#[tokio::test]
async fn a_partner_without_keys_lists_the_webhooks_a_key_would_reactivate() {
    let receiver = Receiver::start().await;
    let office = Office::open(Engine::Sqlite).await;
    sign_up(&office, &receiver.url, &["Claims"]).await;
    let keys = office.admin("GET", "/v1/admin/keys?partnerId=prt_acme&limit=100", None).await;
    for key in keys.expect(200)["data"].as_array().unwrap() {
        if key["status"] == "active" {
            let path = format!("/v1/admin/keys/{}/revoke", key["id"].as_str().unwrap());
            office.admin("POST", &path, Some(&json!({}))).await.expect(200);
        }
    }
    let detail = office.admin("GET", "/v1/admin/partners/prt_acme", None).await;
    let data = &detail.expect(200)["data"];
    assert_eq!((&data["keys"], &data["practices"]), (&json!([]), &json!([])));
    let webhook = &data["subscriptions"][0];
    assert_eq!((&webhook["hookUrl"], &webhook["status"]), (&json!(receiver.url), &json!("suspended")));
}

#[tokio::test]
async fn a_test_event_needs_a_key_for_a_scope_of_the_subscription() {
    let receiver = Receiver::start().await;
    let office = Office::open(Engine::Sqlite).await;
    sign_up(&office, &receiver.url, &["Claims"]).await;
    let keys = office.admin("GET", "/v1/admin/keys?partnerId=prt_acme&limit=100", None).await;
    let rows = keys.expect(200)["data"].as_array().unwrap().clone();
    for key in rows.iter().filter(|it| it["scopes"].as_array().unwrap().contains(&json!("Claims"))) {
        let path = format!("/v1/admin/keys/{}", key["id"].as_str().unwrap());
        office.admin("PATCH", &path, Some(&json!({ "scopes": ["Patients"] }))).await.expect(200);
    }
    office.post("/v1/webhooks/test", &json!({})).await.expect_problem(409, "SUBSCRIPTION_SUSPENDED");
    assert!(receiver.received().is_empty());
}
