//! The SQS queues of webhook events.

mod together;

use std::{sync::OnceLock, time::Duration};

use aws_sdk_sqs::{
    Client,
    types::{self, MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry},
};
use futures::{StreamExt, stream};
use tokio::time::Instant;

use super::{Error, Result, aws};
use crate::domain::webhook_event::EventMessage;
use together::Together;

/// The most messages that SQS accepts in one call.
const BATCH: usize = 10;
/// Concurrent batches.
const CONCURRENCY: usize = 16;
/// The time after which no new call starts; unsent messages then count as not accepted.
const LIMIT: Duration = Duration::from_secs(10);

/// A message to send.
#[derive(Clone, Debug)]
pub struct Message {
    pub body: String,
    /// The message group of a fair queue: a busy group does not delay the others.
    ///
    /// Order is not guaranteed.
    pub group: String,
    /// Seconds until the message can be received; at most 900.
    pub delay_seconds: i32,
}

impl Message {
    /// Creates the message of an event, which can be received after `delay_seconds`.
    pub fn of_event(event: &EventMessage, delay_seconds: i32) -> Result<Self> {
        let body = serde_json::to_string(event).map_err(|error| Error::Malformed(error.to_string()))?;
        // In a group of its own, a replay does not delay current events.
        let group = match event.replay {
            Some(_) => format!("{}-replay", event.subscription),
            None => event.subscription.to_string(),
        };
        Ok(Self { body, group, delay_seconds })
    }

    /// Copies a received message, to be sent again unchanged.
    fn received(message: &types::Message) -> Self {
        let group = message.attributes().and_then(|it| it.get(&MessageSystemAttributeName::MessageGroupId));
        Self {
            body: message.body.clone().unwrap_or_default(),
            group: group.cloned().unwrap_or_else(|| "dead-letters".to_owned()),
            delay_seconds: 0,
        }
    }
}

/// One of the queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    Events,
    SlowEvents,
    DeadLetters,
}

/// The approximate number of messages in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    /// Messages that can be received now.
    pub waiting: i64,
    /// Messages that were received but neither deleted nor returned.
    pub in_flight: i64,
    /// Messages whose delay has not passed.
    pub delayed: i64,
}

/// The queues `EVENTS_QUEUE_URL`, `SLOW_EVENTS_QUEUE_URL` and `DEAD_LETTER_QUEUE_URL`.
///
/// The last one contains the dead letters of the others. The client is built on first use.
#[derive(Debug, Default)]
pub struct Queue {
    client: OnceLock<Client>,
    url: Option<String>,
    slow_url: Option<String>,
    dead_letters_url: Option<String>,
    events: Together,
    slow_events: Together,
}

impl Queue {
    pub fn new(url: Option<String>, slow_url: Option<String>, dead_letters_url: Option<String>) -> Self {
        Self { url, slow_url, dead_letters_url, ..Self::default() }
    }

    pub fn with_client(client: Client, url: String, slow_url: String, dead_letters_url: String) -> Self {
        let (url, slow_url, dead_letters_url) = (Some(url), Some(slow_url), Some(dead_letters_url));
        Self { client: client.into(), url, slow_url, dead_letters_url, ..Self::default() }
    }

    /// Returns the approximate number of messages in a queue.
    ///
    /// # Errors
    /// Errors of SQS, and [`Error::NotConfigured`] without a URL.
    pub async fn depth(&self, lane: Lane) -> Result<Depth> {
        let url = match lane {
            Lane::Events => self.url.as_deref().ok_or(Error::NotConfigured("EVENTS_QUEUE_URL"))?,
            Lane::SlowEvents => {
                self.slow_url.as_deref().ok_or(Error::NotConfigured("SLOW_EVENTS_QUEUE_URL"))?
            }
            Lane::DeadLetters => {
                self.dead_letters_url.as_deref().ok_or(Error::NotConfigured("DEAD_LETTER_QUEUE_URL"))?
            }
        };
        let counts = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let output = self
            .client()
            .get_queue_attributes()
            .queue_url(url)
            .set_attribute_names(Some(counts.to_vec()))
            .send()
            .await
            .map_err(|error| Error::from_sdk("SQS", &error))?;
        let counted = |wanted| {
            let count = output.attributes().and_then(|it| it.get(wanted)?.parse().ok());
            count.ok_or_else(|| Error::Malformed("a queue without a number of messages".into()))
        };
        let [waiting, in_flight, delayed] = &counts;
        Ok(Depth { waiting: counted(waiting)?, in_flight: counted(in_flight)?, delayed: counted(delayed)? })
    }

    /// Moves all dead letters back to the events queue, as new messages; returns their number.
    ///
    /// An interrupted run sends a message at most twice, which counts as one attempt.
    ///
    /// # Errors
    /// Errors of SQS, [`Error::NotConfigured`] without a URL, or if a message is not accepted: it
    /// stays in the queue.
    pub async fn redrive(&self) -> Result<usize> {
        let url = self.dead_letters_url.as_deref().ok_or(Error::NotConfigured("DEAD_LETTER_QUEUE_URL"))?;
        let mut moved = 0;
        loop {
            let request = self.client().receive_message().queue_url(url).max_number_of_messages(10);
            let request = request.message_system_attribute_names(MessageSystemAttributeName::MessageGroupId);
            let batch = request.wait_time_seconds(1).send().await;
            let batch = batch.map_err(|error| Error::from_sdk("SQS", &error))?;
            if batch.messages().is_empty() {
                return Ok(moved);
            }
            let messages: Vec<Message> = batch.messages().iter().map(Message::received).collect();
            let accepted = self.send(&messages).await?;
            for (message, _) in batch.messages().iter().zip(&accepted).filter(|(_, accepted)| **accepted) {
                let request = self.client().delete_message().queue_url(url);
                let request = request.set_receipt_handle(message.receipt_handle.clone());
                request.send().await.map_err(|error| Error::from_sdk("SQS", &error))?;
                moved += 1;
            }
            if accepted.contains(&false) {
                let reason = "not every message was accepted".to_owned();
                return Err(Error::Unavailable { service: "SQS", reason });
            }
        }
    }

    /// Sends messages in concurrent batches of ten; returns, in order, whether SQS accepted each.
    ///
    /// Rejected messages are tried three times in total, as time permits.
    ///
    /// # Errors
    /// Only [`Error::NotConfigured`] without a URL.
    pub async fn send(&self, messages: &[Message]) -> Result<Vec<bool>> {
        let url = self.url.as_deref().ok_or(Error::NotConfigured("EVENTS_QUEUE_URL"))?;
        Ok(send_to(self.client(), url, messages).await)
    }

    /// Sends a message together with those of concurrent callers; returns whether SQS accepted it.
    ///
    /// # Errors
    /// Only [`Error::NotConfigured`] without a URL.
    pub async fn send_one(&self, message: Message) -> Result<bool> {
        let url = self.url.as_deref().ok_or(Error::NotConfigured("EVENTS_QUEUE_URL"))?;
        Ok(self.events.send(self.client(), url, message).await)
    }

    /// The same as [`Self::send_one`], to the slow lane.
    pub async fn send_slowly(&self, message: Message) -> Result<bool> {
        let url = self.slow_url.as_deref().ok_or(Error::NotConfigured("SLOW_EVENTS_QUEUE_URL"))?;
        Ok(self.slow_events.send(self.client(), url, message).await)
    }

    fn client(&self) -> &Client {
        self.client.get_or_init(|| {
            Client::from_conf(aws::config!(aws_sdk_sqs::Config::builder(), "AWS_ENDPOINT_URL_SQS"))
        })
    }
}

async fn send_to(client: &Client, url: &str, messages: &[Message]) -> Vec<bool> {
    let began = Instant::now();
    let firsts = (0..messages.len()).step_by(BATCH);
    // In order, so that as far as possible a prefix of the messages is accepted when time runs out.
    let mut batches =
        stream::iter(firsts.map(|first| send_ten(client, url, messages, first, began))).buffered(CONCURRENCY);
    let mut accepted = Vec::with_capacity(messages.len());
    while let Some(batch) = batches.next().await {
        accepted.extend(batch);
    }
    accepted
}

/// Returns which messages of one batch were accepted.
async fn send_ten(
    client: &Client,
    url: &str,
    messages: &[Message],
    first: usize,
    began: Instant,
) -> Vec<bool> {
    let last = messages.len().min(first + BATCH);
    let mut accepted = vec![false; last - first];
    let mut open: Vec<usize> = (first..last).collect();
    for attempt in 0..3_u64 {
        tokio::time::sleep(Duration::from_millis(100 * attempt)).await;
        if open.is_empty() || began.elapsed() >= LIMIT {
            break;
        }
        for index in send_batch(client, url, messages, &open).await {
            accepted[index - first] = true;
        }
        open.retain(|index| !accepted[*index - first]);
    }
    accepted
}

/// Returns the indexes of the accepted messages.
async fn send_batch(client: &Client, url: &str, messages: &[Message], open: &[usize]) -> Vec<usize> {
    let mut request = client.send_message_batch().queue_url(url);
    for &index in open {
        let message = &messages[index];
        let entry = SendMessageBatchRequestEntry::builder()
            .id(index.to_string())
            .message_body(&message.body)
            .message_group_id(&message.group)
            .delay_seconds(message.delay_seconds)
            .build();
        match entry {
            Ok(entry) => request = request.entries(entry),
            Err(error) => tracing::error!(%error, "a queue message could not be built"),
        }
    }
    match request.send().await {
        Ok(output) => {
            for failed in output.failed() {
                tracing::warn!(code = failed.code(), "the queue rejected a message");
            }
            output
                .successful()
                .iter()
                .filter_map(|it| it.id().parse().ok())
                .filter(|it| open.contains(it))
                .collect()
        }
        Err(error) => {
            tracing::warn!(error = %Error::from_sdk("SQS", &error), "a batch was not sent");
            Vec::new()
        }
    }
}
