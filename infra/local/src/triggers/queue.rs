//! An emulation of the event source mapping: receives batches from a queue, invokes the function
//! and deletes the processed messages.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::runtime::{InvocationResult, InvokeError, RuntimeHost};
use crate::shutdown::stopped;
use crate::sqs::{Message, Receive, Service};
use crate::template::{ACCOUNT, QueueTrigger, REGION};
use crate::triggers::when_free;

/// How long one receive of an idle poller waits for a message.
const LONG_POLL: Duration = Duration::from_secs(20);

/// When a failed message becomes visible again; doubles each time, up to the queue's visibility
/// time-out.
///
/// AWS hides it for the whole time-out each time, which takes too long on a developer's machine.
const COMES_BACK_AFTER: Duration = Duration::from_secs(2);

/// One of a queue's pollers, which processes one batch at a time.
pub(super) struct Poller {
    pub(super) function: String,
    pub(super) trigger: QueueTrigger,
    pub(super) runtime: Arc<RuntimeHost>,
    pub(super) queues: Arc<Service>,
}

impl Poller {
    pub(super) async fn run(self, mut stop: watch::Receiver<bool>) {
        loop {
            let batch = tokio::select! {
                // A dropped receive got nothing, or its messages are released at the next start.
                batch = self.batch() => batch,
                () = stopped(&mut stop) => return,
            };
            match batch {
                Ok(batch) if batch.is_empty() => {}
                Ok(batch) => self.work(&batch).await,
                Err(error) => {
                    eprintln!("{}: {error}", self.trigger.queue);
                    sleep(Duration::from_secs(1)).await;
                }
            }
            if *stop.borrow() {
                return;
            }
        }
    }

    /// Waits for a message, then up to the batching window until the batch is full.
    async fn batch(&self) -> Result<Vec<Message>, crate::sqs::Fault> {
        let size = usize::try_from(self.trigger.batch_size).unwrap_or(usize::MAX).max(1);
        let receive = |maximum, wait| Receive { maximum, visibility_timeout: None, wait };
        let mut batch = self.queues.receive(&self.trigger.queue, receive(size, LONG_POLL)).await?;
        if batch.is_empty() {
            return Ok(batch);
        }
        let end = Instant::now() + self.trigger.window;
        while batch.len() < size {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let more = self.queues.receive(&self.trigger.queue, receive(size - batch.len(), left));
            match timeout(left, more).await {
                Ok(more) => batch.extend(more?),
                Err(_) => break,
            }
        }
        Ok(batch)
    }

    async fn work(&self, batch: &[Message]) {
        let records: Vec<Value> = batch.iter().map(|message| record(&self.trigger.queue, message)).collect();
        let event = Bytes::from(json!({ "Records": records }).to_string());
        // A busy function must not use up the messages' receives, so wait until it is free.
        let busy_timeout =
            self.queues.queue(&self.trigger.queue).map_or(Duration::ZERO, |it| it.visibility_timeout / 2);
        let failed = match when_free(&self.runtime, &self.function, event, busy_timeout).await {
            Ok(InvocationResult::Success(_)) if !self.trigger.reports_failures => Failed::None,
            Ok(InvocationResult::Success(answer)) => failures(&answer, batch),
            Ok(InvocationResult::Failure(error)) => {
                eprintln!("{} failed with {} messages: {error}", self.function, batch.len());
                Failed::All
            }
            Err(InvokeError::Throttled) => {
                eprintln!("{} was busy for {busy_timeout:?}", self.function);
                Failed::All
            }
            Err(_) => Failed::All,
        };
        // At the same time: what comes to the file together is one commit.
        let settling = batch.iter().map(async |message| {
            let settled = if failed.contains(&message.message_id) {
                self.give_back(message).await
            } else {
                self.queues.delete(&self.trigger.queue, &message.receipt).await
            };
            if let Err(error) = settled {
                // The message becomes visible again after its visibility time-out.
                eprintln!("{}: message {}: {error}", self.trigger.queue, message.message_id);
            }
        });
        join_all(settling).await;
    }

    async fn give_back(&self, message: &Message) -> Result<(), crate::sqs::Fault> {
        let limit = self.queues.queue(&self.trigger.queue)?.visibility_timeout;
        let doublings = message.receive_count.saturating_sub(1).min(16);
        let wait = (COMES_BACK_AFTER * (1 << doublings)).min(limit);
        match self.queues.change_visibility(&self.trigger.queue, &message.receipt, wait).await {
            // Already visible: the invocation took longer than the visibility time-out.
            Err(crate::sqs::Fault::NotInFlight) => Ok(()),
            other => other,
        }
    }
}

/// The messages of a batch that failed.
#[derive(Debug, PartialEq, Eq)]
enum Failed {
    None,
    All,
    These(HashSet<String>),
}

impl Failed {
    fn contains(&self, message_id: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::These(ids) => ids.contains(message_id),
        }
    }
}

/// Interprets `batchItemFailures` as Lambda does: an absent or empty list means success, an invalid
/// one means that all messages failed.
fn failures(answer: &[u8], batch: &[Message]) -> Failed {
    if answer.is_empty() {
        return Failed::None;
    }
    let Ok(answer) = serde_json::from_slice::<Value>(answer) else { return Failed::All };
    let items = match (&answer, answer.get("batchItemFailures")) {
        (Value::Null, _) | (Value::Object(_), None | Some(Value::Null)) => return Failed::None,
        (_, Some(Value::Array(items))) => items,
        _ => return Failed::All,
    };
    let mut ids = HashSet::new();
    for item in items {
        match item.get("itemIdentifier").and_then(Value::as_str) {
            Some(id) if batch.iter().any(|message| message.message_id == id) => ids.insert(id.to_owned()),
            _ => return Failed::All,
        };
    }
    if ids.is_empty() { Failed::None } else { Failed::These(ids) }
}

/// Returns a message as the function receives it.
fn record(queue: &str, message: &Message) -> Value {
    let attribute = |(name, value): (&String, &Value)| {
        let mut attribute = json!({
            "dataType": value["DataType"],
            "stringListValues": [],
            "binaryListValues": [],
        });
        if let Some(text) = value.get("StringValue") {
            attribute["stringValue"] = text.clone();
        }
        if let Some(bytes) = value.get("BinaryValue") {
            attribute["binaryValue"] = bytes.clone();
        }
        (name.clone(), attribute)
    };
    let attributes: Map<String, Value> = message.attributes.iter().map(attribute).collect();
    json!({
        "messageId": message.message_id,
        "receiptHandle": message.receipt,
        "body": message.body,
        "attributes": message.system_attributes(),
        "messageAttributes": attributes,
        "md5OfBody": message.body_md5,
        "eventSource": "aws:sqs",
        "eventSourceARN": format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}"),
        "awsRegion": REGION,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> Vec<Message> {
        let message = |id: &str| Message {
            message_id: id.to_owned(),
            receipt: format!("1.1.{id}"),
            body: "{}".to_owned(),
            body_md5: String::new(),
            attributes: Map::new(),
            attributes_md5: None,
            group_id: Some("42".to_owned()),
            dead_letter_source: None,
            sent_at: 1,
            first_received_at: 2,
            receive_count: 3,
        };
        vec![message("a"), message("b")]
    }

    #[test]
    fn an_empty_reply_means_success() {
        for answer in ["", "null", "{}", r#"{"batchItemFailures":null}"#, r#"{"batchItemFailures":[]}"#] {
            assert_eq!(failures(answer.as_bytes(), &batch()), Failed::None, "{answer}");
        }
    }

    #[test]
    fn only_the_named_messages_failed() {
        let answer = br#"{"batchItemFailures":[{"itemIdentifier":"b"}]}"#;
        assert_eq!(failures(answer, &batch()), Failed::These(HashSet::from(["b".to_owned()])));
    }

    #[test]
    fn an_invalid_reply_fails_the_whole_batch() {
        for answer in [
            "no json",
            "7",
            "\"text\"",
            r#"{"batchItemFailures":"b"}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#,
            r#"{"batchItemFailures":[{"id":"b"}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":"stranger"}]}"#,
        ] {
            assert_eq!(failures(answer.as_bytes(), &batch()), Failed::All, "{answer}");
        }
    }

    #[test]
    fn a_record_has_the_documented_shape() {
        let mut message = batch().remove(0);
        message.attributes.insert("kind".to_owned(), json!({ "DataType": "String", "StringValue": "x" }));
        let record = record("Events", &message);
        assert_eq!(record["eventSourceARN"], "arn:aws:sqs:us-east-1:000000000000:Events");
        assert_eq!(record["attributes"]["ApproximateReceiveCount"], "3");
        assert_eq!(record["attributes"]["MessageGroupId"], "42");
        let expected = json!({
            "dataType": "String", "stringValue": "x", "stringListValues": [], "binaryListValues": [],
        });
        assert_eq!(record["messageAttributes"]["kind"], expected);
    }
}
