//! A partner's own webhook endpoints.

use futures::{StreamExt, stream::FuturesUnordered};
use serde_json::{Value, json};
use shared::domain::{PracticePass, Scope, ids::PartnerId};

use crate::office::{Answer, Engine, Gate, Office, Receiver, ends, on_both_databases};

const SIGNUP: &str = "/v1/webhooks/signup";

fn example() -> Value {
    json!({ "hookUrl": "https://partner.example.com/officepro/webhooks", "scopes": ["Patients", "Claims"] })
}

pub(crate) async fn sign_up(office: &Office, url: &str, scopes: &[&str]) -> Value {
    let reply = office.post(SIGNUP, &json!({ "hookUrl": url, "scopes": scopes })).await;
    assert!(reply.status.is_success(), "{}", reply.body);
    reply.body["data"].clone()
}

async fn a_sign_up_responds_as_documented_and_a_repeat_keeps_the_secret(office: Office) {
    let reply = office.post(SIGNUP, &example()).await;
    let body = reply.expect(201);
    let secret = body["data"]["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_"));
    assert_eq!(
        *body,
        json!({
            "message": "Webhook subscription created successfully",
            "data": {
                "id": 1,
                "hookUrl": "https://partner.example.com/officepro/webhooks",
                "scopes": ["Patients", "Claims"],
                "status": "active",
                "secret": secret,
            },
        })
    );
    let change = json!({ "hookUrl": "https://partner.example.com/new", "scopes": ["Claims", "Claims"] });
    let reply = office.post(SIGNUP, &change).await;
    assert_eq!(
        *reply.expect(200),
        json!({
            "message": "Webhook subscription updated successfully",
            "data": {
                "id": 1,
                "hookUrl": "https://partner.example.com/new",
                "scopes": ["Claims"],
                "status": "active",
            },
        })
    );
    let shown = office.get("/v1/webhooks").await;
    let data = &shown.expect(200)["data"];
    assert_eq!((&data["id"], &data["scopes"]), (&json!(1), &json!(["Claims"])));
    assert_eq!(data["disabledReason"], Value::Null);
    assert!(!shown.body.to_string().contains("whsec_"));
}
on_both_databases!(a_sign_up_responds_as_documented_and_a_repeat_keeps_the_secret);

#[tokio::test]
async fn a_rejected_url_is_named_and_nothing_is_stored() {
    let office = Office::open(Engine::Sqlite).await;
    for url in [
        "http://partner.example.com/",
        "https://user:pw@partner.example.com/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::ffff:10.0.0.1]/",
        "https://inside.example.com/",
        "ftp://partner.example.com/",
        "nonsense",
    ] {
        let reply = office.post(SIGNUP, &json!({ "hookUrl": url, "scopes": ["Claims"] })).await;
        reply.expect_problem(422, "HOOK_URL_REFUSED");
        assert_eq!(reply.wrong_fields(), ["body.hookUrl"], "{url}");
    }
    office.get("/v1/webhooks").await.expect_problem(404, "NOT_FOUND");
}

#[tokio::test]
async fn every_invalid_field_of_a_sign_up_is_named() {
    let office = Office::open(Engine::Sqlite).await;
    let body = json!({ "hookUrl": 5, "scopes": ["Patients", "Prospects"], "secret": "mine" });
    let reply = office.post(SIGNUP, &body).await;
    reply.expect_problem(422, "INVALID_FIELDS");
    let mut wrong = reply.wrong_fields();
    wrong.sort_unstable();
    assert_eq!(wrong, ["body.hookUrl", "body.scopes[1]", "body.secret"]);
    let none = json!({ "hookUrl": "https://partner.example.com/", "scopes": [] });
    office.post(SIGNUP, &none).await.expect_problem(422, "INVALID_FIELDS");
}

#[tokio::test]
async fn a_sign_up_may_request_only_granted_event_scopes() {
    let office = Office::open(Engine::Sqlite).await;
    let token = office.token_with(&[Scope::Prospects, Scope::Claims]).await;
    let reply = office.send(&token, "POST", SIGNUP, Some(&example())).await;
    reply.expect_problem(403, "INSUFFICIENT_SCOPE");
    assert!(reply.header("www-authenticate").contains("insufficient_scope"));
    let claims = json!({ "hookUrl": "https://partner.example.com/", "scopes": ["Claims"] });
    office.send(&token, "POST", SIGNUP, Some(&claims)).await.expect(201);
}

#[tokio::test]
async fn a_repeated_sign_up_with_a_key_gets_the_first_reply() {
    let office = Office::open(Engine::Sqlite).await;
    let authorization = format!("Bearer {}", office.token("all").await);
    let send = async |key: &str, body: &Value| {
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", "application/json"),
            ("idempotency-key", key),
        ];
        office.call("POST", SIGNUP, &headers, Some(&body.to_string())).await
    };
    let first = send("signup-1", &example()).await;
    let again = send("signup-1", &example()).await;
    assert_eq!((first.expect(201), first.header("idempotent-replayed")), (again.expect(201), ""));
    assert_eq!(again.header("idempotent-replayed"), "true");
    let other = json!({ "hookUrl": "https://partner.example.com/", "scopes": ["Claims"] });
    send("signup-1", &other).await.expect_problem(422, "IDEMPOTENCY_KEY_REUSED");
    office.set_time("2026-03-10T12:00:01Z");
    let authorization = format!("Bearer {}", office.token("all").await);
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
        ("idempotency-key", "signup-1"),
    ];
    office.call("POST", SIGNUP, &headers, Some(&other.to_string())).await.expect(200);
}

#[tokio::test]
async fn concurrent_sign_ups_create_one_subscription() {
    let office = Office::open(Engine::Sqlite).await;
    let body = example();
    let replies = futures::future::join_all((0..6).map(|_| office.post(SIGNUP, &body))).await;
    let created = replies.iter().filter(|reply| reply.status == 201).count();
    assert_eq!(created, 1, "{replies:?}");
    assert!(replies.iter().all(|reply| [200, 201, 409, 503].contains(&reply.status.as_u16())), "{replies:?}");
    let practicepass = PracticePass::try_from("DemoOffice").unwrap();
    assert_eq!(office.app.control.subscriptions_of(&practicepass).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_subscription_created_after_a_deletion_has_the_id_and_a_new_secret() {
    let office = Office::open(Engine::Sqlite).await;
    office.delete("/v1/webhooks").await.expect_problem(404, "NOT_FOUND");
    let first = sign_up(&office, "https://partner.example.com/", &["Claims"]).await;
    assert_eq!(office.delete("/v1/webhooks").await.expect(200)["data"], json!({ "id": first["id"] }));
    office.get("/v1/webhooks").await.expect_problem(404, "NOT_FOUND");
    let second = sign_up(&office, "https://partner.example.com/", &["Claims"]).await;
    assert_eq!(first["id"], second["id"]);
    assert_ne!(first["secret"], second["secret"]);
}

#[tokio::test]
async fn both_secrets_sign_for_a_day_after_a_rotation() {
    let office = Office::open(Engine::Sqlite).await;
    let receiver = Receiver::start().await;
    let old = sign_up(&office, &receiver.url, &["Claims"]).await["secret"].clone();
    let rotated = office.post("/v1/webhooks/rotate-secret", &json!({})).await;
    let data = &rotated.expect(200)["data"];
    assert_ne!(data["secret"], old);
    assert_eq!(data["oldSecretValidUntil"], "2026-03-10T12:00:00Z");
    office.post("/v1/webhooks/test", &json!({})).await.expect(200);
    office.set_time("2026-03-10T12:00:00Z");
    office.post("/v1/webhooks/test", &json!({})).await.expect(200);
    let signatures: Vec<usize> =
        receiver.received().iter().map(|it| it.header("webhook-signature").split(' ').count()).collect();
    assert_eq!(signatures, [2, 1]);
}

#[tokio::test]
async fn every_replaced_secret_stays_valid_for_a_day() {
    let office = Office::open(Engine::Sqlite).await;
    let receiver = Receiver::start().await;
    sign_up(&office, &receiver.url, &["Claims"]).await;
    let rotate = "/v1/webhooks/rotate-secret";
    for hour in 12..16 {
        office.set_time(&format!("2026-03-09T{hour}:00:00Z"));
        office.post(rotate, &json!({})).await.expect(200);
    }
    let refused = office.post(rotate, &json!({})).await;
    refused.expect_problem(409, "ROTATED_TOO_OFTEN");
    assert_eq!(refused.header("retry-after"), (21 * 3600 + 1).to_string());
    for (time, expected) in [
        ("2026-03-10T11:59:59Z", 5),
        ("2026-03-10T12:00:00Z", 4),
        ("2026-03-10T14:59:59Z", 2),
        ("2026-03-10T15:00:00Z", 1),
    ] {
        office.set_time(time);
        office.post("/v1/webhooks/test", &json!({})).await.expect(200);
        let sent = receiver.received();
        let signatures = sent.last().unwrap().header("webhook-signature").to_owned();
        assert_eq!(signatures.split(' ').count(), expected, "{time}");
    }
    office.post(rotate, &json!({})).await.expect(200);
}

#[tokio::test]
async fn a_key_without_event_scopes_cannot_manage_the_subscription() {
    let office = Office::open(Engine::Sqlite).await;
    let receiver = Receiver::start().await;
    sign_up(&office, &receiver.url, &["Claims"]).await;
    let tested = office.post("/v1/webhooks/test", &json!({})).await;
    let retry = format!("/v1/webhooks/deliveries/{}/retry", tested.expect(200)["data"]["deliveryId"]);
    let calls = [
        ("GET", "/v1/webhooks"),
        ("GET", "/v1/webhooks/deliveries"),
        ("POST", "/v1/webhooks/rotate-secret"),
        ("POST", "/v1/webhooks/test"),
        ("POST", &retry),
        ("DELETE", "/v1/webhooks"),
    ];
    let others = [Scope::Prospects, Scope::Scheduling, Scope::Tickets, Scope::Kb, Scope::Products];
    let without = office.token_with(&others).await;
    for (method, path) in calls {
        let reply = office.send(&without, method, path, None).await;
        reply.expect_problem(403, "INSUFFICIENT_SCOPE");
        assert!(reply.header("www-authenticate").contains("insufficient_scope"), "{path}");
    }
    assert_eq!(receiver.received().len(), 1);
    let with = office.token_with(&[Scope::Documents]).await;
    for (method, path) in calls {
        office.send(&with, method, path, None).await.expect(200);
    }
}

#[tokio::test]
async fn a_test_shows_the_partner_the_endpoint_response() {
    let office = Office::open(Engine::Sqlite).await;
    let receiver = Receiver::start().await;
    office.post("/v1/webhooks/test", &json!({})).await.expect_problem(404, "NOT_FOUND");
    sign_up(&office, &receiver.url, &["Claims"]).await;
    receiver.then(Answer::status(500));
    let failed = office.post("/v1/webhooks/test", &json!({})).await;
    let data = &failed.expect(200)["data"];
    assert_eq!((&data["success"], &data["statusCode"]), (&json!(false), &json!(500)));
    let passed = office.post("/v1/webhooks/test", &json!({})).await;
    assert_eq!(passed.expect(200)["data"]["success"], true);
    let sent = receiver.received();
    assert_eq!(sent[0].header("x-officepro-event"), "Test");
    assert_eq!(sent[0].json()["practicepass"], "DemoOffice");
    let list = office.get("/v1/webhooks/deliveries?success=false").await;
    let rows = list.expect(200)["data"].as_array().unwrap();
    assert_eq!((rows.len(), &rows[0]["status"]), (1, &json!("failed")));
}

#[tokio::test]
async fn a_retry_resends_the_event_and_only_for_its_own_partner() {
    let office = Office::open(Engine::Sqlite).await;
    let receiver = Receiver::start().await;
    sign_up(&office, &receiver.url, &["Claims"]).await;
    receiver.then(Answer::status(503));
    let tested = office.post("/v1/webhooks/test", &json!({})).await;
    let source = tested.expect(200)["data"]["deliveryId"].as_i64().unwrap();
    let path = |id: i64| format!("/v1/webhooks/deliveries/{id}/retry");
    let retried = office.post(&path(source), &json!({})).await;
    let retry = retried.expect(200)["data"]["retryDeliveryId"].as_i64().unwrap();
    assert_eq!(
        retried.body,
        json!({
            "message": "Webhook delivery retried successfully",
            "data": {
                "sourceDeliveryId": source, "retryDeliveryId": retry, "success": true, "statusCode": 200,
                "attempts": 1, "errorMessage": null,
            },
        })
    );
    office.post(&path(retry), &json!({})).await.expect(200);
    let sent = receiver.received();
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().all(|it| it.header("webhook-id") == sent[0].header("webhook-id")));

    let stranger = office.token("other").await;
    let foreign = office.send(&stranger, "POST", &path(source), None).await;
    let absent = office.send(&stranger, "POST", &path(999_999), None).await;
    foreign.expect_problem(404, "NOT_FOUND");
    assert_eq!(foreign.body["detail"], absent.body["detail"]);
    office.post(&path(0), &json!({})).await.expect_problem(400, "INVALID_PATH");

    office.delete("/v1/webhooks").await.expect(200);
    office.post(&path(source), &json!({})).await.expect_problem(409, "SUBSCRIPTION_DELETED");
    sign_up(&office, &receiver.url, &["Claims"]).await;
    office.post(&path(source), &json!({})).await.expect_problem(409, "SUBSCRIPTION_DELETED");
}

#[tokio::test]
async fn a_repeated_retry_with_a_key_is_sent_once() {
    let office = Office::open(Engine::Sqlite).await;
    let receiver = Receiver::start().await;
    sign_up(&office, &receiver.url, &["Claims"]).await;
    let tested = office.post("/v1/webhooks/test", &json!({})).await;
    let path = format!("/v1/webhooks/deliveries/{}/retry", tested.expect(200)["data"]["deliveryId"]);
    let authorization = format!("Bearer {}", office.token("all").await);
    let headers = [("authorization", authorization.as_str()), ("idempotency-key", "again-1")];
    let first = office.call("POST", &path, &headers, None).await;
    let again = office.call("POST", &path, &headers, None).await;
    assert_eq!(first.expect(200), again.expect(200));
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(receiver.received().len(), 2);
}

#[tokio::test]
async fn a_failed_retry_can_be_repeated_with_the_same_idempotency_key() {
    let office = Office::open(Engine::Sqlite).await;
    let receiver = Receiver::start().await;
    sign_up(&office, &receiver.url, &["Claims"]).await;
    let send = async |path: &str, key: &str| {
        let authorization = format!("Bearer {}", office.token("all").await);
        let headers = [("authorization", authorization.as_str()), ("idempotency-key", key)];
        office.call("POST", path, &headers, None).await
    };
    let first = send("/v1/webhooks/test", "first").await;
    let retry = format!("/v1/webhooks/deliveries/{}/retry", first.expect(200)["data"]["deliveryId"]);
    for path in ["/v1/webhooks/test", &retry] {
        office.set_time("2026-03-09T12:00:00Z");
        let before = receiver.received().len();
        receiver.then(Answer::status(500));
        let failed = send(path, "k").await;
        assert_eq!(failed.expect(200)["data"]["success"], false);
        let passed = send(path, "k").await;
        assert_eq!(
            (&passed.expect(200)["data"]["success"], passed.header("idempotent-replayed")),
            (&json!(true), "")
        );
        office.set_time("2026-03-10T11:59:59Z");
        let again = send(path, "k").await;
        assert_eq!((again.expect(200), again.header("idempotent-replayed")), (passed.expect(200), "true"));
        office.set_time("2026-03-10T12:00:00Z");
        let later = send(path, "k").await;
        assert_ne!(later.expect(200)["data"], passed.body["data"]);
        assert_eq!(receiver.received().len(), before + 3, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_requests_with_one_idempotency_key_are_sent_once() {
    let office = Office::open(Engine::Sqlite).await;
    let receiver = Receiver::start().await;
    sign_up(&office, &receiver.url, &["Claims"]).await;
    let authorization = format!("Bearer {}", office.token("all").await);
    let headers = [("authorization", authorization.as_str()), ("idempotency-key", "once")];
    let gate = Gate::closed();
    receiver.then(Answer::status(200).behind(&gate));
    let calls = (0..5).map(|_| office.call("POST", "/v1/webhooks/test", &headers, None));
    let mut replies: FuturesUnordered<_> = calls.collect();
    for _ in 0..4 {
        let reply = ends("the later requests", replies.next()).await;
        reply.unwrap().expect_problem(409, "IDEMPOTENCY_IN_PROGRESS");
    }
    gate.open();
    replies.next().await.unwrap().expect(200);
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn deliveries_are_paged_newest_first() {
    let office = Office::open(Engine::Sqlite).await;
    let receiver = Receiver::start().await;
    sign_up(&office, &receiver.url, &["Claims"]).await;
    for second in 0..5 {
        office.set_time(&format!("2026-03-09T12:00:0{second}Z"));
        office.post("/v1/webhooks/test", &json!({})).await.expect(200);
    }
    let (mut ids, mut path) = (Vec::new(), "/v1/webhooks/deliveries?limit=2".to_owned());
    loop {
        let page = office.get(&path).await;
        let body = page.expect(200);
        let rows = body["data"].as_array().unwrap();
        assert_eq!(body["count"], rows.len());
        ids.extend(rows.iter().map(|row| row["id"].as_i64().unwrap()));
        let Some(cursor) = body["pagination"]["nextCursor"].as_str() else { break };
        path = format!("/v1/webhooks/deliveries?limit=2&cursor={cursor}");
    }
    assert_eq!(ids.len(), 5);
    assert!(ids.is_sorted_by(|newer, older| newer > older), "{ids:?}");
    office.get("/v1/webhooks/deliveries?cursor=forged").await.expect_problem(400, "INVALID_QUERY");
    office.get("/v1/webhooks/deliveries?limit=0").await.expect_problem(400, "INVALID_QUERY");
}

#[tokio::test]
async fn a_partner_accesses_only_its_own_subscription() {
    let office = Office::open(Engine::Sqlite).await;
    sign_up(&office, "https://partner.example.com/", &["Claims"]).await;
    let stranger = office.token("other").await;
    office.send(&stranger, "GET", "/v1/webhooks", None).await.expect_problem(404, "NOT_FOUND");
    let (practice, partner) = (PracticePass::try_from("OtherOffice").unwrap(), PartnerId("prt_other".into()));
    assert!(office.app.control.subscription(&practice, &partner).await.unwrap().is_none());
    for (method, path) in [("GET", "/v1/webhooks"), ("POST", SIGNUP), ("GET", "/v1/webhooks/deliveries")] {
        office.call(method, path, &[], None).await.expect_problem(401, "UNAUTHENTICATED");
    }
}

#[tokio::test]
async fn all_errors_of_a_sign_up_are_reported_at_once() {
    let office = Office::open(Engine::Sqlite).await;
    let reply = office
        .post(SIGNUP, &json!({ "hookUrl": "ftp://x", "scopes": ["Nope", "Claims", "Also"], "x": 1 }))
        .await;
    reply.expect_problem(422, "INVALID_FIELDS");
    let mut fields = reply.wrong_fields();
    fields.sort_unstable();
    assert_eq!(fields, ["body.hookUrl", "body.scopes[0]", "body.scopes[2]", "body.x"]);
    let reply = office.post(SIGNUP, &json!({ "hookUrl": "ftp://x", "scopes": [] })).await;
    reply.expect_problem(422, "INVALID_FIELDS");
    assert_eq!(reply.wrong_fields(), ["body.scopes", "body.hookUrl"]);
    let reply = office.post(SIGNUP, &json!({ "hookUrl": "ftp://x", "scopes": ["Claims"] })).await;
    reply.expect_problem(422, "HOOK_URL_REFUSED");
}
