//! From the public form to a key: asking, deciding, claiming.

use serde_json::{Value, json};

use crate::office::{Engine, Office, Reply};

const REQUESTS: &str = "/v1/admin/access-requests";

fn wish() -> Value {
    json!({
        "company": "Nova Care", "practice": "DemoOffice", "contact": "Nia Bell", "email": "nia@nova.example",
        "requestedScopes": ["Prospects", "Providers", "Scheduling"], "message": "We sync calendars.\nThanks!",
    })
}

async fn public(office: &Office, path: &str, body: &Value) -> Reply {
    office.call("POST", path, &[("content-type", "application/json")], Some(&body.to_string())).await
}

async fn ask(office: &Office, wish: &Value) -> Reply {
    public(office, "/v1/access-requests", wish).await
}

/// Asks, and gives the request's id.
async fn pending(office: &Office) -> String {
    ask(office, &wish()).await.expect(202);
    let list = office.admin("GET", &format!("{REQUESTS}?status=pending"), None).await;
    list.expect(200)["data"][0]["id"].as_str().unwrap().to_owned()
}

async fn decide(office: &Office, id: &str, decision: &str, body: &Value) -> Reply {
    let headers = [
        ("x-admin-secret", crate::office::ADMIN_SECRET),
        ("content-type", "application/json"),
        ("host", "portal.example.com"),
    ];
    office.call("POST", &format!("{REQUESTS}/{id}/{decision}"), &headers, Some(&body.to_string())).await
}

/// The token of an approved request's claim link.
fn token(approved: &Reply) -> String {
    let url = approved.expect(200)["data"]["claimUrl"].as_str().unwrap();
    url.strip_prefix("https://portal.example.com/#claim=").unwrap().to_owned()
}

async fn claim(office: &Office, token: &str) -> Reply {
    public(office, "/v1/access-requests/claim", &json!({ "token": token })).await
}

#[tokio::test]
async fn a_key_claimed_through_its_link_works_with_exactly_the_approved_scopes() {
    let office = Office::open(Engine::Sqlite).await;
    let id = pending(&office).await;
    let approved = decide(&office, &id, "approve", &json!({ "scopes": ["Prospects", "Scheduling"] })).await;
    let claimed = claim(&office, &token(&approved)).await;
    let data = &claimed.expect(201)["data"];
    assert_eq!(data["scopes"], json!(["Prospects", "Scheduling"]));
    let body = json!({ "apiKey": data["apiKey"] });
    let exchanged = public(&office, "/v1/DemoOffice/auth/token", &body).await;
    let token = exchanged.expect(200)["accessToken"].as_str().unwrap();
    office.send(token, "GET", "/v1/DemoOffice/tags", None).await.expect(200);
    office.send(token, "GET", "/v1/DemoOffice/visit-types", None).await.expect(200);
    let providers = office.send(token, "GET", "/v1/DemoOffice/availability/providers", None).await;
    providers.expect_problem(403, "INSUFFICIENT_SCOPE");
    let me = office.send(token, "GET", "/v1/me", None).await;
    assert_eq!(
        (&me.expect(200)["data"]["company"], &me.body["data"]["email"]),
        (&json!("Nova Care"), &json!("nia@nova.example"))
    );
    let listed = office.admin("GET", REQUESTS, None).await;
    assert_eq!(
        (&listed.expect(200)["data"][0]["status"], &listed.body["data"][0]["keyId"]),
        (&json!("approved"), &data["id"])
    );
}

#[tokio::test]
async fn deciding_twice_is_refused() {
    let office = Office::open(Engine::Sqlite).await;
    let first = pending(&office).await;
    decide(&office, &first, "approve", &json!({})).await.expect(200);
    decide(&office, &first, "approve", &json!({})).await.expect_problem(409, "ALREADY_DECIDED");
    decide(&office, &first, "deny", &json!({})).await.expect_problem(409, "ALREADY_DECIDED");
    let second = pending(&office).await;
    let denied = decide(&office, &second, "deny", &json!({ "reason": "Not known to us" })).await;
    assert_eq!(
        (&denied.expect(200)["data"]["status"], &denied.body["data"]["reason"]),
        (&json!("denied"), &json!("Not known to us"))
    );
    decide(&office, &second, "approve", &json!({})).await.expect_problem(409, "ALREADY_DECIDED");
    decide(&office, "arq_none", "approve", &json!({})).await.expect_problem(404, "NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_ten_decisions_at_once_one_counts() {
    let office = Office::open(Engine::Sqlite).await;
    let id = pending(&office).await;
    let (approval, denial) = (json!({}), json!({}));
    let decisions = (0..10).map(|n| {
        let (decision, body) = if n % 2 == 0 { ("approve", &approval) } else { ("deny", &denial) };
        decide(&office, &id, decision, body)
    });
    let replies = futures::future::join_all(decisions).await;
    let statuses: Vec<u16> = replies.iter().map(|it| it.status.as_u16()).collect();
    assert_eq!(statuses.iter().filter(|it| **it == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|it| [200, 409].contains(it)), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_twenty_claims_at_once_one_mints_a_key() {
    let office = Office::open(Engine::Sqlite).await;
    let id = pending(&office).await;
    let token = token(&decide(&office, &id, "approve", &json!({})).await);
    let before = office.admin("GET", "/v1/admin/keys?limit=100", None).await.expect(200)["count"].clone();
    let replies = futures::future::join_all((0..20).map(|_| claim(&office, &token))).await;
    let minted: Vec<&Reply> = replies.iter().filter(|it| it.status.as_u16() == 201).collect();
    assert_eq!(minted.len(), 1);
    for reply in replies.iter().filter(|it| it.status.as_u16() != 201) {
        assert!([409, 429, 503].contains(&reply.status.as_u16()), "{}", reply.body);
    }
    claim(&office, &token).await.expect_problem(409, "CLAIM_USED");
    let after = office.admin("GET", "/v1/admin/keys?limit=100", None).await.expect(200)["count"].clone();
    assert_eq!(after.as_i64().unwrap(), before.as_i64().unwrap() + 1);
}

#[tokio::test]
async fn a_claim_link_is_good_for_72_hours_and_a_wrong_one_never() {
    let office = Office::open(Engine::Sqlite).await;
    let id = pending(&office).await;
    let token = token(&decide(&office, &id, "approve", &json!({})).await);
    let flipped = if token.ends_with('A') { "B" } else { "A" };
    let wrong = format!("{}{flipped}", &token[..token.len() - 1]);
    let unknown = format!("arq_none.{}", token.split_once('.').unwrap().1);
    for text in ["x", ".", &id, &wrong, &unknown] {
        claim(&office, text).await.expect_problem(404, "NOT_FOUND");
    }
    office.set_time("2026-03-12T12:00:00Z");
    claim(&office, &token).await.expect_problem(404, "NOT_FOUND");
    office.set_time("2026-03-12T11:59:59Z");
    claim(&office, &token).await.expect(201);
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_repeated_with_its_idempotency_key() {
    let office = Office::open(Engine::Sqlite).await;
    let id = pending(&office).await;
    let body = json!({ "token": token(&decide(&office, &id, "approve", &json!({})).await) }).to_string();
    let headers = [("content-type", "application/json"), ("idempotency-key", "claim-1")];
    let send = async || office.call("POST", "/v1/access-requests/claim", &headers, Some(&body)).await;
    let (first, second) = (send().await, send().await);
    assert_eq!(first.expect(201), second.expect(201));
    assert_eq!(second.header("idempotent-replayed"), "true");
}

#[tokio::test]
async fn only_what_was_requested_can_be_granted_and_only_for_a_registered_practice() {
    let office = Office::open(Engine::Sqlite).await;
    let mut unclear = wish();
    unclear["practice"] = json!("The clinic at the lake");
    ask(&office, &unclear).await.expect(202);
    let list = office.admin("GET", REQUESTS, None).await;
    let id = list.expect(200)["data"][0]["id"].as_str().unwrap();
    let reply = decide(&office, id, "approve", &json!({ "scopes": ["KB"], "partnerId": "prt_none" })).await;
    reply.expect_problem(422, "INVALID_FIELDS");
    assert_eq!(reply.wrong_fields(), ["body.practicepass", "body.scopes", "body.partnerId"]);
    let body = json!({ "practicepass": "OtherOffice", "scopes": ["Prospects"], "partnerId": "prt_acme" });
    let approved = decide(&office, id, "approve", &body).await;
    let claimed = claim(&office, &token(&approved)).await;
    let data = &claimed.expect(201)["data"];
    assert_eq!((&data["practicepass"], &data["partnerId"]), (&json!("OtherOffice"), &json!("prt_acme")));
}

#[tokio::test]
async fn a_companys_name_alone_does_not_make_an_applicant_its_partner() {
    let office = Office::open(Engine::Sqlite).await;
    let approve = async |email: &str| {
        let mut wish = wish();
        wish["company"] = json!("ACME Health");
        wish["email"] = json!(email);
        ask(&office, &wish).await.expect(202);
        let list = office.admin("GET", &format!("{REQUESTS}?status=pending"), None).await;
        let id = list.expect(200)["data"][0]["id"].as_str().unwrap().to_owned();
        decide(&office, &id, "approve", &json!({})).await.expect(200)["data"]["partnerId"].clone()
    };
    assert_eq!(approve("Kim@acme.example").await, "prt_acme");
    assert_ne!(approve("stranger@example.com").await, "prt_acme");
}

#[tokio::test]
async fn every_field_of_a_request_is_checked_at_once_and_the_answer_is_always_the_same() {
    let office = Office::open(Engine::Sqlite).await;
    let wrong = json!({
        "company": "x".repeat(201), "practice": "", "email": "nobody", "requestedScopes": ["Root"],
        "message": "x".repeat(2001), "admin": true,
    });
    let reply = ask(&office, &wrong).await;
    reply.expect_problem(422, "INVALID_FIELDS");
    let mut fields = reply.wrong_fields();
    fields.sort_unstable();
    let expected = ["admin", "company", "contact", "email", "message", "practice", "requestedScopes[0]"];
    assert_eq!(fields, expected.map(|name| format!("body.{name}")));
    let mut stranger = wish();
    stranger["practice"] = json!("No such practice");
    stranger["company"] = json!("Acme Health");
    let (one, other) = (ask(&office, &wish()).await, ask(&office, &stranger).await);
    assert_eq!(one.expect(202), other.expect(202));
}

#[tokio::test]
async fn one_address_asks_ten_times_in_ten_minutes_and_guesses_no_links() {
    let office = Office::open(Engine::Sqlite).await;
    for _ in 0..10 {
        ask(&office, &wish()).await.expect(202);
        claim(&office, "arq_none.guess").await.expect_problem(404, "NOT_FOUND");
    }
    ask(&office, &wish()).await.expect_problem(429, "RATE_LIMITED");
    claim(&office, "arq_none.guess").await.expect_problem(429, "RATE_LIMITED");
    office.set_time("2026-03-09T12:10:00Z");
    ask(&office, &wish()).await.expect(202);
}

#[tokio::test]
async fn a_repeated_request_is_one_request() {
    let office = Office::open(Engine::Sqlite).await;
    let headers = [("content-type", "application/json"), ("idempotency-key", "ask-1")];
    for _ in 0..3 {
        let body = wish().to_string();
        office.call("POST", "/v1/access-requests", &headers, Some(&body)).await.expect(202);
    }
    assert_eq!(office.admin("GET", REQUESTS, None).await.expect(200)["count"], 1);
}

#[tokio::test]
async fn a_lost_answer_to_an_approval_is_shown_again_from_a_sealed_copy() {
    let office = Office::open(Engine::Sqlite).await;
    let id = pending(&office).await;
    let approve = async |body: &Value| {
        let headers = [
            ("x-admin-secret", crate::office::ADMIN_SECRET),
            ("content-type", "application/json"),
            ("host", "portal.example.com"),
            ("idempotency-key", "approve-once"),
        ];
        office.call("POST", &format!("{REQUESTS}/{id}/approve"), &headers, Some(&body.to_string())).await
    };
    let first = approve(&json!({})).await;
    let again = approve(&json!({})).await;
    assert_eq!(again.expect(200), first.expect(200));
    assert_eq!(again.header("idempotent-replayed"), "true");
    approve(&json!({ "scopes": ["Prospects"] })).await.expect_problem(422, "IDEMPOTENCY_KEY_REUSED");
    decide(&office, &id, "approve", &json!({})).await.expect_problem(409, "ALREADY_DECIDED");
    let secret = token(&first).rsplit_once('.').unwrap().1.to_owned();
    for table in &office.tables {
        let items = office.dynamodb.scan().table_name(table).send().await.unwrap();
        assert!(!format!("{:?}", items.items()).contains(&secret), "{table} holds the link");
    }
    claim(&office, &token(&again)).await.expect(201);
}

#[tokio::test]
async fn all_that_is_wrong_with_an_approval_is_said_at_once() {
    let office = Office::open(Engine::Sqlite).await;
    let id = pending(&office).await;
    let wrong = json!({ "practicepass": "Nowhere", "partnerId": "prt_none", "scopes": ["Nope", "KB", "Never"], "x": 1 });
    let reply = decide(&office, &id, "approve", &wrong).await;
    let mut fields = reply.wrong_fields();
    fields.sort_unstable();
    assert_eq!(fields, ["body.partnerId", "body.practicepass", "body.scopes[0]", "body.scopes[2]", "body.x"]);
}
