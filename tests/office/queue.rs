//! SQS in process, or the server that `TEST_AWS_ENDPOINT` names, with the queue of template.yaml that carries events.

use std::{path::Path, sync::mpsc};

use aws_sdk_sqs::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
};
use officepro_local::sqs::SqsServer;
use shared::control::Queue;

use super::{control::external, template};

/// The queue of webhook events, from its other end.
pub(crate) struct Received {
    client: Client,
    url: String,
}

/// A message on its way to a function.
pub(crate) struct Message {
    pub(crate) body: String,
    receipt: String,
}

impl Received {
    /// Everything that may be received now.
    pub(crate) async fn receive(&self) -> Vec<Message> {
        let mut messages = Vec::new();
        loop {
            let request = self.client.receive_message().queue_url(&self.url).max_number_of_messages(10);
            let batch = request.wait_time_seconds(0).send().await.unwrap();
            if batch.messages().is_empty() {
                return messages;
            }
            messages.extend(batch.messages().iter().map(|message| Message {
                body: message.body().unwrap().to_owned(),
                receipt: message.receipt_handle().unwrap().to_owned(),
            }));
        }
    }

    pub(crate) async fn delete(&self, message: &Message) {
        let request = self.client.delete_message().queue_url(&self.url);
        request.receipt_handle(&message.receipt).send().await.unwrap();
    }
}

/// The queue as the product sees it, and from its other end.
pub(crate) async fn start(file: &Path, office: &str) -> (Queue, Received) {
    let own = external();
    let endpoint = match own.clone() {
        Some(endpoint) => endpoint,
        None => in_process(file).await,
    };
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(&endpoint)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "tests"))
        .build();
    let client = Client::from_conf(config);
    let (url, dead_letters) = if own.is_some() {
        (create(&client, "EventsQueue", office).await, create(&client, "EventsDeadLetterQueue", office).await)
    } else {
        let url = |name| format!("{endpoint}/000000000000/{name}");
        (url("EventsQueue"), url("EventsDeadLetterQueue"))
    };
    (Queue::with_client(client.clone(), url.clone(), dead_letters), Received { client, url })
}

async fn create(client: &Client, id: &str, office: &str) -> String {
    let queues = template().queues;
    let queue = queues.iter().find(|queue| queue.id == id).unwrap();
    let visibility = queue.visibility_timeout.as_secs().to_string();
    let created = client
        .create_queue()
        .queue_name(format!("{}-{office}", queue.id))
        .attributes(aws_sdk_sqs::types::QueueAttributeName::VisibilityTimeout, visibility)
        .send()
        .await
        .unwrap();
    created.queue_url.unwrap()
}

/// A server on a thread of its own, for as long as the test binary runs; its endpoint.
async fn in_process(file: &Path) -> String {
    let (sender, receiver) = mpsc::channel();
    let file = file.to_owned();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let (listener, endpoint) = SqsServer::listen().await.unwrap();
            let _server = SqsServer::start(listener, endpoint.clone(), &file, &template().queues).unwrap();
            sender.send(endpoint).unwrap();
            std::future::pending::<()>().await;
        });
    });
    tokio::task::spawn_blocking(move || receiver.recv().unwrap()).await.unwrap()
}
