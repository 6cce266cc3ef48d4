//! From a row in the log to the partner's endpoint: the poller, the queue, the fan-out.

mod backlog;
mod breaker;
mod changes;
mod claims;
mod clocks;
mod dead_letters;
pub(crate) mod fanout;
mod health_writes;
mod held_back;
mod help_yourself;
mod isolation;
mod long_holds;
mod misfits;
mod odd_ids;
mod odd_times;
mod pace;
mod poller;
mod pollers_list;
mod release;
mod replay;
mod restarts;
mod strangers;
mod two_pollers;
mod under_way;

use std::time::Duration;

use log_poller::Poll;
use shared::{
    auth::webhook_signature::SigningSecret,
    control::{
        deliveries::Delivery,
        subscriptions::{Breaker, LastOutcomes, Subscription, SubscriptionStatus},
    },
    domain::{
        EventScope, PracticePass, Scope,
        ids::{LogId, PartnerId, SubscriptionId},
    },
    egress::{HookUrl, Reach},
    function::sqs::{SqsEvent, SqsMessage},
};
use sqlx::{Connection, SqliteConnection};
use webhook_fanout::Lane;

use crate::office::{Message, Office};

/// Polls all practices once.
pub(crate) async fn poll(office: &Office) {
    let deadline = office.app.clock.now() + Duration::from_mins(1);
    log_poller::run(&office.app, Poll { shard: 0, of: 1, once: true }, deadline, None).await.unwrap();
}

/// Returns the messages that can be received now.
async fn receive(office: &Office) -> Vec<Message> {
    office.queue.receive().await
}

/// Returns the bodies of all messages in all queues, received or not.
pub(crate) async fn queued(office: &Office) -> Vec<String> {
    let file = format!("sqlite://{}", office.queue_file.display());
    let mut queue = SqliteConnection::connect(&file).await.unwrap();
    sqlx::query_scalar("select body from messages").fetch_all(&mut queue).await.unwrap()
}

/// Receives and deletes the queued events; returns their log ids in order.
async fn take_log_ids(office: &Office) -> Vec<i64> {
    let mut ids = Vec::new();
    for message in receive(office).await {
        let body: serde_json::Value = serde_json::from_str(&message.body).unwrap();
        ids.push(body["logId"].as_i64().unwrap());
        office.queue.delete(&message).await;
    }
    ids.sort_unstable();
    ids
}

pub(crate) fn event(bodies: &[&str]) -> SqsEvent {
    let message = |(index, body): (usize, &&str)| SqsMessage {
        message_id: format!("m{index}"),
        body: (*body).to_owned(),
    };
    SqsEvent { records: bodies.iter().enumerate().map(message).collect() }
}

/// Delivers the queued messages as Lambda does, deleting those that are not reported as failed.
/// Returns the number of failures.
pub(crate) async fn deliver(office: &Office) -> usize {
    let messages = receive(office).await;
    let bodies: Vec<&str> = messages.iter().map(|message| message.body.as_str()).collect();
    let response = webhook_fanout::deliver(&office.app, Lane::Fast, event(&bodies)).await;
    let failed: Vec<String> =
        response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect();
    for (index, message) in messages.iter().enumerate() {
        if !failed.contains(&format!("m{index}")) {
            office.queue.delete(message).await;
        }
    }
    failed.len()
}

/// The delivery of one of `DemoOffice`'s events to its first subscription.
async fn delivery(office: &Office, log_id: i64) -> Delivery {
    office.app.control.delivery(&delivery_key(office, log_id)).await.unwrap().unwrap()
}

fn delivery_key(office: &Office, log_id: i64) -> String {
    Delivery::key_of(office.db.practicepass(), SubscriptionId(1), LogId(log_id))
}

/// Writes a row with this id, as the EMR does.
async fn write(office: &Office, log_id: i64, table: &str) {
    office.sql(&row(log_id, table)).await;
}

/// Returns a new partner's subscription in a practice whose log is empty.
pub(crate) async fn subscribe(
    office: &Office,
    practicepass: &PracticePass,
    number: i64,
    scopes: &[EventScope],
) {
    let now = office.app.clock.now();
    office.give_access(&format!("prt_{number}"), practicepass, Scope::ALL).await;
    let subscription = Subscription {
        id: SubscriptionId(number),
        generation: number,
        partner_id: PartnerId(format!("prt_{number}")),
        practicepass: practicepass.clone(),
        hook_url: HookUrl::parse("https://partner.example.com/hook", Reach::Internet).unwrap(),
        scopes: scopes.to_vec(),
        status: SubscriptionStatus::Active,
        disabled_reason: None,
        disabled_at: None,
        paused_at: None,
        secret: SigningSecret::from_random(&[7; 32]),
        old_secrets: Vec::new(),
        start_after_log_id: LogId(0),
        in_flight: Vec::new(),
        start_epoch: 0,
        started_at: now,
        failing_since: None,
        breaker: Breaker::default(),
        last: LastOutcomes::default(),
        created_at: now,
        updated_at: now,
        version: 1,
    };
    office.app.control.save_subscription(&subscription, None).await.unwrap();
}

fn row(log_id: i64, table: &str) -> String {
    format!(
        "insert into log (log_id, table_name, action, record_id, logged_at) \
         values ({log_id}, '{table}', 'insert', {}, '2026-03-09T12:00:00Z')",
        log_id * 10
    )
}
