//! Conventions that apply to every endpoint, tested on every operation in the OpenAPI description.

use serde_json::{Value, json};

use crate::{
    access_matrix::{Access, Operation, operations},
    office::{ADMIN_SECRET, Engine, Office, Reply},
};

/// Credentials for every operation: a partner with all scopes, and an administrator.
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

    /// Calls the operation with a credential that it accepts.
    async fn call(
        &self,
        method: &str,
        operation: &Operation,
        content_type: &str,
        body: Option<&str>,
    ) -> Reply {
        let mut headers = vec![("content-type", content_type), ("x-request-id", "everywhere-0001")];
        match operation.access {
            Access::Partner(_) => headers.push(("authorization", &self.token)),
            Access::Admin => headers.push(("x-admin-secret", ADMIN_SECRET)),
            Access::Open | Access::Session => (),
        }
        // Changes of a prospect are validated together with its stored data, so it must exist.
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
async fn an_unknown_field_is_named_and_not_ignored() {
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
async fn a_body_that_is_not_a_json_object_returns_400_and_another_type_415() {
    let callers = Callers::open().await;
    for operation in with_body() {
        for body in ["", "{", "[]", "null", "\"text\"", "{\"a\":1}x", "\u{feff}{}"] {
            // A body that can be left out can be null, too.
            if operation.path == "/v1/webhooks/test" && matches!(body, "" | "null") {
                continue;
            }
            callers.json(&operation, body).await.expect_problem(400, "MALFORMED_JSON");
        }
        for content_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""] {
            let reply = callers.call(&operation.method, &operation, content_type, Some("{}")).await;
            reply.expect_problem(415, "UNSUPPORTED_MEDIA_TYPE");
        }
    }
}

#[tokio::test]
async fn a_body_over_its_limit_returns_413() {
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
async fn a_path_query_or_headers_over_the_limit_return_431() {
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
async fn an_unsupported_method_returns_405_and_allow_lists_the_others() {
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
async fn every_response_has_the_request_id_and_only_descriptions_are_cacheable() {
    let callers = Callers::open().await;
    for operation in operations() {
        for body in [None, Some("{}")] {
            let reply = callers.call(&operation.method, &operation, "application/json", body).await;
            let what = operation.name();
            assert_eq!(reply.header("x-request-id"), "everywhere-0001", "{what}");
            let caching = match operation.path.as_str() {
                "/v1/openapi.json" => "public, max-age=300",
                "/v1/openapi-admin.json" => "private, max-age=300",
                _ => "no-store",
            };
            assert_eq!(reply.header("cache-control"), caching, "{what}");
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
async fn every_call_with_a_key_returns_its_remaining_rate() {
    let callers = Callers::open().await;
    for operation in operations().iter().filter(|it| matches!(it.access, Access::Partner(_))) {
        let reply = callers.json(operation, "{}").await;
        assert_eq!(reply.header("ratelimit-policy"), "\"calls\";q=100000;w=60", "{}", operation.name());
        assert!(reply.header("ratelimit").starts_with("\"calls\";r=99"), "{}", operation.name());
    }
}

#[tokio::test]
async fn head_returns_what_get_does_without_the_body() {
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
async fn health_returns_only_the_version() {
    let office = Office::open(Engine::Sqlite).await;
    let reply = office.call("GET", "/v1/health", &[], None).await;
    assert_eq!(
        reply.expect(200),
        &json!({ "status": "ok", "tzdata": shared::domain::zones::version(), "revision": "unknown",
        "version": env!("CARGO_PKG_VERSION") })
    );
}

#[tokio::test]
async fn a_path_that_begins_with_a_reserved_word_is_not_a_practice() {
    let office = Office::open(Engine::Sqlite).await;
    for word in ["admin", "auth", "products", "kb", "me", "webhooks", "portal", "access-requests", "health"] {
        office.get(&format!("/v1/{word}/availability/providers")).await.expect_problem(404, "NOT_FOUND");
    }
    for file in ["openapi.json", "openapi-admin.json"] {
        office.get(&format!("/v1/{file}/availability/providers")).await.expect_problem(404, "NOT_FOUND");
    }
}

/// Returns the query parameters of this operation.
fn parameters(operation: &Operation) -> Vec<String> {
    let description = crate::described::described();
    let documented = &description["paths"][&operation.path][operation.method.to_lowercase()]["parameters"];
    let in_query = documented.as_array().into_iter().flatten().filter(|it| it["in"] == "query");
    in_query.map(|it| it["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_unknown_list_parameter_is_named_and_not_ignored() {
    let callers = Callers::open().await;
    let lists: Vec<Operation> = operations().into_iter().filter(|it| !parameters(it).is_empty()).collect();
    assert!(lists.len() >= 15, "{}", lists.len());
    for list in lists {
        let wrong = ["page", "offset", "total", "Limit"].map(str::to_owned);
        let wrong: Vec<String> = wrong.into_iter().filter(|it| !parameters(&list).contains(it)).collect();
        let query = wrong.iter().map(|name| format!("{name}=1&{name}=2")).collect::<Vec<_>>().join("&");
        let authorization = callers.token.as_str();
        let headers = match list.access {
            Access::Admin => ("x-admin-secret", ADMIN_SECRET),
            _ => ("authorization", authorization),
        };
        let reply =
            callers.office.call(&list.method, &format!("{}?{query}", list.filled()), &[headers], None).await;
        reply.expect_problem(400, "INVALID_QUERY");
        for name in wrong {
            let named = reply.body["errors"]
                .as_array()
                .unwrap()
                .iter()
                .find(|it| it["location"] == format!("query.{name}"));
            assert_eq!(named.unwrap()["code"], "UNKNOWN_PARAMETER", "{} {name}", list.name());
        }
    }
}

#[tokio::test]
async fn a_query_that_is_not_utf8_is_malformed() {
    let office = Office::open(Engine::Sqlite).await;
    for (query, location) in
        [("search=%ff", "query.search"), ("search=%zz", "query.search"), ("%ff=1", "query")]
    {
        let reply = office.get(&format!("/v1/DemoOffice/prospects?{query}")).await;
        reply.expect_problem(400, "INVALID_QUERY");
        assert_eq!(reply.wrong_fields(), [location]);
    }
    office.get("/v1/DemoOffice/prospects?search=M%C3%BCller+x&").await.expect(200);
}

#[tokio::test]
async fn a_post_without_fields_accepts_only_an_empty_object() {
    let callers = Callers::open().await;
    let posts: Vec<Operation> =
        operations().into_iter().filter(|it| it.method == "POST" && !it.body).collect();
    assert!(posts.len() >= 6, "{}", posts.len());
    for operation in posts {
        let reply = callers.json(&operation, r#"{"x":1,"other":null}"#).await;
        let what = operation.name();
        // Fields are validated before the id, which does not exist, is looked up.
        reply.expect_problem(422, "INVALID_FIELDS");
        assert_eq!(reply.wrong_fields(), ["body.other", "body.x"], "{what}");
        callers.json(&operation, "{").await.expect_problem(400, "MALFORMED_JSON");
        let text = callers.call("POST", &operation, "text/plain", Some("{}")).await;
        text.expect_problem(415, "UNSUPPORTED_MEDIA_TYPE");
        for (content_type, body) in [("application/json", Some("{}")), ("text/plain", Some(" ")), ("", None)]
        {
            let reply = callers.call("POST", &operation, content_type, body).await;
            assert!([200, 404, 409].contains(&reply.status.as_u16()), "{what}: {}", reply.body);
        }
    }
}

#[tokio::test]
async fn a_duplicate_field_is_named() {
    let callers = Callers::open().await;
    for operation in with_body() {
        let reply = callers.json(&operation, r#"{"Twice":1,"Twice":1,"Once":2}"#).await;
        reply.expect_problem(422, "INVALID_FIELDS");
        let errors = reply.body["errors"].as_array().unwrap();
        let of = |code: &str| errors.iter().any(|it| it["location"] == "body.Twice" && it["code"] == code);
        assert!(of("DUPLICATE_FIELD") && of("UNKNOWN_FIELD"), "{}: {}", operation.name(), reply.body);
    }
    let item = r#"{"products":[{"VendorCode":"V","ProductCode":"P","Product":"a","Product":"b"}]}"#;
    let products = with_body().into_iter().find(|it| it.path == "/v1/products").unwrap();
    let reply = callers.json(&products, item).await;
    let result = &reply.expect(200)["data"]["results"][0];
    assert_eq!(
        (&result["status"], &result["errors"][0]["code"]),
        (&json!("failed"), &json!("DUPLICATE_FIELD"))
    );
    assert_eq!(result["errors"][0]["location"], "body.products[0].Product");
}

#[tokio::test]
async fn a_compressed_body_or_another_charset_returns_415() {
    let office = Office::open(Engine::Sqlite).await;
    let token = format!("Bearer {}", office.token("all").await);
    let patch = async |content_type: &str, encoding: Option<&str>| {
        let mut headers = vec![("authorization", token.as_str()), ("content-type", content_type)];
        headers.extend(encoding.map(|it| ("content-encoding", it)));
        office.call("PATCH", "/v1/me", &headers, Some("{}")).await
    };
    for wrong in ["application/json;charset=latin1", "application/json; charset=\"utf-16\""] {
        patch(wrong, None).await.expect_problem(415, "UNSUPPORTED_MEDIA_TYPE");
    }
    for encoding in ["gzip", "br", "identity, gzip", ""] {
        patch("application/json", Some(encoding)).await.expect_problem(415, "UNSUPPORTED_MEDIA_TYPE");
    }
    for right in
        ["application/json; charset=UTF-8", "application/json;charset=\"utf-8\"", "application/json; x=y"]
    {
        patch(right, None).await.expect(200);
    }
    patch("application/json", Some("identity")).await.expect(200);
}

#[tokio::test]
async fn an_allowed_method_never_returns_405() {
    let office = Office::open(Engine::Sqlite).await;
    let request = |method: &str, uri: &str| {
        axum::http::Request::builder().method(method).uri(uri).body(axum::body::Body::empty()).unwrap()
    };
    // Only the `meta` function is called: it gets the requests for which the gateway has no route.
    let meta = shared::api::edge(::meta::routes().into(), office.app.clone());
    let status = async |method: &str, uri: &str| {
        tower::ServiceExt::oneshot(meta.clone(), request(method, uri)).await.unwrap().status().as_u16()
    };
    assert_eq!(status("GET", "/v1/DemoOffice/tags").await, 404);
    assert_eq!(status("HEAD", "/v1/DemoOffice/tags").await, 404);
    assert_eq!(status("PUT", "/v1/DemoOffice/tags").await, 405);
}
