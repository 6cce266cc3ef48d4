//! SQS in process, or the server that `TEST_AWS_ENDPOINT` names, with the event queue of
//! template.yaml.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use aws_sdk_sqs::{
    Client,
    config::{BehaviorVersion, Credentials, Region, StalledStreamProtectionConfig},
    types::{DeleteMessageBatchRequestEntry, QueueAttributeName},
};
use officepro_local::sqs::SqsServer;
use serde_json::json;
use shared::control::Queue;

use super::{
    aws_proxy::{self, AwsCall},
    control::external,
    server::Server,
    template, timeouts,
};

/// The consumer's side of the webhook event queue.
pub(crate) struct Received {
    client: Client,
    url: String,
    slow_url: String,
    /// The number of entries rejected on the way.
    pub(super) rejected: Arc<AtomicUsize>,
    _server: Option<Arc<Server>>,
}

/// A message on its way to a function.
pub(crate) struct Message {
    pub(crate) body: String,
    receipt: String,
}

impl Received {
    /// Receives all messages that can be received now.
    pub(crate) async fn receive(&self) -> Vec<Message> {
        self.receive_from(&self.url).await
    }

    /// Does the same for the slow lane, and deletes them from it.
    pub(crate) async fn take_slow(&self) -> Vec<String> {
        self.take(&self.slow_url).await
    }

    async fn take(&self, url: &str) -> Vec<String> {
        let messages = self.receive_from(url).await;
        for message in &messages {
            self.remove(url, message).await;
        }
        messages.into_iter().map(|message| message.body).collect()
    }

    async fn receive_from(&self, url: &str) -> Vec<Message> {
        let mut messages = Vec::new();
        loop {
            let batch = self.batch(url).await;
            if batch.is_empty() {
                return messages;
            }
            messages.extend(batch);
        }
    }

    /// Returns the queues for another process, and the number of its calls that send messages.
    #[allow(dead_code, reason = "the bench does not count")]
    pub(crate) async fn counted(&self) -> (Queue, Arc<AtomicUsize>) {
        let calls = Arc::new(AtomicUsize::default());
        let count = calls.clone();
        let endpoint = self.url.split('/').take(3).collect::<Vec<_>>().join("/");
        let address = aws_proxy::before(endpoint, move |call: AwsCall| {
            if call.operation.starts_with("SendMessage") {
                count.fetch_add(1, Ordering::Relaxed);
            }
            call.forward()
        });
        let client = client(&address.await);
        let (url, slow_url) = (self.url.clone(), self.slow_url.clone());
        (Queue::with_client(client, url.clone(), slow_url, url), calls)
    }

    /// Receives a batch as Lambda does.
    #[allow(dead_code, reason = "the bench uses it")]
    pub(crate) async fn receive_ten(&self) -> Vec<Message> {
        self.batch(&self.url).await
    }

    /// Does the same for the slow lane.
    #[allow(dead_code, reason = "the bench uses it")]
    pub(crate) async fn receive_ten_slow(&self) -> Vec<Message> {
        self.batch(&self.slow_url).await
    }

    async fn batch(&self, url: &str) -> Vec<Message> {
        let request = self.client.receive_message().queue_url(url).max_number_of_messages(10);
        let batch = request.wait_time_seconds(0).send().await.unwrap();
        let message = |it: &aws_sdk_sqs::types::Message| Message {
            body: it.body().unwrap().to_owned(),
            receipt: it.receipt_handle().unwrap().to_owned(),
        };
        batch.messages().iter().map(message).collect()
    }

    /// Returns the number of messages in both lanes: waiting, hidden or delayed.
    pub(crate) async fn left(&self) -> i64 {
        let mut left = 0;
        for url in [&self.url, &self.slow_url] {
            let request = self.client.get_queue_attributes().queue_url(url);
            let reply = request.attribute_names(QueueAttributeName::All).send().await.unwrap();
            for (name, value) in reply.attributes().unwrap() {
                if name.as_str().starts_with("ApproximateNumberOfMessages") {
                    left += value.parse::<i64>().unwrap();
                }
            }
        }
        left
    }

    /// Returns failed messages to the queue as Lambda does, but at once.
    pub(crate) async fn give_back(&self, message: &Message) {
        let request = self.client.change_message_visibility().queue_url(&self.url).visibility_timeout(0);
        request.receipt_handle(&message.receipt).send().await.unwrap();
    }

    pub(crate) async fn delete(&self, message: &Message) {
        self.remove(&self.url, message).await;
    }

    /// Deletes a batch from the slow or the fast lane, as Lambda does.
    #[allow(dead_code, reason = "the bench uses it")]
    pub(crate) async fn delete_batch(&self, slow: bool, messages: &[Message]) {
        let mut request = self.client.delete_message_batch();
        request = request.queue_url(if slow { &self.slow_url } else { &self.url });
        for (index, message) in messages.iter().enumerate() {
            let entry = DeleteMessageBatchRequestEntry::builder().id(index.to_string());
            request = request.entries(entry.receipt_handle(&message.receipt).build().unwrap());
        }
        assert_eq!(request.send().await.unwrap().failed(), []);
    }

    async fn remove(&self, url: &str, message: &Message) {
        let request = self.client.delete_message().queue_url(url);
        request.receipt_handle(&message.receipt).send().await.unwrap();
    }
}

/// The addresses of the queues for the product.
#[derive(Clone)]
pub(crate) struct Address {
    client: Client,
    url: String,
    slow_url: String,
    dead_letters_url: String,
    _server: Option<Arc<Server>>,
}

impl Address {
    pub(crate) fn queue(&self) -> Queue {
        let Self { client, url, slow_url, dead_letters_url, .. } = self.clone();
        Queue::with_client(client, url, slow_url, dead_letters_url)
    }
}

/// Returns the queues for the product, which reject some entries of batches if `rejecting`, and
/// their consumer's side.
pub(crate) async fn start(file: &Path, office: &str, rejecting: bool) -> (Address, Received) {
    let own = external();
    let server = if own.is_some() { None } else { Some(Arc::new(in_process(file).await)) };
    let endpoint = own.clone().or_else(|| Some(server.as_ref()?.endpoint.clone())).unwrap();
    let client = client(&endpoint);
    let (url, slow_url, dead_letters_url) = if own.is_some() {
        // First the queue to which the others move messages.
        let dead_letters_url = create(&client, "EventsDeadLetterQueue", office).await;
        let url = create(&client, "EventsQueue", office).await;
        (url, create(&client, "SlowEventsQueue", office).await, dead_letters_url)
    } else {
        let url = |name| format!("{endpoint}/000000000000/{name}");
        (url("EventsQueue"), url("SlowEventsQueue"), url("EventsDeadLetterQueue"))
    };
    let (products_client, rejected) = if rejecting {
        let (address, rejected) = super::rejecting_queue::start(endpoint).await;
        (self::client(&address), rejected)
    } else {
        (client.clone(), Arc::default())
    };
    let address = Address {
        client: products_client,
        url: url.clone(),
        slow_url: slow_url.clone(),
        dead_letters_url,
        _server: server.clone(),
    };
    (address, Received { client, url, slow_url, rejected, _server: server })
}

fn client(endpoint: &str) -> Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "tests"))
        .timeout_config(timeouts::of_stores())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build();
    Client::from_conf(config)
}

async fn create(client: &Client, id: &str, office: &str) -> String {
    let queues = &template().queues;
    let queue = queues.iter().find(|queue| queue.id == id).unwrap();
    let visibility = queue.visibility_timeout.as_secs().to_string();
    let mut request = client
        .create_queue()
        .queue_name(format!("{}-{office}", queue.id))
        .attributes(QueueAttributeName::VisibilityTimeout, visibility);
    if let Some(redrive) = &queue.redrive {
        // As in AWS, a queue's name includes its account.
        let target = format!("arn:aws:sqs:us-east-1:000000000000:{}-{office}", redrive.queue);
        let policy = json!({ "deadLetterTargetArn": target, "maxReceiveCount": redrive.maximum_receives });
        request = request.attributes(QueueAttributeName::RedrivePolicy, policy.to_string());
    }
    request.send().await.unwrap().queue_url.unwrap()
}

async fn in_process(file: &Path) -> Server {
    let file = file.to_owned();
    Server::start(async move || {
        let (listener, endpoint) = SqsServer::listen().await.unwrap();
        (endpoint.clone(), SqsServer::start(listener, endpoint, &file, &template().queues).unwrap())
    })
    .await
}
