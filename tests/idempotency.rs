//! Twenty concurrent POSTs with one `Idempotency-Key` have one effect and one reply.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::{Value, json};

use crate::office::{Engine, Office, Receiver, Reply, on_both_databases};

const TIMES: usize = 20;

/// An operation that accepts a key, with requests that succeed.
struct Case {
    /// Its name in the description.
    operation: &'static str,
    path: String,
    body: Value,
    /// Another request, which succeeds after the first; `None` if the body has no effect.
    other: Option<Value>,
    effect: Effect,
}

/// How to count an operation's effects.
enum Effect {
    /// An integer from the practice's database.
    Rows(&'static str),
    /// An integer from the catalog.
    CatalogRows(&'static str),
    /// Calls of the partner's endpoint.
    Deliveries,
    /// The version of the partner's subscription.
    Subscription,
}

/// Returns every operation in the description that accepts a partner's `Idempotency-Key`; those of
/// administrators and the portal have their own tests.
fn documented() -> BTreeSet<String> {
    let description = crate::described::described();
    let mut found = BTreeSet::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let parameters = operation["parameters"].as_array();
            let partners = operation["security"].to_string().contains("accessToken");
            if partners && parameters.into_iter().flatten().any(|it| it["name"] == "Idempotency-Key") {
                found.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    found
}

async fn send(office: &Office, case: &Case, key: &str, body: &Value) -> Reply {
    let authorization = format!("Bearer {}", office.token("all").await);
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
        ("idempotency-key", key),
    ];
    let method = case.operation.split(' ').next().unwrap();
    office.call(method, &case.path, &headers, Some(&body.to_string())).await
}

async fn effects(office: &Office, hook: &Receiver, effect: &Effect) -> i64 {
    match effect {
        Effect::Rows(query) => office.integer(query).await,
        Effect::CatalogRows(query) => office.catalog_integer(query).await,
        Effect::Deliveries => i64::try_from(hook.received().len()).unwrap(),
        Effect::Subscription => {
            let partner = shared::domain::ids::PartnerId("prt_acme".into());
            let found = office.app.control.subscription(office.db.practicepass(), &partner).await.unwrap();
            found.map_or(0, |it| it.version)
        }
    }
}

fn booking(time: &str) -> Value {
    json!({
        "PatientID": 1001, "ProviderID": 1, "VisitType": "Consult",
        "VisitDate": "2026-03-12", "VisitTime": time, "VisitDuration": 30,
    })
}

fn cases(hook: &Receiver) -> Vec<Case> {
    let case = |operation, path: &str, body, other, effect| Case {
        operation,
        path: path.to_owned(),
        body,
        other,
        effect,
    };
    let person = |name| json!({ "FirstName": name, "LastName": "Once", "Phone": "212-555-0188" });
    let signup = |scope| json!({ "hookUrl": hook.url, "scopes": [scope] });
    let product = |code| {
        let one = json!({ "VendorCode": "V9", "ProductCode": code, "Product": "Serum", "RetailPrice": 9.5 });
        json!({ "products": [one] })
    };
    vec![
        case(
            "POST /v1/products",
            "/v1/products",
            product("P1"),
            Some(product("P2")),
            Effect::CatalogRows("select count(*) from products"),
        ),
        case(
            "POST /v1/{PPass}/prospects",
            "/v1/DemoOffice/prospects",
            person("Ann"),
            Some(person("Bea")),
            Effect::Rows("select count(*) from patients"),
        ),
        case(
            "POST /v1/{PPass}/tags/prospects/{id}",
            "/v1/DemoOffice/tags/prospects/1001",
            json!({ "tagId": 1 }),
            Some(json!({ "tagId": 2 })),
            Effect::Rows("select count(*) from patient_tags"),
        ),
        case(
            "POST /v1/{PPass}/tickets",
            "/v1/DemoOffice/tickets",
            json!({ "Subject": "Fax is down" }),
            Some(json!({ "Subject": "Fax is up" })),
            Effect::Rows("select count(*) from tickets"),
        ),
        // the ticket of the case above
        case(
            "POST /v1/{PPass}/tickets/{id}/comment",
            "/v1/DemoOffice/tickets/1/comment",
            json!({ "Comment": "Since noon" }),
            Some(json!({ "Comment": "Since one" })),
            Effect::Rows("select count(*) from ticket_comments"),
        ),
        case(
            "POST /v1/{PPass}/visits/book",
            "/v1/DemoOffice/visits/book",
            booking("10:00"),
            Some(booking("11:00")),
            Effect::Rows("select count(*) from visits"),
        ),
        case(
            "POST /v1/webhooks/signup",
            "/v1/webhooks/signup",
            signup("Patients"),
            Some(signup("Claims")),
            Effect::Subscription,
        ),
        case("POST /v1/webhooks/test", "/v1/webhooks/test", json!({}), None, Effect::Deliveries),
        case(
            "POST /v1/webhooks/deliveries/{id}/retry",
            "/v1/webhooks/deliveries/1/retry",
            json!({}),
            None,
            Effect::Deliveries,
        ),
    ]
}

async fn twenty_at_once(office: &Office, hook: &Receiver, case: &Case) {
    let what = case.operation;
    let before = effects(office, hook, &case.effect).await;
    let replies = join_all((0..TIMES).map(|_| send(office, case, "one-key", &case.body))).await;
    let (done, busy): (Vec<&Reply>, Vec<&Reply>) = replies.iter().partition(|it| it.status.is_success());
    for reply in busy {
        reply.expect_problem(409, "IDEMPOTENCY_IN_PROGRESS");
        assert!(!reply.header("retry-after").is_empty(), "{what}");
    }
    let first = done.first().unwrap_or_else(|| panic!("{what}: none of {TIMES} went through"));
    assert!(done.iter().all(|it| (it.status, &it.body) == (first.status, &first.body)), "{what}");
    let new = done.iter().filter(|it| it.header("idempotent-replayed").is_empty()).count();
    assert_eq!(new, 1, "{what}: {new} answers say that they are the first");
    assert_eq!(effects(office, hook, &case.effect).await, before + 1, "{what}");

    // A caller that never received that reply and repeats the request gets exactly the same one.
    let retried = send(office, case, "one-key", &case.body).await;
    assert_eq!((retried.status, &retried.body), (first.status, &first.body), "{what}");
    assert_eq!(retried.header("idempotent-replayed"), "true", "{what}");
    for name in ["etag", "location"] {
        assert_eq!(retried.header(name), first.header(name), "{what}");
    }
    if let Some(other) = &case.other {
        send(office, case, "one-key", other).await.expect_problem(422, "IDEMPOTENCY_KEY_REUSED");
    }
    assert_eq!(effects(office, hook, &case.effect).await, before + 1, "{what}");

    // Another key is another request.
    let other = send(office, case, "another-key", case.other.as_ref().unwrap_or(&case.body)).await;
    assert!(other.status.is_success(), "{what}: {}", other.body);
    assert_eq!(effects(office, hook, &case.effect).await, before + 2, "{what}");
}

async fn twenty_posts_with_one_key_have_one_effect_and_one_reply(office: Office) {
    let hook = Receiver::start().await;
    let cases = cases(&hook);
    let covered: BTreeSet<String> = cases.iter().map(|it| it.operation.to_owned()).collect();
    let mut documented = documented();
    // Its effect is in the queue; tests/pipeline/help_yourself.rs repeats it.
    assert!(documented.remove("POST /v1/webhooks/replay"));
    assert_eq!(covered, documented, "every operation with a key, and no other");
    for case in &cases {
        twenty_at_once(&office, &hook, case).await;
    }
}
on_both_databases!(twenty_posts_with_one_key_have_one_effect_and_one_reply);

async fn an_idempotency_key_is_limited_to_its_api_key_path_and_day(office: Office) {
    let post = async |token: &str, path: &str| {
        let authorization = format!("Bearer {token}");
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", "application/json"),
            ("idempotency-key", "shared"),
        ];
        let body = if path.contains("tags") {
            json!({ "tagId": 1 })
        } else {
            json!({ "FirstName": "Ann", "LastName": "Once", "Phone": "212-555-0188" })
        };
        office.call("POST", path, &headers, Some(&body.to_string())).await
    };
    let all = office.token("all").await;
    let narrow = office.token("prospects").await;
    let path = "/v1/DemoOffice/prospects";
    for (token, path) in [
        (&all, path),
        (&narrow, path),
        (&all, "/v1/DemoOffice/tags/prospects/1001"),
        (&all, "/v1/DemoOffice/tags/prospects/1002"),
    ] {
        let reply = post(token, path).await;
        reply.expect(201);
        assert_eq!(reply.header("idempotent-replayed"), "", "{path}");
    }
    assert_eq!(post(&all, path).await.header("idempotent-replayed"), "true");
    office.set_time("2026-03-10T11:59:59Z");
    let all = office.token("all").await;
    assert_eq!(post(&all, path).await.header("idempotent-replayed"), "true");
    office.set_time("2026-03-10T12:00:01Z");
    let reply = post(&all, path).await;
    reply.expect(201);
    assert_eq!(reply.header("idempotent-replayed"), "", "it is forgotten after 24 hours");
}
on_both_databases!(an_idempotency_key_is_limited_to_its_api_key_path_and_day);

#[tokio::test]
async fn an_idempotency_key_must_be_visible_ascii_of_a_valid_length() {
    let office = Office::open(Engine::Sqlite).await;
    let hook = Receiver::start().await;
    for case in &cases(&hook) {
        for key in ["", " ", "a b", "é", &"x".repeat(256)] {
            let reply = send(&office, case, key, &case.body).await;
            reply.expect_problem(400, "INVALID_HEADER");
            assert_eq!(reply.wrong_fields(), ["header.Idempotency-Key"]);
        }
    }
}

async fn a_replayed_reply_with_patient_data_is_audited_like_the_first(office: Office) {
    let hook = Receiver::start().await;
    for case in cases(&hook).iter().filter(|it| it.operation.contains("{PPass}")) {
        send(&office, case, "audited", &case.body).await;
        let rows = "select count(*) from audit_log";
        let before = office.integer(rows).await;
        let replayed = send(&office, case, "audited", &case.body).await;
        assert_eq!(replayed.header("idempotent-replayed"), "true", "{}", case.operation);
        assert_eq!(office.integer(rows).await, before + 1, "{}", case.operation);
        let last = "select count(*) from audit_log where action like '%.replay' and entity_ids <> ''
                    and audit_id = (select max(audit_id) from audit_log)";
        assert_eq!(office.integer(last).await, 1, "{}", case.operation);
        // A different body reveals nothing.
        if let Some(other) = &case.other {
            send(&office, case, "audited", other).await.expect_problem(422, "IDEMPOTENCY_KEY_REUSED");
            assert_eq!(office.integer(rows).await, before + 1, "{}", case.operation);
        }
    }
}
on_both_databases!(a_replayed_reply_with_patient_data_is_audited_like_the_first);
