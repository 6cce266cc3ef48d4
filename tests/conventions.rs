//! Conventions that apply to every endpoint.

use serde_json::json;

use crate::office::{Engine, Office};

#[tokio::test]
async fn a_well_formed_request_id_of_the_caller_is_used() {
    let office = Office::open(Engine::Sqlite).await;
    let with = async |id: &str| {
        office
            .call("GET", "/v1/health", &[("x-request-id", id)], None)
            .await
            .header("x-request-id")
            .to_owned()
    };
    assert_eq!(with("my-call_0001").await, "my-call_0001");
    for bad in ["short", "has space in it", &"x".repeat(65)] {
        assert!(with(bad).await.starts_with("req_"));
    }
}

#[tokio::test]
async fn responses_are_never_cacheable() {
    let office = Office::open(Engine::Sqlite).await;
    for path in ["/v1/health", "/v1/me", "/v1/none"] {
        assert_eq!(office.get(path).await.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn an_unknown_path_returns_404_and_a_wrong_method_405_with_allow() {
    let office = Office::open(Engine::Sqlite).await;
    office.get("/v1/nothing/here/at/all").await.expect_problem(404, "NOT_FOUND");
    let reply = office.delete("/v1/me").await;
    reply.expect_problem(405, "METHOD_NOT_ALLOWED");
    assert!(reply.header("allow").contains("GET") && reply.header("allow").contains("PATCH"));
}

#[tokio::test]
async fn a_body_must_be_a_json_object_of_at_most_one_mebibyte() {
    let office = Office::open(Engine::Sqlite).await;
    let authorization = format!("Bearer {}", office.token("all").await);
    let patch = async |content_type: &str, body: &str| {
        let headers = [("authorization", authorization.as_str()), ("content-type", content_type)];
        office.call("PATCH", "/v1/me", &headers, Some(body)).await
    };
    patch("text/plain", "{}").await.expect_problem(415, "UNSUPPORTED_MEDIA_TYPE");
    patch("application/json", "{").await.expect_problem(400, "MALFORMED_JSON");
    patch("application/json", "[]").await.expect_problem(400, "MALFORMED_JSON");
    let large = json!({ "company": "x".repeat(1 << 20) }).to_string();
    patch("application/json", &large).await.expect_problem(413, "PAYLOAD_TOO_LARGE");
    patch("application/merge-patch+json", r#"{"company":"New"}"#).await.expect(200);
}

#[tokio::test]
async fn a_key_over_its_limit_gets_retry_after() {
    let office = Office::open(Engine::Sqlite).await;
    let id = shared::auth::api_key::ApiKey::parse(office.api_key("all")).unwrap().id;
    let mut record = office.app.control.api_key(&id).await.unwrap().unwrap();
    record.rate_limit = 2;
    office.app.control.replace_api_key(&record).await.unwrap();
    let token = office.token("all").await;
    let first = office.send(&token, "GET", "/v1/me", None).await;
    assert_eq!(first.header("ratelimit-policy"), "\"calls\";q=2;w=60");
    assert_eq!(first.header("ratelimit"), "\"calls\";r=1;t=60");
    office.send(&token, "GET", "/v1/me", None).await.expect(200);
    let refused = office.send(&token, "GET", "/v1/me", None).await;
    refused.expect_problem(429, "RATE_LIMITED");
    assert_eq!(refused.header("retry-after"), "60");
    office.set_time("2026-03-09T12:01:00Z");
    office.send(&token, "GET", "/v1/me", None).await.expect(200);
}

#[tokio::test]
async fn calls_are_recorded_by_path_template_without_ids_or_queries() {
    let office = Office::open(Engine::Sqlite).await;
    office.get("/v1/me?search=Secretname").await.expect(200);
    office.app.flush().await;
    let records = office.app.control.calls_of_hour("2026-03-09T12").await.unwrap();
    let record = records.iter().find(|it| it.endpoint == "/v1/me").unwrap();
    assert_eq!(
        (record.status, record.method.as_str(), record.ip.as_deref()),
        (200, "GET", Some("198.51.100.7"))
    );
    assert_eq!(record.practicepass.as_deref(), Some("DemoOffice"));
    assert!(!format!("{records:?}").contains("Secretname"));
}
