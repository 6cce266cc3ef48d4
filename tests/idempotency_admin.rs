//! Twenty concurrent POSTs of administrators and applicants with one `Idempotency-Key` have one
//! effect and one reply.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::{Value, json};
use shared::auth::api_key::ApiKey;

use crate::office::{ADMIN_SECRET, Engine, Office, Receiver, Reply};

const TIMES: usize = 20;

/// How to count an operation's effects.
enum Effect {
    /// The number of rows in an admin list.
    Rows(&'static str),
    /// The number of changes of the key named `all`.
    Revision,
    /// Calls of the partner's endpoint.
    Deliveries,
    /// The number of approved requests.
    Approvals,
    Reissues,
}

struct Case {
    /// Its name in the description.
    operation: &'static str,
    path: String,
    body: Value,
    /// Another body that would succeed; `None` if the body has no effect or names the caller.
    other: Option<Value>,
    effect: Effect,
}

fn documented() -> BTreeSet<String> {
    let description = crate::described::described();
    let mut found = BTreeSet::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let partners = operation["security"].to_string().contains("accessToken");
            let parameters = operation["parameters"].as_array();
            if !partners && parameters.into_iter().flatten().any(|it| it["name"] == "Idempotency-Key") {
                found.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    found
}

fn headers<'a>(case: &Case, key: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut headers =
        vec![("content-type", "application/json"), ("idempotency-key", key), ("host", "portal.example.com")];
    if case.operation.contains("/admin/") {
        headers.push(("x-admin-secret", ADMIN_SECRET));
    }
    headers
}

async fn send(office: &Office, case: &Case, key: &str, body: &Value) -> Reply {
    office.call("POST", &case.path, &headers(case, key), Some(&body.to_string())).await
}

async fn effects(office: &Office, hook: &Receiver, effect: &Effect) -> i64 {
    match effect {
        Effect::Rows(list) => {
            let reply = office.admin("GET", &format!("{list}?limit=100"), None).await;
            reply.expect(200)["count"].as_i64().unwrap()
        }
        Effect::Revision => {
            let id = ApiKey::parse(office.api_key("all")).unwrap().id;
            office.app.control.api_key(&id).await.unwrap().unwrap().revision
        }
        Effect::Approvals => {
            let reply = office.admin("GET", "/v1/admin/access-requests?status=approved", None).await;
            reply.expect(200)["count"].as_i64().unwrap()
        }
        Effect::Reissues => {
            // The whole log: records of one instant have no order.
            let log = office.app.control.audit_log(10_000, None).await.unwrap();
            assert!(log.next.is_none());
            let count = log.items.iter().filter(|row| row.action == "access-requests.reissue").count();
            i64::try_from(count).unwrap()
        }
        Effect::Deliveries => i64::try_from(hook.received().len()).unwrap(),
    }
}

fn request_body(contact: &str) -> Value {
    json!({
        "company": "Nova Care", "practice": "DemoOffice", "contact": contact, "email": "nia@nova.example",
    })
}

/// Creates a request; returns the path that approves it.
async fn to_approve(office: &Office) -> String {
    let content = [("content-type", "application/json")];
    let ask = request_body("Nia Bell").to_string();
    office.call("POST", "/v1/access-requests", &content, Some(&ask)).await.expect(202);
    let list = office.admin("GET", "/v1/admin/access-requests?status=pending", None).await;
    format!("/v1/admin/access-requests/{}/approve", list.expect(200)["data"][0]["id"].as_str().unwrap())
}

/// Creates and approves a request; returns the token of its claim link.
async fn claim_token(office: &Office) -> String {
    let path = to_approve(office).await;
    let headers = [
        ("content-type", "application/json"),
        ("x-admin-secret", ADMIN_SECRET),
        ("host", "portal.example.com"),
    ];
    let approved = office.call("POST", &path, &headers, Some("{}")).await;
    let url = approved.expect(200)["data"]["claimUrl"].as_str().unwrap();
    url.rsplit_once('=').unwrap().1.to_owned()
}

async fn cases(office: &Office, hook: &Receiver) -> Vec<Case> {
    let signup = json!({ "hookUrl": hook.url, "scopes": ["Patients"] });
    office.post("/v1/webhooks/signup", &signup).await.expect(201);
    office.post("/v1/webhooks/test", &json!({})).await.expect(200);
    let listed = office.get("/v1/webhooks/deliveries").await;
    let delivery = listed.expect(200)["data"][0]["id"].as_i64().unwrap();
    let id = ApiKey::parse(office.api_key("all")).unwrap().id;
    // Create the link first: both requests have the same instant, and either could be the newest.
    let claim = claim_token(office).await;
    let reissue = to_approve(office).await;
    let headers = [
        ("content-type", "application/json"),
        ("x-admin-secret", ADMIN_SECRET),
        ("host", "portal.example.com"),
    ];
    office.call("POST", &reissue, &headers, Some("{}")).await.expect(200);
    let reissue = reissue.replace("/approve", "/reissue");
    let approval = to_approve(office).await;
    let case = |operation, path: String, body, other, effect| Case { operation, path, body, other, effect };
    let at = |path: &str| path.to_owned();
    let key = |name| {
        json!({
            "partnerId": "prt_acme", "name": name, "practicepass": "DemoOffice", "scopes": ["Prospects"],
        })
    };
    vec![
        case(
            "POST /v1/admin/partners",
            at("/v1/admin/partners"),
            json!({ "company": "Once Ltd" }),
            Some(json!({ "company": "Twice Ltd" })),
            Effect::Rows("/v1/admin/partners"),
        ),
        case(
            "POST /v1/admin/keys",
            at("/v1/admin/keys"),
            key("Once"),
            Some(key("Twice")),
            Effect::Rows("/v1/admin/keys"),
        ),
        case(
            "POST /v1/admin/keys/{id}/rotate",
            format!("/v1/admin/keys/{id}/rotate"),
            json!({ "overlap": "24h" }),
            Some(json!({ "overlap": "7d" })),
            Effect::Revision,
        ),
        case(
            "POST /v1/admin/webhooks/retry/{id}",
            format!("/v1/admin/webhooks/retry/{delivery}"),
            json!({}),
            None,
            Effect::Deliveries,
        ),
        case("POST /v1/admin/access-requests/{id}/approve", approval, json!({}), None, Effect::Approvals),
        case("POST /v1/admin/access-requests/{id}/reissue", reissue, json!({}), None, Effect::Reissues),
        case(
            "POST /v1/access-requests",
            at("/v1/access-requests"),
            request_body("Nia Bell"),
            Some(request_body("Bo Bell")),
            Effect::Rows("/v1/admin/access-requests"),
        ),
        case(
            "POST /v1/access-requests/claim",
            at("/v1/access-requests/claim"),
            json!({ "token": claim }),
            None,
            Effect::Rows("/v1/admin/keys"),
        ),
    ]
}

async fn twenty_at_once(office: &Office, hook: &Receiver, case: &Case) {
    let what = case.operation;
    let before = effects(office, hook, &case.effect).await;
    let replies = join_all((0..TIMES).map(|_| send(office, case, "one-key", &case.body))).await;
    let (done, refused): (Vec<&Reply>, Vec<&Reply>) = replies.iter().partition(|it| it.status.is_success());
    for reply in refused {
        // Still in flight, or over an applicant's concurrency limit: both replies say when to
        // retry.
        assert!([409, 429].contains(&reply.status.as_u16()), "{what}: {}", reply.body);
    }
    let first = done.first().unwrap_or_else(|| panic!("{what}: none of {TIMES} went through"));
    assert!(done.iter().all(|it| (it.status, &it.body) == (first.status, &first.body)), "{what}");
    assert_eq!(effects(office, hook, &case.effect).await, before + 1, "{what}");

    let retried = send(office, case, "one-key", &case.body).await;
    assert_eq!((retried.status, &retried.body), (first.status, &first.body), "{what}");
    assert_eq!(retried.header("idempotent-replayed"), "true", "{what}");
    if let Some(other) = &case.other {
        send(office, case, "one-key", other).await.expect_problem(422, "IDEMPOTENCY_KEY_REUSED");
    }
    assert_eq!(effects(office, hook, &case.effect).await, before + 1, "{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_admin_or_applicant_posts_with_one_key_have_one_effect() {
    let office = Office::open(Engine::Sqlite).await;
    let hook = Receiver::start().await;
    let cases = cases(&office, &hook).await;
    let covered: BTreeSet<String> = cases.iter().map(|it| it.operation.to_owned()).collect();
    assert_eq!(covered, documented(), "every operation with a key, and no other");
    for case in &cases {
        twenty_at_once(&office, &hook, case).await;
    }
}

#[tokio::test]
async fn replies_to_administrators_and_applicants_are_stored_for_24_hours() {
    let office = Office::open(Engine::Sqlite).await;
    let hook = Receiver::start().await;
    for case in cases(&office, &hook).await.iter().filter(|it| it.other.is_some()) {
        office.set_time(crate::office::NOW);
        send(&office, case, "kept", &case.body).await;
        office.set_time("2026-03-10T11:59:59Z");
        let replayed = send(&office, case, "kept", &case.body).await;
        assert_eq!(replayed.header("idempotent-replayed"), "true", "{}", case.operation);
        office.set_time("2026-03-10T12:00:01Z");
        let again = send(&office, case, "kept", &case.body).await;
        assert!(again.status.is_success(), "{}: {}", case.operation, again.body);
        assert_eq!(again.header("idempotent-replayed"), "", "{}", case.operation);
    }
}
