//! A proxy to SQS that rejects some entries of a batch.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{body::to_bytes, response::Response};
use serde_json::{Value, json};

use super::aws_proxy::{self, AwsCall};

#[derive(Default)]
struct Counts {
    /// Batches of one or two.
    small: AtomicUsize,
    rejected: Arc<AtomicUsize>,
}

/// Rejects the third and the seventh entry of every `SendMessageBatch`, and every other batch of
/// one or two as a whole. Returns its address, and the number of rejected entries.
pub(super) async fn start(endpoint: String) -> (String, Arc<AtomicUsize>) {
    let counts = Arc::new(Counts::default());
    let rejected = counts.rejected.clone();
    (aws_proxy::before(endpoint, move |call| answer(call, counts.clone())).await, rejected)
}

async fn answer(mut call: AwsCall, counts: Arc<Counts>) -> Response {
    if call.operation != "SendMessageBatch" {
        return call.forward().await;
    }
    let mut request: Value = serde_json::from_str(&call.body).unwrap();
    let entries = request["Entries"].as_array().unwrap().clone();
    let whole = entries.len() <= 2 && counts.small.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
    let (mut passed, mut failed) = (Vec::new(), Vec::new());
    for (index, entry) in entries.into_iter().enumerate() {
        if whole || index == 2 || index == 6 {
            failed.push(json!({ "Id": entry["Id"], "Code": "InternalError", "SenderFault": false }));
        } else {
            passed.push(entry);
        }
    }
    counts.rejected.fetch_add(failed.len(), Ordering::Relaxed);
    let mut answer = json!({ "Successful": [] });
    if !passed.is_empty() {
        request["Entries"] = Value::Array(passed);
        call.body = request.to_string();
        let response = call.forward().await;
        assert!(response.status().is_success());
        answer = serde_json::from_slice(&to_bytes(response.into_body(), usize::MAX).await.unwrap()).unwrap();
    }
    answer["Failed"] = Value::Array(failed);
    aws_proxy::json_response(200, &answer)
}
