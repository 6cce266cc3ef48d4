//! A way to DynamoDB on which a test decides about each call.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Request, header},
    response::Response,
};
use futures::future::BoxFuture;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use shared::control::Store;

use super::Office;

/// A call of the store.
pub(crate) struct StoreCall {
    /// Such as `UpdateItem`.
    pub(crate) operation: String,
    /// The request, in JSON.
    pub(crate) body: String,
}

type Decide = dyn Fn(StoreCall) -> BoxFuture<'static, bool> + Send + Sync;

#[derive(Clone)]
struct Way {
    endpoint: String,
    client: Client<HttpConnector, Body>,
    decide: Arc<Decide>,
    refusal: Value,
}

/// Returns the office's store by way of `decide`: `true` passes a call on, `false` refuses it.
///
/// A call waits as long as its decision does.
pub(crate) async fn store_behind<Decided>(
    office: &Office,
    decide: impl Fn(StoreCall) -> Decided + Send + Sync + 'static,
) -> Store
where
    Decided: Future<Output = bool> + Send + 'static,
{
    let refusal = json!({ "__type": "com.amazon.coral.validate#ValidationException", "message": "no" });
    store_that(office, refusal, decide).await
}

/// The same, but what `decide` refuses is throttled, as DynamoDB throttles a transaction.
pub(crate) async fn store_that_throttles<Decided>(
    office: &Office,
    decide: impl Fn(StoreCall) -> Decided + Send + Sync + 'static,
) -> Store
where
    Decided: Future<Output = bool> + Send + 'static,
{
    let refusal = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "message": "Transaction cancelled, please refer cancellation reasons for specific reasons \
            [ThrottlingError]",
        "CancellationReasons": [{ "Code": "ThrottlingError" }],
    });
    store_that(office, refusal, decide).await
}

async fn store_that<Decided>(
    office: &Office,
    refusal: Value,
    decide: impl Fn(StoreCall) -> Decided + Send + Sync + 'static,
) -> Store
where
    Decided: Future<Output = bool> + Send + 'static,
{
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let client = Client::builder(TokioExecutor::new()).build_http();
    let decide: Arc<Decide> = Arc::new(move |call| Box::pin(decide(call)));
    let way = Way { endpoint: office.store_endpoint.clone(), client, decide, refusal };
    let routes = Router::new().fallback(pass).with_state(way);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let config = office.dynamodb.config().to_builder().endpoint_url(&address).build();
    Store::with_client(aws_sdk_dynamodb::Client::from_conf(config), office.app.config.tables.clone())
}

async fn pass(State(way): State<Way>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|it| it.to_str().ok()).unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
    let call = StoreCall { operation, body: String::from_utf8_lossy(&body).into_owned() };
    if !(way.decide)(call).await {
        let response = Response::builder().status(400).header("content-type", "application/x-amz-json-1.0");
        return response.body(Body::from(way.refusal.to_string())).unwrap();
    }
    let mut request = Request::post(&way.endpoint).body(Body::from(body)).unwrap();
    *request.headers_mut() = headers;
    for name in [header::CONTENT_LENGTH, header::HOST] {
        request.headers_mut().remove(name);
    }
    way.client.request(request).await.unwrap().map(Body::new)
}
