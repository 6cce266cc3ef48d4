//! The office's store, by way of a test that decides about each call.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use shared::control::Store;

use super::{
    Office,
    aws_proxy::{self, AwsCall},
};

/// Returns the office's store by way of `decide`: `true` passes a call on, `false` rejects it.
///
/// A call waits as long as its decision does.
pub(crate) async fn store_behind<D>(
    office: &Office,
    decide: impl Fn(AwsCall) -> D + Send + Sync + 'static,
) -> Store
where
    D: Future<Output = bool> + Send + 'static,
{
    let rejection = json!({ "__type": "com.amazon.coral.validate#ValidationException", "message": "no" });
    store_that_rejects(office, rejection, decide).await
}

/// The same, but what `decide` rejects is throttled, as DynamoDB throttles a transaction.
pub(crate) async fn store_that_throttles<D>(
    office: &Office,
    decide: impl Fn(AwsCall) -> D + Send + Sync + 'static,
) -> Store
where
    D: Future<Output = bool> + Send + 'static,
{
    let rejection = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "message": "Transaction cancelled, please refer cancellation reasons for specific reasons \
            [ThrottlingError]",
        "CancellationReasons": [{ "Code": "ThrottlingError" }],
    });
    store_that_rejects(office, rejection, decide).await
}

/// Returns the office's store, but the response to the first call that `to` selects is lost.
///
/// The SDK repeats such a call.
pub(crate) async fn store_that_loses_a_response(
    office: &Office,
    to: impl Fn(&AwsCall) -> bool + Send + Sync + 'static,
) -> Store {
    let rejection = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException",
        "message": "it takes too long",
    });
    let lost = AtomicBool::new(false);
    store_that_rejects(office, rejection, move |call| {
        let loses = to(&call) && !lost.swap(true, Ordering::Relaxed);
        async move {
            if loses {
                call.forward().await;
            }
            !loses
        }
    })
    .await
}

async fn store_that_rejects<D>(
    office: &Office,
    rejection: Value,
    decide: impl Fn(AwsCall) -> D + Send + Sync + 'static,
) -> Store
where
    D: Future<Output = bool> + Send + 'static,
{
    let answer = move |call: AwsCall| {
        let (decision, rejection) = (decide(call.clone()), rejection.clone());
        async move {
            if decision.await { call.forward().await } else { aws_proxy::json_response(400, &rejection) }
        }
    };
    let address = aws_proxy::before(office.store_endpoint.clone(), answer).await;
    let config = office.dynamodb.config().to_builder().endpoint_url(&address).build();
    Store::with_client(aws_sdk_dynamodb::Client::from_conf(config), office.app.config.tables.clone())
}
