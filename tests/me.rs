//! My information.

use serde_json::json;

use crate::office::{Engine, Office};

#[tokio::test]
async fn a_partner_reads_its_profile_and_key_but_no_secret() {
    let office = Office::open(Engine::Sqlite).await;
    let reply = office.get("/v1/me").await;
    let me = &reply.expect(200)["data"];
    assert_eq!(me["company"], "Acme Health");
    assert_eq!(me["key"]["practicepass"], "DemoOffice");
    assert_eq!(me["key"]["rateLimit"], 100_000);
    for field in ["id", "company", "contactName", "email", "phone", "website", "notificationEmail", "key"] {
        assert!(me.get(field).is_some(), "{field}");
    }
    assert!(!reply.body.to_string().contains("ecret"));
}

#[tokio::test]
async fn a_merge_patch_changes_named_fields_and_clears_null_fields() {
    let office = Office::open(Engine::Sqlite).await;
    let token = office.token("all").await;
    let body = json!({ "phone": "(212) 555-0123", "contactName": null });
    let reply = office.send(&token, "PATCH", "/v1/me", Some(&body)).await;
    let me = &reply.expect(200)["data"];
    assert_eq!((&me["phone"], &me["contactName"]), (&json!("(212) 555-0123"), &json!(null)));
    assert_eq!(me["email"], "kim@acme.example");
    assert_eq!(office.get("/v1/me").await.expect(200)["data"], *me);
}

#[tokio::test]
async fn every_invalid_field_is_named_and_nothing_changes() {
    let office = Office::open(Engine::Sqlite).await;
    let token = office.token("all").await;
    let before = office.get("/v1/me").await.body;
    let body =
        json!({ "email": "nonsense", "website": "ftp://x", "company": "", "status": "active", "phone": 5 });
    let reply = office.send(&token, "PATCH", "/v1/me", Some(&body)).await;
    reply.expect_problem(422, "INVALID_FIELDS");
    let mut wrong = reply.wrong_fields();
    wrong.sort_unstable();
    assert_eq!(wrong, ["body.company", "body.email", "body.phone", "body.status", "body.website"]);
    let reply = office.send(&token, "PATCH", "/v1/me", Some(&json!({ "company": null }))).await;
    reply.expect_problem(422, "INVALID_FIELDS");
    assert_eq!(office.get("/v1/me").await.body, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_concurrent_profile_changes_all_succeed() {
    let office = Office::open(Engine::Sqlite).await;
    let token = office.token("all").await;
    let fields = ["phone", "website", "email", "contactName"];
    let changes = (0..20).map(|number| {
        let value = match number % 4 {
            0 => format!("212-555-01{number:02}"),
            1 => format!("https://acme.example/{number}"),
            2 => format!("kim{number}@acme.example"),
            _ => format!("Kim {number}"),
        };
        let body = json!({ fields[number % 4]: value });
        let (office, token) = (&office, &token);
        async move { office.send(token, "PATCH", "/v1/me", Some(&body)).await }
    });
    for reply in futures::future::join_all(changes).await {
        reply.expect(200);
    }
    let me = office.get("/v1/me").await;
    for field in fields {
        let value = me.expect(200)["data"][field].as_str().unwrap();
        assert!(value.bytes().any(|it| it.is_ascii_digit()), "{field} is one that was sent: {value}");
    }
}
