//! What holds for every endpoint, tried on every one of the description.

use serde_json::{Value, json};

use crate::{
    access_matrix::{Door, Operation, operations},
    office::{ADMIN_SECRET, Engine, Office, Reply},
};

/// Who may call anything: a partner of all scopes, or an administrator.
struct Callers {
    office: Office,
    token: String,
}

impl Callers {
    async fn open() -> Self {
        let office = Office::open(Engine::Sqlite).await;
        let token = format!("Bearer {}", office.token("all").await);
        Self { office, token }
    }

    /// A call of the operation by who may make it.
    async fn call(
        &self,
        method: &str,
        operation: &Operation,
        content_type: &str,
        body: Option<&str>,
    ) -> Reply {
        let mut headers = vec![("content-type", content_type), ("x-request-id", "everywhere-0001")];
        match operation.door {
            Door::Partner(_) => headers.push(("authorization", &self.token)),
            Door::Admin => headers.push(("x-admin-secret", ADMIN_SECRET)),
            Door::Open | Door::Session => (),
        }
        // Changes of a prospect are judged together with what is stored of it.
        let path = operation.filled().replace("/prospects/1", "/prospects/1001");
        self.office.call(method, &path, &headers, body).await
    }

    async fn json(&self, operation: &Operation, body: &str) -> Reply {
        self.call(&operation.method, operation, "application/json", Some(body)).await
    }
}

fn with_body() -> Vec<Operation> {
    let found: Vec<Operation> = operations().into_iter().filter(|it| it.body).collect();
    assert!(found.len() >= 20, "{}", found.len());
    found
}

#[tokio::test]
async fn a_field_that_a_request_does_not_have_is_named_not_dropped() {
    let callers = Callers::open().await;
    for operation in with_body() {
        let reply = callers.json(&operation, r#"{"NoSuchField":1,"other field":null}"#).await;
        reply.expect_problem(422, "INVALID_FIELDS");
        for name in ["body.NoSuchField", "body.other field"] {
            let errors = reply.body["errors"].as_array().unwrap();
            let named = errors.iter().find(|it| it["location"] == name);
            assert_eq!(named.unwrap()["code"], "UNKNOWN_FIELD", "{}", operation.name());
        }
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_400_and_one_of_another_type_415() {
    let callers = Callers::open().await;
    for operation in with_body() {
        for body in ["", "{", "[]", "null", "\"text\"", "{\"a\":1}x", "\u{feff}{}"] {
            callers.json(&operation, body).await.expect_problem(400, "MALFORMED_JSON");
        }
        for content_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""] {
            let reply = callers.call(&operation.method, &operation, content_type, Some("{}")).await;
            reply.expect_problem(415, "UNSUPPORTED_MEDIA_TYPE");
        }
    }
}

#[tokio::test]
async fn a_body_beyond_its_limit_is_413() {
    let callers = Callers::open().await;
    for operation in with_body() {
        let mebibytes = if operation.path == "/v1/products" { 5 } else { 1 };
        let body = format!(r#"{{"x":"{}"}}"#, "x".repeat(mebibytes << 20));
        callers.json(&operation, &body).await.expect_problem(413, "PAYLOAD_TOO_LARGE");
        let body = format!(r#"{{"x":"{}"}}"#, "x".repeat((mebibytes << 20) - 8));
        callers.json(&operation, &body).await.expect_problem(422, "INVALID_FIELDS");
    }
}

#[tokio::test]
async fn path_query_and_headers_beyond_their_limit_are_431() {
    let callers = Callers::open().await;
    for operation in operations() {
        let path = format!("{}?x={}", operation.filled(), "x".repeat(8 << 10));
        callers
            .office
            .call(&operation.method, &path, &[], None)
            .await
            .expect_problem(431, "HEADERS_TOO_LARGE");
    }
    let long = "x".repeat(8 << 10);
    let reply = callers.office.call("GET", "/v1/health", &[("x-long", &long)], None).await;
    reply.expect_problem(431, "HEADERS_TOO_LARGE");
}

#[tokio::test]
async fn a_method_that_a_path_does_not_have_is_405_and_allow_names_those_it_has() {
    let callers = Callers::open().await;
    let all = operations();
    for operation in &all {
        let here: Vec<&str> =
            all.iter().filter(|it| it.path == operation.path).map(|it| it.method.as_str()).collect();
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "NONSENSE"] {
            if here.contains(&method) {
                continue;
            }
            let reply = callers.call(method, operation, "application/json", None).await;
            reply.expect_problem(405, "METHOD_NOT_ALLOWED");
            let mut allowed: Vec<&str> = reply.header("allow").split(',').map(str::trim).collect();
            allowed.retain(|it| *it != "HEAD");
            allowed.sort_unstable();
            let mut expected = here.clone();
            expected.sort_unstable();
            assert_eq!(allowed, expected, "{method} {}", operation.path);
        }
    }
}

#[tokio::test]
async fn every_answer_has_the_callers_request_id_and_may_not_be_stored() {
    let callers = Callers::open().await;
    for operation in operations() {
        for body in [None, Some("{}")] {
            let reply = callers.call(&operation.method, &operation, "application/json", body).await;
            let what = operation.name();
            assert_eq!(reply.header("x-request-id"), "everywhere-0001", "{what}");
            assert_eq!(reply.header("cache-control"), "no-store", "{what}");
            assert_eq!(reply.header("x-content-type-options"), "nosniff", "{what}");
            if reply.status.as_u16() >= 400 {
                assert_eq!(reply.body["requestId"], "everywhere-0001", "{what}");
                let code = reply.body["code"].as_str().unwrap();
                assert!(code.chars().all(|c| c.is_ascii_uppercase() || c == '_'), "{what}: {code}");
            }
        }
    }
}

#[tokio::test]
async fn every_call_with_a_key_tells_what_is_left_of_its_rate() {
    let callers = Callers::open().await;
    for operation in operations().iter().filter(|it| matches!(it.door, Door::Partner(_))) {
        let reply = callers.json(operation, "{}").await;
        assert_eq!(reply.header("ratelimit-policy"), "\"calls\";q=100000;w=60", "{}", operation.name());
        assert!(reply.header("ratelimit").starts_with("\"calls\";r=99"), "{}", operation.name());
    }
}

#[tokio::test]
async fn head_is_answered_as_get_is_without_the_body() {
    let callers = Callers::open().await;
    for operation in operations().iter().filter(|it| it.method == "GET") {
        let get = callers.call("GET", operation, "application/json", None).await;
        let head = callers.call("HEAD", operation, "application/json", None).await;
        let what = operation.name();
        assert_eq!(head.status, get.status, "{what}");
        assert_eq!(head.body, Value::Null, "{what}");
        for name in ["content-type", "etag", "cache-control", "allow", "www-authenticate"] {
            assert_eq!(head.header(name), get.header(name), "{what} {name}");
        }
    }
}

#[tokio::test]
async fn health_tells_the_version_and_nothing_else() {
    let office = Office::open(Engine::Sqlite).await;
    let reply = office.call("GET", "/v1/health", &[], None).await;
    assert_eq!(reply.expect(200), &json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }));
}

#[tokio::test]
async fn the_description_is_served_as_it_is_committed() {
    let office = Office::open(Engine::Sqlite).await;
    let committed = include_str!("../infra/openapi.json");
    let reply = office.call("GET", "/v1/openapi.json", &[], None).await;
    assert_eq!(reply.expect(200), &serde_json::from_str::<Value>(committed).unwrap());
    assert_eq!(reply.body["openapi"], "3.1.0");
}

#[tokio::test]
async fn a_path_that_begins_with_a_word_of_the_apis_own_is_no_practice() {
    let office = Office::open(Engine::Sqlite).await;
    for word in ["admin", "auth", "products", "kb", "me", "webhooks", "portal", "access-requests", "health"] {
        office.get(&format!("/v1/{word}/availability/providers")).await.expect_problem(404, "NOT_FOUND");
    }
    office.get("/v1/openapi.json/availability/providers").await.expect_problem(404, "NOT_FOUND");
}
