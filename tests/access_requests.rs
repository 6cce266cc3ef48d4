//! From the public form to a key: request, decision, claim.

use serde_json::{Value, json};
use shared::domain::PracticePass;

use crate::office::{Engine, Office, Reply};

const REQUESTS: &str = "/v1/admin/access-requests";

fn request_body() -> Value {
    json!({
        "company": "Nova Care", "practice": "DemoOffice", "contact": "Nia Bell", "email": "nia@nova.example",
        "requestedScopes": ["Prospects", "Providers", "Scheduling"], "message": "We sync calendars.\nThanks!",
    })
}

async fn public(office: &Office, path: &str, body: &Value) -> Reply {
    office.call("POST", path, &[("content-type", "application/json")], Some(&body.to_string())).await
}

async fn ask(office: &Office, request_body: &Value) -> Reply {
    public(office, "/v1/access-requests", request_body).await
}

/// Sends a request; returns its id.
async fn pending(office: &Office) -> String {
    ask(office, &request_body()).await.expect(202);
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

/// Returns the token of an approved request's claim link.
fn token(approved: &Reply) -> String {
    let url = approved.expect(200)["data"]["claimUrl"].as_str().unwrap();
    url.strip_prefix("https://portal.example.com/#claim=").unwrap().to_owned()
}

async fn claim(office: &Office, token: &str) -> Reply {
    public(office, "/v1/access-requests/claim", &json!({ "token": token })).await
}

#[tokio::test]
async fn a_claimed_key_has_exactly_the_approved_scopes() {
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
async fn a_second_decision_is_rejected() {
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
async fn one_of_ten_concurrent_decisions_succeeds() {
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
async fn one_of_twenty_concurrent_claims_creates_a_key() {
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
async fn a_claim_link_is_valid_for_72_hours_and_a_wrong_one_never() {
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
async fn a_claim_link_ends_with_its_practice_even_if_the_name_is_reused() {
    let office = Office::open(Engine::Sqlite).await;
    let id = pending(&office).await;
    let token = token(&decide(&office, &id, "approve", &json!({})).await);
    let practice = PracticePass::try_from("DemoOffice").unwrap();
    let mut entry = office.app.control.practice(&practice).await.unwrap().unwrap();
    for (registered_at, status) in [("2026-03-09T12:00:01Z", 404), ("2026-03-09T12:00:00Z", 201)] {
        entry.registered_at = Some(registered_at.parse().unwrap());
        office.app.control.put_practice(&entry).await.unwrap();
        claim(&office, &token).await.expect(status);
    }
}

#[tokio::test]
async fn a_claim_with_a_lost_reply_is_repeated_with_its_idempotency_key() {
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
async fn an_approval_grants_only_requested_scopes_in_registered_practices() {
    let office = Office::open(Engine::Sqlite).await;
    let mut unclear = request_body();
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

/// Approves an applicant with these names, with `partnerId` absent or `null`; returns the partner's
/// id.
async fn approve_applicant(office: &Office, company: &str, email: &str, body: &Value) -> Value {
    let mut request_body = request_body();
    (request_body["company"], request_body["email"]) = (json!(company), json!(email));
    ask(office, &request_body).await.expect(202);
    let list = office.admin("GET", &format!("{REQUESTS}?status=pending"), None).await;
    let id = list.expect(200)["data"][0]["id"].as_str().unwrap().to_owned();
    decide(office, &id, "approve", body).await.expect(200)["data"]["partnerId"].clone()
}

#[tokio::test]
async fn an_applicant_is_a_new_partner_unless_the_approval_names_one() {
    let office = Office::open(Engine::Sqlite).await;
    for body in [json!({}), json!({ "partnerId": null })] {
        let id = approve_applicant(&office, "Acme Health", "kim@acme.example", &body).await;
        assert_ne!(id, "prt_acme");
    }
    let named = json!({ "partnerId": "prt_acme" });
    assert_eq!(approve_applicant(&office, "Nova Care", "nia@nova.example", &named).await, "prt_acme");
}

#[tokio::test]
async fn a_partner_renamed_like_an_applicant_gets_no_key_and_is_flagged() {
    let office = Office::open(Engine::Sqlite).await;
    let token = office.token("all").await;
    let change = json!({ "company": "Nova Care", "email": "nia@nova.example", "phone": "212-555-0188" });
    office.send(&token, "PATCH", "/v1/me", Some(&change)).await.expect(200);
    let id = approve_applicant(&office, "Nova Care", "nia@nova.example", &json!({})).await;
    assert_ne!(id, "prt_acme");
    let detail = office.admin("GET", "/v1/admin/partners/prt_acme", None).await;
    let data = &detail.expect(200)["data"];
    let changes = json!([
        { "field": "company", "from": "Acme Health", "to": "Nova Care" },
        { "field": "email", "from": "kim@acme.example", "to": "nia@nova.example" },
    ]);
    assert_eq!(data["identityChanges"], json!([{ "time": crate::office::NOW, "changes": changes }]));
    assert_eq!(data["identityChangedAt"], crate::office::NOW);
    assert!(data["practices"].as_array().unwrap().contains(&json!("DemoOffice")));
    assert!(data["keys"].as_array().unwrap().iter().any(|key| key["name"] == "all"));
    let log = office.admin("GET", "/v1/admin/audit", None).await;
    let rows = log.expect(200)["data"].as_array().unwrap();
    let row = rows.iter().find(|row| row["action"] == "me.update").unwrap();
    assert_eq!((&row["target"], &row["changes"]), (&json!("prt_acme"), &changes));
    assert!(!row.to_string().contains("0188"), "no other value");
    // A change that leaves both unchanged is not audited.
    office
        .send(&token, "PATCH", "/v1/me", Some(&json!({ "company": "Nova Care", "phone": null })))
        .await
        .expect(200);
    let log = office.admin("GET", "/v1/admin/audit", None).await;
    let rows = log.expect(200)["data"].as_array().unwrap();
    assert_eq!(rows.iter().filter(|row| row["action"] == "me.update").count(), 1);
}

#[tokio::test]
async fn a_claimed_key_has_the_terms_of_its_approval() {
    let office = Office::open(Engine::Sqlite).await;
    let id = pending(&office).await;
    let wrong = json!({ "expiresAt": "2026-03-09T12:00:00Z", "allowedCidrs": ["nowhere"], "rateLimit": 0 });
    let reply = decide(&office, &id, "approve", &wrong).await;
    let mut fields = reply.wrong_fields();
    fields.sort_unstable();
    assert_eq!(fields, ["body.allowedCidrs[0]", "body.expiresAt", "body.rateLimit"]);
    let terms =
        json!({ "expiresAt": "2026-03-10T12:00:00Z", "allowedCidrs": ["198.51.100.0/24"], "rateLimit": 7 });
    let token = token(&decide(&office, &id, "approve", &terms).await);
    let claimed = claim(&office, &token).await;
    for name in ["expiresAt", "allowedCidrs", "rateLimit"] {
        assert_eq!(claimed.expect(201)["data"][name], terms[name], "{name}");
    }
    let id = shared::domain::ids::KeyId(claimed.body["data"]["id"].as_str().unwrap().to_owned());
    let key = office.app.control.api_key(&id).await.unwrap().unwrap();
    assert_eq!((key.rate_limit, key.allowed_cidrs.len()), (7, 1));
    assert_eq!(key.expires_at, Some("2026-03-10T12:00:00Z".parse().unwrap()));
}

#[tokio::test]
async fn a_claim_link_for_an_expired_key_is_invalid() {
    let office = Office::open(Engine::Sqlite).await;
    let id = pending(&office).await;
    let terms = json!({ "expiresAt": "2026-03-09T13:00:00Z" });
    let token = token(&decide(&office, &id, "approve", &terms).await);
    office.set_time("2026-03-09T13:00:00Z");
    claim(&office, &token).await.expect_problem(404, "NOT_FOUND");
    decide(&office, &id, "reissue", &json!({})).await.expect_problem(409, "NOT_APPROVED");
}

#[tokio::test]
async fn a_withdrawn_approval_has_no_claim_link() {
    let office = Office::open(Engine::Sqlite).await;
    let id = pending(&office).await;
    decide(&office, &id, "withdraw", &json!({})).await.expect_problem(409, "NOT_APPROVED");
    let token = token(&decide(&office, &id, "approve", &json!({})).await);
    assert_eq!(decide(&office, &id, "withdraw", &json!({})).await.expect(200)["data"]["status"], "withdrawn");
    claim(&office, &token).await.expect_problem(404, "NOT_FOUND");
    for again in ["withdraw", "reissue"] {
        decide(&office, &id, again, &json!({})).await.expect_problem(409, "NOT_APPROVED");
    }
    decide(&office, &id, "approve", &json!({})).await.expect_problem(409, "ALREADY_DECIDED");
    let listed = office.admin("GET", &format!("{REQUESTS}?status=withdrawn"), None).await;
    assert_eq!(listed.expect(200)["data"][0]["id"], id);
    assert_eq!(
        office.admin("GET", &format!("{REQUESTS}?status=approved"), None).await.expect(200)["count"],
        0
    );
}

#[tokio::test]
async fn a_new_link_replaces_the_old_one_and_a_claimed_approval_gets_none() {
    let office = Office::open(Engine::Sqlite).await;
    let id = pending(&office).await;
    let old = token(&decide(&office, &id, "approve", &json!({})).await);
    office.set_time("2026-03-13T12:00:00Z");
    let new = token(&decide(&office, &id, "reissue", &json!({})).await);
    claim(&office, &old).await.expect_problem(404, "NOT_FOUND");
    claim(&office, &new).await.expect(201);
    for late in ["withdraw", "reissue"] {
        decide(&office, &id, late, &json!({})).await.expect_problem(409, "CLAIM_USED");
    }
}

#[tokio::test]
async fn pending_requests_expire_after_30_days_and_decided_ones_after_a_year() {
    let office = Office::open(Engine::Sqlite).await;
    let decided = pending(&office).await;
    office.set_time("2026-03-09T12:00:01Z");
    let undecided = pending(&office).await;
    let count = async || office.admin("GET", REQUESTS, None).await.expect(200)["count"].clone();
    office.set_time("2026-04-08T11:59:59Z");
    assert_eq!(count().await, 2);
    decide(&office, &decided, "deny", &json!({})).await.expect(200);
    office.set_time("2026-04-08T12:00:01Z");
    assert_eq!(count().await, 1);
    decide(&office, &undecided, "approve", &json!({})).await.expect_problem(404, "NOT_FOUND");
    office.set_time("2027-04-08T11:59:58Z");
    assert_eq!(count().await, 1);
    office.set_time("2027-04-08T12:00:00Z");
    assert_eq!(count().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_applicants_together_store_at_most_100_requests_an_hour() {
    let office = Office::open(Engine::Sqlite).await;
    let from = async |network: u16| {
        let address = format!("2001:db8:{network:x}::1");
        let body = request_body().to_string();
        let headers = [("content-type", "application/json")];
        office.call_from(&address, "POST", "/v1/access-requests", &headers, Some(&body)).await
    };
    for network in 0..100 {
        from(network).await.expect(202);
    }
    let refused = from(100).await;
    refused.expect_problem(429, "RATE_LIMITED");
    assert_eq!(refused.header("retry-after"), "3600");
    office.set_time("2026-03-09T13:00:00Z");
    from(100).await.expect(202);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_ten_thousand_requests_takes_one_query() {
    use shared::{
        control::access_requests::{AccessRequest, AccessStatus},
        domain::{Scope, ids::AccessRequestId},
    };
    let office = Office::open(Engine::Sqlite).await;
    let control = &office.app.control;
    let now = office.app.clock.now();
    let request = |number: u32| AccessRequest {
        id: AccessRequestId(format!("arq_{number:05}")),
        company: "Nova Care".into(),
        practice: "DemoOffice".into(),
        contact: "Nia Bell".into(),
        email: "nia@nova.example".into(),
        requested_scopes: vec![Scope::Prospects],
        message: None,
        status: if number == 3 { AccessStatus::Denied } else { AccessStatus::Pending },
        created_at: now,
        decided_at: None,
        reason: None,
        approval: None,
        expires_at: AccessRequest::undecided_until(now),
        version: 1,
    };
    for chunk in 0..100 {
        let writes = (0..100).map(|it| control.access_request_write(&request(chunk * 100 + it)).unwrap());
        control.transact(writes.collect()).await.unwrap();
    }
    for query in ["", "&status=pending", "&status=denied"] {
        let list = async |cursor: &str| {
            office.store_calls.take();
            let reply = office.admin("GET", &format!("{REQUESTS}?limit=25{query}{cursor}"), None).await;
            let asked = office.store_calls.take();
            assert_eq!(asked.iter().filter(|it| *it == "Query").count(), 1, "{query}: {asked:?}");
            reply
        };
        let first = list("").await;
        let expected = if query == "&status=denied" { 1 } else { 25 };
        assert_eq!(first.expect(200)["count"], expected);
        assert!(first.body["pagination"].get("total").is_none());
        if let Some(cursor) = first.body["pagination"]["nextCursor"].as_str() {
            let second = list(&format!("&cursor={cursor}")).await;
            assert_eq!(second.expect(200)["count"], 25);
            assert_ne!(second.body["data"][0]["id"], first.body["data"][24]["id"]);
        }
    }
}

#[tokio::test]
async fn all_fields_of_a_request_are_checked_and_the_reply_reveals_nothing() {
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
    let mut stranger = request_body();
    stranger["practice"] = json!("No such practice");
    stranger["company"] = json!("Acme Health");
    let (one, other) = (ask(&office, &request_body()).await, ask(&office, &stranger).await);
    assert_eq!(one.expect(202), other.expect(202));
}

#[tokio::test]
async fn one_address_gets_ten_requests_in_ten_minutes_and_no_link_guesses() {
    let office = Office::open(Engine::Sqlite).await;
    for _ in 0..10 {
        ask(&office, &request_body()).await.expect(202);
        claim(&office, "arq_none.guess").await.expect_problem(404, "NOT_FOUND");
    }
    ask(&office, &request_body()).await.expect_problem(429, "RATE_LIMITED");
    claim(&office, "arq_none.guess").await.expect_problem(429, "RATE_LIMITED");
    office.set_time("2026-03-09T12:10:00Z");
    ask(&office, &request_body()).await.expect(202);
}

#[tokio::test]
async fn a_repeated_request_is_stored_once() {
    let office = Office::open(Engine::Sqlite).await;
    let headers = [("content-type", "application/json"), ("idempotency-key", "ask-1")];
    for _ in 0..3 {
        let body = request_body().to_string();
        office.call("POST", "/v1/access-requests", &headers, Some(&body)).await.expect(202);
    }
    assert_eq!(office.admin("GET", REQUESTS, None).await.expect(200)["count"], 1);
}

#[tokio::test]
async fn a_lost_approval_reply_is_replayed_from_an_encrypted_copy() {
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
async fn all_errors_of_an_approval_are_reported_at_once() {
    let office = Office::open(Engine::Sqlite).await;
    let id = pending(&office).await;
    let wrong = json!({
        "practicepass": "Nowhere", "partnerId": "prt_none", "scopes": ["Nope", "KB", "Never"], "x": 1,
    });
    let reply = decide(&office, &id, "approve", &wrong).await;
    let mut fields = reply.wrong_fields();
    fields.sort_unstable();
    assert_eq!(fields, ["body.partnerId", "body.practicepass", "body.scopes[0]", "body.scopes[2]", "body.x"]);
}

#[tokio::test]
async fn the_original_name_of_a_partner_stays_visible_after_renames() {
    let office = Office::open(Engine::Sqlite).await;
    let token = office.token("all").await;
    for number in 0..12 {
        let change = json!({ "company": format!("Name {number}") });
        office.send(&token, "PATCH", "/v1/me", Some(&change)).await.expect(200);
    }
    let detail = office.admin("GET", "/v1/admin/partners/prt_acme", None).await;
    let changes = detail.expect(200)["data"]["identityChanges"].as_array().unwrap().clone();
    assert_eq!(changes.len(), 10);
    assert_eq!(
        (&changes[0]["changes"][0]["to"], &changes[9]["changes"][0]["from"]),
        (&json!("Name 11"), &json!("Acme Health"))
    );
    for hidden in [
        "Victim\u{200b} GmbH",
        "Vic\u{ad}tim",
        "Victim\u{feff}",
        "\u{2060}Victim",
        "Vic\u{34f}tim",
        "Victim\u{fe0f}",
        "Vic\u{3164}tim",
        "Victim\u{e0041}",
        "\u{2800}",
    ] {
        let reply = office.send(&token, "PATCH", "/v1/me", Some(&json!({ "company": hidden }))).await;
        reply.expect_problem(422, "INVALID_FIELDS");
        assert_eq!(reply.wrong_fields(), ["body.company"], "{hidden:?}");
    }
}
