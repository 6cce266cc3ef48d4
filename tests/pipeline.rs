//! From a row in the log to the partner's endpoint: the poller, the queue, the fan-out.

mod fanout;
mod poller;

use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use log_poller::Poll;
use officepro_local::sqs::{Message, Receive};
use shared::{
    control::deliveries::Delivery,
    domain::ids::{LogId, SubscriptionId},
};

use crate::office::Office;

const QUEUE: &str = "EventsQueue";

/// One poll of all practices.
async fn poll(office: &Office) {
    let deadline = office.app.clock.now() + Duration::from_mins(1);
    log_poller::run(&office.app, Poll { shard: 0, of: 1, once: true }, deadline).await.unwrap();
}

/// Everything that may be received now.
async fn receive(office: &Office) -> Vec<Message> {
    let mut messages = Vec::new();
    loop {
        let receive = Receive { maximum: 10, visibility_timeout: None, wait: Duration::ZERO };
        let batch = office.queue.receive(QUEUE, receive).await.unwrap();
        if batch.is_empty() {
            return messages;
        }
        messages.extend(batch);
    }
}

/// The log ids of the events that can be received now, in order; they are taken off the queue.
async fn take_log_ids(office: &Office) -> Vec<i64> {
    let mut ids = Vec::new();
    for message in receive(office).await {
        let body: serde_json::Value = serde_json::from_str(&message.body).unwrap();
        ids.push(body["logId"].as_i64().unwrap());
        office.queue.delete(QUEUE, &message.receipt).await.unwrap();
    }
    ids.sort_unstable();
    ids
}

fn event(bodies: &[&str]) -> SqsEvent {
    let mut event = SqsEvent::default();
    for (index, body) in bodies.iter().enumerate() {
        let mut record = SqsMessage::default();
        record.message_id = Some(format!("m{index}"));
        record.body = Some((*body).to_owned());
        event.records.push(record);
    }
    event
}

/// Delivers what can be received now, as Lambda does: what isn't named as failed is taken off the queue. How many failed.
async fn deliver(office: &Office) -> usize {
    let messages = receive(office).await;
    let bodies: Vec<&str> = messages.iter().map(|message| message.body.as_str()).collect();
    let response = webhook_fanout::deliver(&office.app, event(&bodies)).await;
    let failed: Vec<String> =
        response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect();
    for (index, message) in messages.iter().enumerate() {
        if !failed.contains(&format!("m{index}")) {
            office.queue.delete(QUEUE, &message.receipt).await.unwrap();
        }
    }
    failed.len()
}

/// The delivery of one of `DemoOffice`'s events to its first subscription.
async fn delivery(office: &Office, log_id: i64) -> Delivery {
    let practicepass = office.db.practicepass();
    let key = Delivery::key_of(practicepass, SubscriptionId(1), LogId(log_id));
    office.app.control.delivery(&key).await.unwrap().unwrap()
}

/// The EMR writes a row with this id.
async fn write(office: &Office, log_id: i64, table: &str) {
    office.sql(&row(log_id, table)).await;
}

fn row(log_id: i64, table: &str) -> String {
    format!(
        "insert into log (log_id, table_name, action, record_id, logged_at) \
         values ({log_id}, '{table}', 'insert', {}, '2026-03-09T12:00:00Z')",
        log_id * 10
    )
}
