//! Messages that our own faults leave in the dead-letter queue, and their later delivery.

use serde_json::json;

use super::{event, poll, write};
use crate::{
    office::{Engine, Office, Receiver},
    webhooks::sign_up,
};
use shared::domain::delivery::DeliveryStatus;
use webhook_fanout::Lane;

/// Makes the message of event 5 unreadable, as it is for an older function.
fn as_the_faulty_function_reads(body: &str) -> String {
    if body.contains("\"logId\":5,") { body.replace("\"v\":1", "\"v\":2") } else { body.to_owned() }
}

/// Handles a batch as Lambda does: deletes messages that are not reported as failed; the others
/// become visible again. Returns how many were received and how many failed.
async fn batch(office: &Office, read: impl Fn(&str) -> String) -> (usize, usize) {
    let messages = office.queue.receive().await;
    let bodies: Vec<String> = messages.iter().map(|message| read(&message.body)).collect();
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    let response = webhook_fanout::deliver(&office.app, Lane::Fast, event(&bodies)).await;
    let failed: Vec<&str> =
        response.batch_item_failures.iter().map(|it| it.item_identifier.as_str()).collect();
    for (index, message) in messages.iter().enumerate() {
        if failed.contains(&format!("m{index}").as_str()) {
            office.queue.give_back(message).await;
        } else {
            office.queue.delete(message).await;
        }
    }
    (messages.len(), failed.len())
}

async fn dead_letters(office: &Office) -> serde_json::Value {
    let monitor = office.admin("GET", "/v1/admin/webhooks/monitor", None).await;
    monitor.expect(200)["queue"]["deadLetters"].clone()
}

#[tokio::test]
async fn unreadable_messages_are_dead_lettered_after_five_receives() {
    let office = Office::open(Engine::Sqlite).await;
    let receiver = Receiver::start().await;
    sign_up(&office, &receiver.url, &["Claims"]).await;
    for id in 1..=10 {
        write(&office, id, "claims").await;
    }
    poll(&office).await;
    assert_eq!(batch(&office, as_the_faulty_function_reads).await, (10, 1));
    for receive in 2..=5 {
        assert_eq!(batch(&office, as_the_faulty_function_reads).await, (1, 1), "receive {receive}");
        assert_eq!(dead_letters(&office).await, json!(0), "receive {receive}");
    }
    assert_eq!(batch(&office, as_the_faulty_function_reads).await, (0, 0));
    assert_eq!(dead_letters(&office).await, json!(1));
    assert_eq!(receiver.received().len(), 9, "the others each once");

    assert_eq!(office.app.queue.redrive().await.unwrap(), 1);
    assert_eq!(dead_letters(&office).await, json!(0));
    assert_eq!(batch(&office, str::to_owned).await, (1, 0));
    let mut ids: Vec<i64> =
        receiver.received().iter().map(|it| it.json()["logId"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=10).collect::<Vec<_>>());
    assert_eq!(super::delivery(&office, 5).await.status, DeliveryStatus::Delivered);
    assert_eq!(office.app.queue.redrive().await.unwrap(), 0);
    assert_eq!(office.queue.left().await, 0, "no hidden message is left");
}
