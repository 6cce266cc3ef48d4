//! A client of the administrators' endpoints, which validate and audit every change.

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::error::{Error, Result};

pub type HttpClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

pub(super) struct AdminApi {
    client: HttpClient,
    base: String,
    secret: String,
}

pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl AdminApi {
    pub(super) fn new(base: &str, secret: String) -> Result<Self> {
        Ok(Self { client: client()?, base: base.trim_end_matches('/').to_owned(), secret })
    }

    /// Sends a POST with an idempotency key; returns the `data` of the 201 response.
    pub(super) async fn post(&self, path: &str, once: &str, body: &Value) -> Result<Value> {
        let request = Request::builder()
            .method("POST")
            .uri(format!("{}{path}", self.base))
            .header("content-type", "application/json")
            .header("idempotency-key", once)
            .header("x-admin-secret", &self.secret);
        let request = request.body(body.to_string().into()).map_err(|error| Error::store(path, error))?;
        let reply = exchange(&self.client, request).await?;
        if reply.status != StatusCode::CREATED {
            return Err(in_words(path, &reply));
        }
        let body: Value = serde_json::from_slice(&reply.body).map_err(|error| Error::store(path, error))?;
        Ok(body["data"].clone())
    }

    /// Returns one CSV page and the cursor of the next page, if any.
    pub(super) async fn get_csv(&self, path: &str) -> Result<(Bytes, Option<String>)> {
        let request = Request::builder()
            .uri(format!("{}{path}", self.base))
            .header("accept", "text/csv")
            .header("x-admin-secret", &self.secret);
        let request = request.body(Full::default()).map_err(|error| Error::store(path, error))?;
        let reply = exchange(&self.client, request).await?;
        if reply.status != StatusCode::OK {
            return Err(in_words(path, &reply));
        }
        let cursor = reply.headers.get("x-next-cursor").and_then(|it| it.to_str().ok()).map(str::to_owned);
        Ok((reply.body, cursor))
    }
}

/// Returns a client for HTTPS and, on the local stack, HTTP.
pub fn client() -> Result<HttpClient> {
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::aws_lc_rs::default_provider())
        .map_err(Error::io("the system's certificates"))?
        .https_or_http()
        .enable_http1()
        .build();
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

pub async fn exchange(client: &HttpClient, request: Request<Full<Bytes>>) -> Result<Reply> {
    let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
    let response = client.request(request).await.map_err(|error| Error::store(&host, error))?;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(|error| Error::store(&host, error))?.to_bytes();
    Ok(Reply { status: parts.status, headers: parts.headers, body })
}

/// Formats a problem response: its detail, the invalid fields and the request id.
fn in_words(path: &str, reply: &Reply) -> Error {
    let problem: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let mut text =
        format!("{path}: {}: {}", reply.status.as_u16(), problem["detail"].as_str().unwrap_or("no details"));
    for error in problem["errors"].as_array().into_iter().flatten() {
        text = format!(
            "{text}\n  {}: {}",
            error["location"].as_str().unwrap_or("?"),
            error["message"].as_str().unwrap_or_default()
        );
    }
    Error::Refused(format!("{text}\n  request {}", problem["requestId"].as_str().unwrap_or("unknown")))
}
