//! AWS JSON 1.0: `POST /` with the operation in `X-Amz-Target`, the queue in the body's `QueueUrl`.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Request, StatusCode};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::Fault;
use super::messages::Message;
use super::requests::{
    Batch, GetQueueAttributes, GetQueueUrl, ListQueues, OfQueue, ReceiptEntry, ReceiveMessage, SendEntry,
};
use super::service::{Receive, SIZE_LIMIT, Sent, Service};
use crate::http::{HttpResponse, answer, read_body};
use crate::permissions::{AccessError, Call, Permissions};
use crate::template::{ACCOUNT, REGION};

const CONTENT_TYPE: &str = "application/x-amz-json-1.0";
const QUERY_ERROR: HeaderName = HeaderName::from_static("x-amzn-query-error");

/// Maximum size of a request: a batch of the largest messages with all of JSON's escapes.
const BODY_LIMIT: usize = 8 * SIZE_LIMIT;

pub(super) async fn handle(
    service: &Service,
    endpoint: &str,
    permissions: Option<&Permissions>,
    request: Request<Incoming>,
) -> HttpResponse {
    let caller = match permissions.map(|it| it.caller(request.headers())).transpose() {
        Ok(caller) => caller,
        Err(refusal) => return refuse(&denied(refusal)),
    };
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok());
    let operation =
        target.and_then(|target| target.strip_prefix("AmazonSQS.")).unwrap_or_default().to_owned();
    let result = match read_body(request.into_body(), BODY_LIMIT).await {
        Ok(body) => match serde_json::from_slice::<Value>(&body) {
            Ok(body) => match caller.map_or(Ok(()), |it| it.may(|| vec![call(&operation, &body)])) {
                Ok(()) => perform(service, endpoint, &operation, body).await,
                Err(refusal) => Err(denied(refusal)),
            },
            Err(error) => Err(Fault::InvalidParameter(format!("The body is not JSON: {error}."))),
        },
        Err(_) => Err(Fault::BatchTooLong),
    };
    match result {
        Ok(body) => answer(StatusCode::OK, CONTENT_TYPE, body.to_string()),
        Err(fault) => refuse(&fault),
    }
}

/// Batches need the permission for their entries; SQS's refusals name actions in lower case.
fn call(operation: &str, body: &Value) -> Call {
    let action = operation.strip_suffix("Batch").unwrap_or(operation);
    let queue = body["QueueUrl"].as_str().and_then(|url| url.rsplit('/').next());
    let queue = queue.or_else(|| body["QueueName"].as_str()).unwrap_or("*");
    Call::of(
        format!("sqs:{}", action.to_ascii_lowercase()),
        format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}"),
    )
}

fn denied(refusal: AccessError) -> Fault {
    match refusal {
        AccessError::UnknownKey => Fault::InvalidClientTokenId,
        AccessError::Denied(message) => Fault::AccessDenied(message),
    }
}

fn refuse(fault: &Fault) -> HttpResponse {
    let (shape, query_code) = fault.codes();
    let (status, side) = fault.status();
    let body = json!({ "__type": format!("com.amazonaws.sqs#{shape}"), "message": fault.to_string() });
    let mut reply = answer(status, CONTENT_TYPE, body.to_string());
    // The Rust SDK selects its typed errors by this header, not by the body.
    if let Ok(value) = HeaderValue::from_str(&format!("{query_code};{side}")) {
        reply.headers_mut().insert(QUERY_ERROR, value);
    }
    reply
}

fn read<T: DeserializeOwned>(body: &Value) -> Result<T, Fault> {
    T::deserialize(body).map_err(|error| Fault::InvalidParameter(error.to_string()))
}

async fn perform(service: &Service, endpoint: &str, operation: &str, body: Value) -> Result<Value, Fault> {
    match operation {
        "GetQueueUrl" => {
            let name = read::<GetQueueUrl>(&body)?.queue_name.unwrap_or_default();
            return Ok(json!({ "QueueUrl": queue_url(endpoint, &service.queue(&name)?.id) }));
        }
        "ListQueues" => {
            let prefix = read::<ListQueues>(&body)?.queue_name_prefix.unwrap_or_default();
            let names = service.names().into_iter().filter(|name| name.starts_with(&prefix));
            return Ok(
                json!({ "QueueUrls": names.map(|name| queue_url(endpoint, name)).collect::<Vec<_>>() }),
            );
        }
        _ => {}
    }
    let url =
        read::<OfQueue>(&body)?.queue_url.ok_or_else(|| Fault::MissingParameter("QueueUrl".to_owned()))?;
    let queue = url.rsplit('/').next().unwrap_or_default();
    service.queue(queue)?;
    match operation {
        "SendMessage" => {
            let mut sent = service.send(queue, vec![read::<SendEntry>(&body)?.into_send()]).await?;
            let sent = sent.pop().unwrap_or_else(|| Err(Fault::Internal("nothing was sent".to_owned())))?;
            Ok(sent_json(&sent))
        }
        "SendMessageBatch" => send_batch(service, queue, read(&body)?).await,
        "ReceiveMessage" => receive(service, queue, &read(&body)?).await,
        "DeleteMessage" => {
            service.delete(queue, read::<ReceiptEntry>(&body)?.receipt()?).await.map(|()| json!({}))
        }
        "DeleteMessageBatch" => {
            let entries = read::<Batch<ReceiptEntry>>(&body)?.checked(|entry| entry.id.as_deref())?;
            let mut results = vec![];
            for (id, entry) in entries {
                let deleted = match entry.receipt() {
                    Ok(receipt) => service.delete(queue, receipt).await,
                    Err(fault) => Err(fault),
                };
                results.push((id, deleted.map(|()| json!({}))));
            }
            Ok(batch_json(results))
        }
        "ChangeMessageVisibility" => {
            change_visibility(service, queue, &read(&body)?).await.map(|()| json!({}))
        }
        "ChangeMessageVisibilityBatch" => {
            let entries = read::<Batch<ReceiptEntry>>(&body)?.checked(|entry| entry.id.as_deref())?;
            let mut results = vec![];
            for (id, entry) in entries {
                results.push((id, change_visibility(service, queue, &entry).await.map(|()| json!({}))));
            }
            Ok(batch_json(results))
        }
        "GetQueueAttributes" => {
            attributes(service, queue, &read::<GetQueueAttributes>(&body)?.attribute_names).await
        }
        "PurgeQueue" => service.purge(queue).await.map(|()| json!({})),
        other => Err(Fault::Unsupported(other.to_owned())),
    }
}

fn queue_url(endpoint: &str, name: &str) -> String {
    format!("{endpoint}/{ACCOUNT}/{name}")
}

fn sent_json(sent: &Sent) -> Value {
    let mut reply = json!({ "MessageId": sent.message_id, "MD5OfMessageBody": sent.body_md5 });
    if let Some(checksum) = &sent.attributes_md5 {
        reply["MD5OfMessageAttributes"] = Value::from(checksum.as_str());
    }
    reply
}

async fn send_batch(service: &Service, queue: &str, batch: Batch<SendEntry>) -> Result<Value, Fault> {
    let (ids, sends): (Vec<_>, Vec<_>) = batch
        .checked(|entry| entry.id.as_deref())?
        .into_iter()
        .map(|(id, entry)| (id, entry.into_send()))
        .unzip();
    let sent = service.send(queue, sends).await?;
    Ok(batch_json(
        ids.into_iter().zip(sent.into_iter().map(|sent| sent.map(|sent| sent_json(&sent)))).collect(),
    ))
}

async fn change_visibility(service: &Service, queue: &str, entry: &ReceiptEntry) -> Result<(), Fault> {
    service.change_visibility(queue, entry.receipt()?, entry.visibility()?).await
}

fn batch_json(results: Vec<(String, Result<Value, Fault>)>) -> Value {
    let (mut successful, mut failed) = (vec![], vec![]);
    for (id, result) in results {
        match result {
            Ok(mut entry) => {
                entry["Id"] = Value::from(id);
                successful.push(entry);
            }
            Err(fault) => failed.push(json!({
                "Id": id,
                "Code": fault.codes().1,
                "Message": fault.to_string(),
                "SenderFault": fault.is_senders(),
            })),
        }
    }
    json!({ "Successful": successful, "Failed": failed })
}

async fn receive(service: &Service, queue: &str, request: &ReceiveMessage) -> Result<Value, Fault> {
    let within = |name: &str, value: u64, limit: u64| {
        let message =
            || format!("Value {value} for parameter {name} is invalid. Reason: Must be at most {limit}.");
        if value <= limit { Ok(Duration::from_secs(value)) } else { Err(Fault::InvalidParameter(message())) }
    };
    let maximum = request.max_number_of_messages.unwrap_or(1);
    if !(1..=10).contains(&maximum) {
        return Err(Fault::InvalidParameter("MaxNumberOfMessages must be between 1 and 10.".to_owned()));
    }
    let visibility = request.visibility_timeout;
    let receive = Receive {
        maximum,
        visibility_timeout: visibility.map(|it| within("VisibilityTimeout", it, 43_200)).transpose()?,
        wait: match request.wait_time_seconds {
            Some(seconds) => within("WaitTimeSeconds", seconds, 20)?,
            None => service.queue(queue)?.receive_wait,
        },
    };
    let messages = service.receive(queue, receive).await?;
    if messages.is_empty() {
        return Ok(json!({}));
    }
    Ok(json!({
        "Messages": messages.iter().map(|message| message_json(message, request)).collect::<Vec<_>>(),
    }))
}

fn message_json(message: &Message, request: &ReceiveMessage) -> Value {
    let mut system = message.system_attributes();
    system.retain(|name, _| request.wants_system(name));
    let mut custom = message.attributes.clone();
    custom.retain(|name, _| request.wants(name));
    let mut reply = json!({
        "MessageId": message.message_id,
        "ReceiptHandle": message.receipt,
        "Body": message.body,
        "MD5OfBody": message.body_md5,
    });
    if !system.is_empty() {
        reply["Attributes"] = Value::Object(system);
    }
    if !custom.is_empty() {
        // The checksum is over the attributes that are returned.
        if let Ok((_, Some(checksum))) = super::attributes::measure(&custom) {
            reply["MD5OfMessageAttributes"] = Value::from(checksum);
        }
        reply["MessageAttributes"] = Value::Object(custom);
    }
    reply
}

async fn attributes(service: &Service, queue: &str, wanted: &[String]) -> Result<Value, Fault> {
    let settings = service.queue(queue)?;
    let counts = service.counts(queue).await?;
    let mut known = Map::new();
    let mut put = |name: &str, value: String| known.insert(name.to_owned(), Value::String(value));
    put("QueueArn", format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}"));
    put("ApproximateNumberOfMessages", counts.visible.to_string());
    put("ApproximateNumberOfMessagesNotVisible", counts.in_flight.to_string());
    put("ApproximateNumberOfMessagesDelayed", counts.delayed.to_string());
    put("VisibilityTimeout", settings.visibility_timeout.as_secs().to_string());
    put("ReceiveMessageWaitTimeSeconds", settings.receive_wait.as_secs().to_string());
    put("DelaySeconds", settings.delay.as_secs().to_string());
    put("MessageRetentionPeriod", settings.retention.as_secs().to_string());
    put("MaximumMessageSize", SIZE_LIMIT.to_string());
    if let Some(redrive) = &settings.redrive {
        let target = format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{}", redrive.queue);
        let policy = json!({ "deadLetterTargetArn": target, "maxReceiveCount": redrive.maximum_receives });
        put("RedrivePolicy", policy.to_string());
    }
    if !wanted.iter().any(|name| name == "All") {
        known.retain(|name, _| wanted.contains(name));
    }
    Ok(json!({ "Attributes": known }))
}
