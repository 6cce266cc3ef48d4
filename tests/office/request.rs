//! Calls in API Gateway's format.

use std::io::Read;

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode},
};
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::Office;

/// A response, with its body parsed as JSON (null if it is empty, a string if it is text).
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    /// Of the body as it was sent, maybe compressed.
    pub(crate) bytes: usize,
}

impl Reply {
    /// Returns the body; fails unless the status is this.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> &Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        &self.body
    }

    /// Fails unless it is a complete problem with this status and code.
    #[track_caller]
    pub(crate) fn expect_problem(&self, status: u16, code: &str) {
        assert_eq!((self.status.as_u16(), self.body["code"].as_str()), (status, Some(code)), "{}", self.body);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.body["status"], status);
        for member in ["type", "title", "detail", "instance", "requestId"] {
            assert!(self.body[member].is_string(), "{member}: {}", self.body);
        }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default()
    }

    /// Returns the locations of all field errors.
    pub(crate) fn wrong_fields(&self) -> Vec<&str> {
        self.body["errors"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|it| it["location"].as_str())
            .collect()
    }
}

impl Office {
    /// Calls with the given headers. `path` may have a query.
    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Reply {
        self.call_from("198.51.100.7", method, path, headers, body).await
    }

    /// Calls like [`Self::call`], from the given address.
    pub(crate) async fn call_from(
        &self,
        address: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Reply {
        self.pass(request_from(address, method, path, headers, body)).await
    }

    /// Sends any request, including one that no JSON event can represent.
    pub(crate) async fn pass<B>(&self, request: Request<B>) -> Reply
    where
        B: axum::body::HttpBody<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let response = self.router.clone().oneshot(request.map(Body::new)).await.unwrap();
        let (parts, body) = response.into_parts();
        let mut bytes = to_bytes(body, usize::MAX).await.unwrap();
        let length = bytes.len();
        if parts.headers.get("content-encoding").is_some_and(|it| it == "gzip") {
            let mut plain = Vec::new();
            GzDecoder::new(bytes.as_ref()).read_to_end(&mut plain).unwrap();
            bytes = plain.into();
        }
        let is_text = parts.headers.get("content-type").is_some_and(|it| it.as_bytes().starts_with(b"text/"));
        let body = match bytes.is_empty() {
            true => Value::Null,
            false if is_text => Value::String(String::from_utf8(bytes.to_vec()).unwrap()),
            false => serde_json::from_slice(&bytes).unwrap(),
        };
        Reply { status: parts.status, headers: parts.headers, body, bytes: length }
    }

    /// Calls with a token and an optional JSON body.
    pub(crate) async fn send(&self, token: &str, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let authorization = format!("Bearer {token}");
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        self.call(method, path, &headers, body.map(Value::to_string).as_deref()).await
    }

    /// Calls with the admin secret and an optional JSON body.
    pub(crate) async fn admin(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let headers = [("x-admin-secret", super::ADMIN_SECRET), ("content-type", "application/json")];
        self.call(method, path, &headers, body.map(Value::to_string).as_deref()).await
    }

    /// Sends a GET with the key that has all scopes.
    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(&self.token("all").await, "GET", path, None).await
    }

    /// Sends a POST with the key that has all scopes.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(&self.token("all").await, "POST", path, Some(body)).await
    }

    /// Sends a PUT with the key that has all scopes.
    pub(crate) async fn put(&self, path: &str, body: &Value) -> Reply {
        self.send(&self.token("all").await, "PUT", path, Some(body)).await
    }

    /// Sends a DELETE with the key that has all scopes.
    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send(&self.token("all").await, "DELETE", path, None).await
    }
}

/// Returns a request in API Gateway's format.
pub(crate) fn request_from(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&str>,
) -> Request<lambda_http::Body> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let headers: serde_json::Map<String, Value> =
        headers.iter().map(|(name, value)| (name.to_lowercase(), json!(value))).collect();
    let event = json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": "000000000000", "apiId": "local", "domainName": "localhost", "domainPrefix": "local",
            "http": { "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": address,
                "userAgent": "tests" },
            "requestId": "gateway", "routeKey": "$default", "stage": "$default",
            "time": "09/Mar/2026:12:00:00 +0000", "timeEpoch": 1_773_057_600_000_i64,
        },
        "body": body, "isBase64Encoded": false,
    });
    lambda_http::request::from_str(&event.to_string()).unwrap()
}
