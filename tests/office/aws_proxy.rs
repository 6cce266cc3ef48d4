//! A proxy to DynamoDB or SQS on which a test decides about each call.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, Request, header},
    response::Response,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

#[derive(Clone)]
pub(crate) struct AwsCall {
    /// Such as `UpdateItem`.
    pub(crate) operation: String,
    /// The request, in JSON.
    pub(crate) body: String,
    headers: HeaderMap,
    endpoint: String,
    client: Client<HttpConnector, Body>,
}

impl AwsCall {
    /// Sends the call on to the endpoint.
    pub(crate) async fn forward(self) -> Response {
        let mut request = Request::post(&self.endpoint).body(Body::from(self.body)).unwrap();
        *request.headers_mut() = self.headers;
        for name in [header::CONTENT_LENGTH, header::HOST] {
            request.headers_mut().remove(name);
        }
        self.client.request(request).await.unwrap().map(Body::new)
    }
}

/// Starts a proxy before an endpoint, on which `answer` responds to each call; returns its address.
pub(crate) async fn before<A>(
    endpoint: String,
    answer: impl Fn(AwsCall) -> A + Send + Sync + 'static,
) -> String
where
    A: Future<Output = Response> + Send + 'static,
{
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answer = Arc::new(answer);
    let routes = Router::new().fallback(move |headers: HeaderMap, body: Bytes| {
        let target = headers.get("x-amz-target").and_then(|it| it.to_str().ok()).unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let body = String::from_utf8(body.into()).unwrap();
        answer(AwsCall { operation, body, headers, endpoint: endpoint.clone(), client: client.clone() })
    });
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

/// Returns a JSON response in the form of DynamoDB and SQS.
pub(crate) fn json_response(status: u16, body: &serde_json::Value) -> Response {
    let response = Response::builder().status(status).header("content-type", "application/x-amz-json-1.0");
    response.body(Body::from(body.to_string())).unwrap()
}
