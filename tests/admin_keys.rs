//! Administration of keys and partners, and how soon a change of a key takes effect.

use serde_json::{Value, json};
use shared::auth::api_key::ApiKey;

use crate::office::{Engine, Office, Reply};

const KEYS: &str = "/v1/admin/keys";

/// Creates a key of `prt_acme` for `DemoOffice` through the API; returns the response.
async fn create(office: &Office) -> Value {
    let body = json!({
        "partnerId": "prt_acme", "name": "New", "practicepass": "DemoOffice", "scopes": ["Prospects",
            "Providers"],
    });
    office.admin("POST", KEYS, Some(&body)).await.expect(201)["data"].clone()
}

async fn exchange(office: &Office, api_key: &str) -> Reply {
    let body = json!({ "apiKey": api_key }).to_string();
    let headers = [("content-type", "application/json")];
    office.call("POST", "/v1/DemoOffice/auth/token", &headers, Some(&body)).await
}

async fn token(office: &Office, api_key: &str) -> String {
    exchange(office, api_key).await.expect(200)["accessToken"].as_str().unwrap().to_owned()
}

async fn me(office: &Office, token: &str) -> Reply {
    office.send(token, "GET", "/v1/me", None).await
}

async fn post(office: &Office, key: &Value, act: &str, body: &Value) -> Reply {
    office.admin("POST", &format!("{KEYS}/{}/{act}", key["id"].as_str().unwrap()), Some(body)).await
}

async fn patch(office: &Office, key: &Value, body: &Value) -> Reply {
    office.admin("PATCH", &format!("{KEYS}/{}", key["id"].as_str().unwrap()), Some(body)).await
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap()
}

#[tokio::test]
async fn a_key_is_shown_once_and_works_with_exactly_its_scopes() {
    let office = Office::open(Engine::Sqlite).await;
    let key = create(&office).await;
    let api_key = text(&key, "apiKey");
    assert!(api_key.starts_with(text(&key, "prefix")) && api_key.starts_with("op_live_"));
    let token = token(&office, api_key).await;
    assert_eq!(
        me(&office, &token).await.expect(200)["data"]["key"]["scopes"],
        json!(["Prospects", "Providers"])
    );
    office.send(&token, "GET", "/v1/DemoOffice/tags", None).await.expect(200);
    office
        .send(&token, "GET", "/v1/DemoOffice/visit-types", None)
        .await
        .expect_problem(403, "INSUFFICIENT_SCOPE");
    let list = office.admin("GET", KEYS, None).await;
    let shown = list.expect(200).to_string();
    let secret = api_key.split('_').nth(3).unwrap();
    assert!(shown.contains(text(&key, "prefix")) && !shown.contains(secret));
}

#[tokio::test]
async fn keys_of_a_sandbox_practice_begin_with_op_test() {
    let office = Office::open(Engine::Sqlite).await;
    let demo = "DemoOffice".try_into().unwrap();
    let mut practice = office.app.control.practice(&demo).await.unwrap().unwrap();
    practice.sandbox = true;
    office.app.control.put_practice(&practice).await.unwrap();
    let key = create(&office).await;
    assert!(text(&key, "apiKey").starts_with("op_test_"));
    let rotated = post(&office, &key, "rotate", &json!({ "overlap": "0" })).await;
    let rotated = rotated.expect(200);
    assert!(text(&rotated["data"], "apiKey").starts_with(text(&key, "prefix")));
    exchange(&office, text(&rotated["data"], "apiKey")).await.expect(200);
}

#[tokio::test]
async fn all_errors_of_a_key_request_are_reported_at_once() {
    let office = Office::open(Engine::Sqlite).await;
    let wrong = json!({
        "partnerId": "prt_none", "name": "x", "practicepass": "Nowhere", "scopes": [],
        "expiresAt": "2026-03-09T12:00:00Z",
    });
    let reply = office.admin("POST", KEYS, Some(&wrong)).await;
    reply.expect_problem(422, "INVALID_FIELDS");
    let mut fields = reply.wrong_fields();
    fields.sort_unstable();
    assert_eq!(fields, ["body.expiresAt", "body.partnerId", "body.practicepass", "body.scopes"]);
    // One response lists errors in the text, errors that only the stores reveal, and every invalid
    // item of a list.
    let wrong = json!({
        "partnerId": "prt_none", "practicepass": "Nowhere", "expiresAt": "2026-03-09T12:00:00Z", "name": "",
        "scopes": ["Everything", "KB", "Nothing"], "allowedCidrs": ["10.0.0.0/33", "10.0.0.0/8", "x"],
            "rateLimit": 0,
        "secret": "mine",
    });
    let reply = office.admin("POST", KEYS, Some(&wrong)).await;
    let mut fields = reply.wrong_fields();
    fields.sort_unstable();
    let expected = [
        "allowedCidrs[0]",
        "allowedCidrs[2]",
        "expiresAt",
        "name",
        "partnerId",
        "practicepass",
        "rateLimit",
        "scopes[0]",
        "scopes[2]",
        "secret",
    ];
    assert_eq!(fields, expected.map(|name| format!("body.{name}")));
    let key = create(&office).await;
    let wrong =
        json!({ "name": "", "scopes": [], "expiresAt": "2026-03-09T12:00:00Z", "allowedCidrs": ["x"] });
    let reply = patch(&office, &key, &wrong).await;
    let mut fields = reply.wrong_fields();
    fields.sort_unstable();
    assert_eq!(fields, ["body.allowedCidrs[0]", "body.expiresAt", "body.name", "body.scopes"]);
}

#[tokio::test]
async fn a_repeated_creation_creates_one_key_and_stores_its_reply_encrypted() {
    let office = Office::open(Engine::Sqlite).await;
    let body =
        json!({ "partnerId": "prt_acme", "name": "Once", "practicepass": "DemoOffice", "scopes": ["KB"] });
    let headers = [
        ("x-admin-secret", crate::office::ADMIN_SECRET),
        ("content-type", "application/json"),
        ("idempotency-key", "one-key"),
    ];
    let send = async |body: &Value| office.call("POST", KEYS, &headers, Some(&body.to_string())).await;
    let (first, second) = (send(&body).await, send(&body).await);
    assert_eq!(first.expect(201), second.expect(201));
    assert_eq!((first.header("idempotent-replayed"), second.header("idempotent-replayed")), ("", "true"));
    let mut other = body.clone();
    other["name"] = json!("Twice");
    send(&other).await.expect_problem(422, "IDEMPOTENCY_KEY_REUSED");
    let named: Vec<Value> = office.admin("GET", KEYS, None).await.expect(200)["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["name"] == "Once")
        .cloned()
        .collect();
    assert_eq!(named.len(), 1);
    let hash = shared::auth::sha256_hex(body.to_string().as_bytes());
    let request = shared::domain::idempotency::RequestKey {
        key_id: "admin".into(),
        method: "POST".into(),
        path: KEYS.into(),
        idempotency_key: "one-key".into(),
        body_hash: hash,
    };
    let kept = office.app.control.stored_response(&request, office.app.clock.now()).await.unwrap().unwrap();
    assert!(!kept.response.contains("op_live"), "{}", kept.response);
}

#[tokio::test]
async fn a_revoked_key_gets_no_tokens_and_loses_live_ones_within_60_seconds() {
    let office = Office::open(Engine::Sqlite).await;
    let key = create(&office).await;
    let token = token(&office, text(&key, "apiKey")).await;
    me(&office, &token).await.expect(200);
    assert_eq!(post(&office, &key, "revoke", &json!({})).await.expect(200)["data"]["status"], "revoked");
    exchange(&office, text(&key, "apiKey")).await.expect_problem(401, "INVALID_API_KEY");
    office.set_time("2026-03-09T12:00:59Z");
    me(&office, &token).await.expect_problem(401, "UNAUTHENTICATED");
    post(&office, &key, "revoke", &json!({})).await.expect(200);
    post(&office, &key, "rotate", &json!({ "overlap": "0" })).await.expect_problem(409, "KEY_REVOKED");
    patch(&office, &key, &json!({ "name": "again" })).await.expect_problem(409, "KEY_REVOKED");
}

#[tokio::test]
async fn a_rotation_without_overlap_ends_the_old_tokens_within_60_seconds() {
    let office = Office::open(Engine::Sqlite).await;
    let key = create(&office).await;
    let old = token(&office, text(&key, "apiKey")).await;
    me(&office, &old).await.expect(200);
    let rotated = post(&office, &key, "rotate", &json!({ "overlap": "0" })).await;
    let new_key = text(&rotated.expect(200)["data"], "apiKey");
    exchange(&office, text(&key, "apiKey")).await.expect_problem(401, "INVALID_API_KEY");
    let new = token(&office, new_key).await;
    office.set_time("2026-03-09T12:00:59Z");
    me(&office, &old).await.expect_problem(401, "UNAUTHENTICATED");
    me(&office, &new).await.expect(200);
}

#[tokio::test]
async fn the_old_secret_and_its_tokens_are_valid_until_the_overlap_ends() {
    let office = Office::open(Engine::Sqlite).await;
    let key = create(&office).await;
    let old = token(&office, text(&key, "apiKey")).await;
    let rotated = post(&office, &key, "rotate", &json!({ "overlap": "1h" })).await;
    let rotated = &rotated.expect(200)["data"];
    assert_eq!(rotated["previousSecretUntil"], "2026-03-09T13:00:00Z");
    let new = token(&office, text(rotated, "apiKey")).await;
    office.set_time("2026-03-09T12:59:59Z");
    let late = token(&office, text(&key, "apiKey")).await;
    for token in [&old, &late, &new] {
        me(&office, token).await.expect(200);
    }
    office.set_time("2026-03-09T13:00:00Z");
    exchange(&office, text(&key, "apiKey")).await.expect_problem(401, "INVALID_API_KEY");
    for token in [&old, &late] {
        me(&office, token).await.expect_problem(401, "UNAUTHENTICATED");
    }
    me(&office, &new).await.expect(200);
}

#[tokio::test]
async fn a_second_rotation_ends_the_previous_overlap() {
    let office = Office::open(Engine::Sqlite).await;
    let first = create(&office).await;
    let second = post(&office, &first, "rotate", &json!({ "overlap": "7d" })).await;
    let third = post(&office, &first, "rotate", &json!({ "overlap": "24h" })).await;
    exchange(&office, text(&first, "apiKey")).await.expect_problem(401, "INVALID_API_KEY");
    exchange(&office, text(&second.expect(200)["data"], "apiKey")).await.expect(200);
    exchange(&office, text(&third.expect(200)["data"], "apiKey")).await.expect(200);
    let reply = post(&office, &first, "rotate", &json!({ "overlap": "2h" })).await;
    assert_eq!(reply.wrong_fields(), ["body.overlap"]);
}

#[tokio::test]
async fn tokens_lose_the_scopes_that_a_patch_removes_within_60_seconds() {
    let office = Office::open(Engine::Sqlite).await;
    let key = create(&office).await;
    let token = token(&office, text(&key, "apiKey")).await;
    let tags = async || office.send(&token, "GET", "/v1/DemoOffice/tags", None).await;
    tags().await.expect(200);
    patch(&office, &key, &json!({ "scopes": ["Providers"] })).await.expect(200);
    office.set_time("2026-03-09T12:00:59Z");
    tags().await.expect_problem(403, "INSUFFICIENT_SCOPE");
    let change =
        json!({ "scopes": ["Prospects"], "allowedCidrs": ["203.0.113.7"], "rateLimit": 5, "name": "Narrow" });
    let changed = patch(&office, &key, &change).await;
    let changed = &changed.expect(200)["data"];
    assert_eq!((&changed["allowedCidrs"], &changed["rateLimit"]), (&json!(["203.0.113.7/32"]), &json!(5)));
    exchange(&office, text(&key, "apiKey")).await.expect_problem(401, "INVALID_API_KEY");
    office.set_time("2026-03-09T12:02:00Z");
    tags().await.expect_problem(401, "UNAUTHENTICATED");
    patch(&office, &key, &json!({ "allowedCidrs": null, "expiresAt": "2026-03-09T12:10:00Z" }))
        .await
        .expect(200);
    office.set_time("2026-03-09T12:09:59Z");
    tags().await.expect(200);
    office.set_time("2026-03-09T12:10:00Z");
    tags().await.expect_problem(401, "UNAUTHENTICATED");
    exchange(&office, text(&key, "apiKey")).await.expect_problem(401, "INVALID_API_KEY");
    let reply = patch(&office, &key, &json!({ "name": null, "scopes": null, "rateLimit": null })).await;
    assert_eq!(reply.wrong_fields(), ["body.name", "body.scopes", "body.rateLimit"]);
}

#[tokio::test]
async fn a_change_of_a_key_preserves_its_last_use() {
    let office = Office::open(Engine::Sqlite).await;
    let key = create(&office).await;
    token(&office, text(&key, "apiKey")).await;
    office.app.flush().await;
    let changed = patch(&office, &key, &json!({ "name": "Used" })).await;
    assert_eq!(changed.expect(200)["data"]["lastUsedAt"], "2026-03-09T12:00:00Z");
    let list = office.admin("GET", "/v1/admin/keys?partnerId=prt_acme&limit=100", None).await;
    let rows = list.expect(200)["data"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["partnerId"] == "prt_acme"));
    let row = rows.iter().find(|row| row["id"] == key["id"]).unwrap();
    assert_eq!((&row["name"], &row["lastUsedAt"]), (&json!("Used"), &json!("2026-03-09T12:00:00Z")));
}

#[tokio::test]
async fn keys_of_a_suspended_partner_fail_until_it_is_reactivated() {
    let office = Office::open(Engine::Sqlite).await;
    let token = office.token("all").await;
    me(&office, &token).await.expect(200);
    let set = async |status: &str| {
        office.admin("PATCH", "/v1/admin/partners/prt_acme", Some(&json!({ "status": status }))).await
    };
    assert_eq!(set("suspended").await.expect(200)["data"]["status"], "suspended");
    exchange(&office, office.api_key("all")).await.expect_problem(401, "INVALID_API_KEY");
    office.set_time("2026-03-09T12:00:59Z");
    me(&office, &token).await.expect_problem(401, "UNAUTHENTICATED");
    let body =
        json!({ "partnerId": "prt_acme", "name": "x", "practicepass": "DemoOffice", "scopes": ["KB"] });
    office.admin("POST", KEYS, Some(&body)).await.expect_problem(409, "PARTNER_SUSPENDED");
    set("active").await.expect(200);
    office.set_time("2026-03-09T12:01:58Z");
    me(&office, &token).await.expect(200);
}

#[tokio::test]
async fn partners_can_be_registered_listed_and_changed() {
    let office = Office::open(Engine::Sqlite).await;
    let body = json!({ "company": "Beta Labs", "contactName": "Bo", "email": "bo@beta.example" });
    let created = office.admin("POST", "/v1/admin/partners", Some(&body)).await;
    let id = text(&created.expect(201)["data"], "id");
    let path = format!("/v1/admin/partners/{id}");
    let change = json!({ "company": "Alpha Labs", "contactName": null });
    let changed = office.admin("PATCH", &path, Some(&change)).await;
    assert_eq!(
        (&changed.expect(200)["data"]["contactName"], &changed.body["data"]["email"]),
        (&json!(null), &json!("bo@beta.example"))
    );
    assert_eq!(office.admin("GET", &path, None).await.expect(200)["data"]["company"], "Alpha Labs");
    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = office.admin("GET", &format!("/v1/admin/partners?limit=1{cursor}"), None).await;
        let page = page.expect(200);
        names.push(text(&page["data"][0], "company").to_owned());
        match page["pagination"]["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(names, ["Acme Health", "Alpha Labs", "Other Health"]);
    let wrong = json!({ "company": null, "status": "gone", "email": "x", "id": "mine" });
    let reply = office.admin("PATCH", &path, Some(&wrong)).await;
    assert_eq!(reply.wrong_fields(), ["body.company", "body.email", "body.status", "body.id"]);
    office.admin("GET", "/v1/admin/partners/prt_none", None).await.expect_problem(404, "NOT_FOUND");
}

#[tokio::test]
async fn a_change_and_its_audit_record_are_atomic() {
    let office = Office::open(Engine::Sqlite).await;
    let key = create(&office).await;
    patch(&office, &key, &json!({ "name": "Renamed", "rateLimit": 7 })).await.expect(200);
    post(&office, &key, "rotate", &json!({ "overlap": "0" })).await.expect(200);
    post(&office, &key, "revoke", &json!({})).await.expect(200);
    let log = office.admin("GET", "/v1/admin/audit?limit=100", None).await;
    let mut actions: Vec<&str> = log.expect(200)["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["target"] == key["id"])
        .map(|row| text(row, "action"))
        .collect();
    actions.sort_unstable();
    assert_eq!(actions, ["keys.create", "keys.revoke", "keys.rotate", "keys.update"]);
    let rows = log.body["data"].as_array().unwrap();
    assert_eq!(rows.len(), 4, "a change is not audited twice");
    let update = rows.iter().find(|row| row["action"] == "keys.update").unwrap();
    assert_eq!(update["fields"], json!(["name", "rateLimit"]));
}

#[tokio::test]
async fn two_concurrent_changes_are_both_kept() {
    let office = Office::open(Engine::Sqlite).await;
    let key = create(&office).await;
    let (name, limit) = (json!({ "name": "Both" }), json!({ "rateLimit": 77 }));
    let (one, two) = tokio::join!(patch(&office, &key, &name), patch(&office, &key, &limit));
    one.expect(200);
    two.expect(200);
    let id = ApiKey::parse(text(&key, "apiKey")).unwrap().id;
    let stored = office.app.control.api_key(&id).await.unwrap().unwrap();
    assert_eq!((stored.name.as_str(), stored.rate_limit), ("Both", 77));
}

#[tokio::test]
async fn a_rotation_must_state_its_overlap() {
    let office = Office::open(Engine::Sqlite).await;
    let key = create(&office).await;
    let reply = post(&office, &key, "rotate", &json!({})).await;
    reply.expect_problem(422, "INVALID_FIELDS");
    assert_eq!(reply.wrong_fields(), ["body.overlap"]);
    exchange(&office, text(&key, "apiKey")).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_concurrent_changes_of_one_partner_all_succeed() {
    let office = Office::open(Engine::Sqlite).await;
    // A caller that has used the secret before may use it many times at once.
    office.admin("GET", KEYS, None).await.expect(200);
    let changes = (0..20).map(|number| {
        let body = json!({ "phone": format!("212-555-01{number:02}") });
        let office = &office;
        async move { office.admin("PATCH", "/v1/admin/partners/prt_acme", Some(&body)).await }
    });
    for reply in futures::future::join_all(changes).await {
        reply.expect(200);
    }
    let partner =
        office.app.control.partner(&shared::domain::ids::PartnerId("prt_acme".into())).await.unwrap();
    assert!(partner.unwrap().version > 20);
}
