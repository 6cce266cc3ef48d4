//! A small HTTP client.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderMap, Request},
};
use http_body_util::BodyExt;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;

#[derive(Clone)]
pub(crate) struct Http(Client<HttpConnector, Body>);

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Http {
    pub(crate) fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    /// Sends a request; `None` if no response came within 40 s or the connection broke.
    pub(crate) async fn send(
        &self,
        method: &str,
        url: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Option<Reply> {
        let authorization = token.map(|token| format!("Bearer {token}"));
        let headers: Vec<(&str, &str)> =
            authorization.iter().map(|it| ("authorization", it.as_str())).collect();
        self.send_with(method, url, &headers, body.map_or_else(String::new, Value::to_string)).await
    }

    /// Sends a request as [`Self::send`] does, with the given headers and body.
    pub(crate) async fn send_with(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Option<Reply> {
        let mut request =
            Request::builder().method(method).uri(url).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = Body::from(body);
        self.exchange(request.body(body).unwrap()).await
    }

    /// Sends a request with the admin secret: POST with a body, GET without.
    pub(crate) async fn send_as_admin(&self, url: &str, secret: &str, body: Option<&Value>) -> Option<Reply> {
        let request = Request::builder().uri(url).header("x-admin-secret", secret);
        let request = request.method(if body.is_some() { "POST" } else { "GET" });
        let request = request.header("content-type", "application/json");
        let body = body.map_or_else(Body::empty, |it| Body::from(it.to_string()));
        self.exchange(request.body(body).unwrap()).await
    }

    async fn exchange(&self, request: Request<Body>) -> Option<Reply> {
        let exchange = async {
            let response = self.0.request(request).await.ok()?;
            let (parts, body) = response.into_parts();
            let bytes = body.collect().await.ok()?.to_bytes();
            let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
            Some(Reply { status: parts.status.as_u16(), headers: parts.headers, body })
        };
        tokio::time::timeout(Duration::from_secs(40), exchange).await.ok().flatten()
    }
}
