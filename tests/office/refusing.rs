//! A proxy to SQS that rejects some entries of a batch.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Request, header},
    response::Response,
};
use http_body_util::BodyExt;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};

#[derive(Clone)]
struct Way {
    endpoint: String,
    client: Client<HttpConnector, Body>,
    calls: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
}

/// Rejects the third and the seventh entry of every `SendMessageBatch`, and every other batch of
/// one or two as a whole. Returns its address, and the number of rejected entries.
pub(super) async fn start(endpoint: String) -> (String, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let client = Client::builder(TokioExecutor::new()).build_http();
    let way = Way { endpoint, client, calls: Arc::default(), refused: Arc::default() };
    let refused = way.refused.clone();
    let routes = Router::new().fallback(pass).with_state(way);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (address, refused)
}

async fn pass(State(way): State<Way>, headers: HeaderMap, body: Bytes) -> Response {
    let batch = headers.get("x-amz-target").is_some_and(|it| it.as_bytes().ends_with(b".SendMessageBatch"));
    if !batch {
        let (parts, body) = way.send(&headers, body).await;
        return Response::from_parts(parts, Body::from(body));
    }
    let mut request: Value = serde_json::from_slice(&body).unwrap();
    let entries = request["Entries"].as_array().unwrap().clone();
    let whole = entries.len() <= 2 && way.calls.fetch_add(1, Ordering::Relaxed) % 2 == 0;
    let (mut passed, mut failed) = (Vec::new(), Vec::new());
    for (index, entry) in entries.into_iter().enumerate() {
        if whole || index == 2 || index == 6 {
            failed.push(json!({ "Id": entry["Id"], "Code": "InternalError", "SenderFault": false }));
        } else {
            passed.push(entry);
        }
    }
    way.refused.fetch_add(failed.len(), Ordering::Relaxed);
    let mut answer = json!({ "Successful": [] });
    if !passed.is_empty() {
        request["Entries"] = Value::Array(passed);
        let (parts, body) = way.send(&headers, request.to_string().into()).await;
        assert!(parts.status.is_success());
        answer = serde_json::from_slice(&body).unwrap();
    }
    answer["Failed"] = Value::Array(failed);
    let response = Response::builder().header("content-type", "application/x-amz-json-1.0");
    response.body(Body::from(answer.to_string())).unwrap()
}

impl Way {
    async fn send(&self, headers: &HeaderMap, body: Bytes) -> (axum::http::response::Parts, Bytes) {
        let mut request = Request::post(&self.endpoint).body(Body::from(body)).unwrap();
        *request.headers_mut() = headers.clone();
        for name in [header::CONTENT_LENGTH, header::HOST] {
            request.headers_mut().remove(name);
        }
        let (parts, body) = self.client.request(request).await.unwrap().into_parts();
        let mut parts = parts;
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.remove(header::TRANSFER_ENCODING);
        (parts, body.collect().await.unwrap().to_bytes())
    }
}
