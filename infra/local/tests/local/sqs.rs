use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::operation::receive_message::builders::ReceiveMessageFluentBuilder;
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, Message, MessageAttributeValue, MessageSystemAttributeName,
    QueueAttributeName, SendMessageBatchRequestEntry,
};
use futures::poll;
use officepro_local::sqs::{Receive, SqsServer};
use officepro_local::template::{Queue, Redrive};

use crate::probe::ends;

/// The queues `Events` (redriven to `Dead` after 2 receives), `Dead` and `Unused`.
struct Bench {
    client: Client,
    url: String,
    server: SqsServer,
}

pub(crate) fn client(endpoint: &str, access_key: &str) -> Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new(access_key, "local", None, None, "test"))
        .endpoint_url(endpoint)
        .build();
    Client::from_conf(config)
}

pub(crate) fn queue(id: &str, redrive: Option<Redrive>) -> Queue {
    Queue {
        id: id.to_owned(),
        visibility_timeout: Duration::from_secs(30),
        delay: Duration::ZERO,
        receive_wait: Duration::ZERO,
        retention: Duration::from_hours(96),
        redrive,
    }
}

async fn bench(folder: &Path) -> Bench {
    let (listener, endpoint) = SqsServer::listen().await.unwrap();
    let redrive = Redrive { queue: "Dead".to_owned(), maximum_receives: 2 };
    let queues = [queue("Events", Some(redrive)), queue("Dead", None), queue("Unused", None)];
    let file = folder.join("sqs.sqlite");
    let server = SqsServer::start(listener, endpoint.clone(), &file, &queues).unwrap();
    let client = client(&endpoint, "anybody");
    let url = client.get_queue_url().queue_name("Events").send().await.unwrap().queue_url.unwrap();
    assert_eq!(url, format!("{endpoint}/000000000000/Events"));
    Bench { client, url, server }
}

impl Bench {
    async fn send(&self, body: &str) -> String {
        let sent = self.client.send_message().queue_url(&self.url).message_body(body).send().await.unwrap();
        sent.message_id.unwrap()
    }

    fn receiving(&self, url: &str) -> ReceiveMessageFluentBuilder {
        let receive = self.client.receive_message().queue_url(url).max_number_of_messages(10);
        receive.message_system_attribute_names(MessageSystemAttributeName::All)
    }

    async fn receive(&self) -> Vec<Message> {
        self.receiving(&self.url).send().await.unwrap().messages.unwrap_or_default()
    }

    async fn count(&self, name: QueueAttributeName) -> String {
        let attributes = self.client.get_queue_attributes().queue_url(&self.url);
        let attributes = attributes.attribute_names(QueueAttributeName::All).send().await.unwrap();
        attributes.attributes.unwrap()[&name].clone()
    }
}

fn attribute<'a>(message: &'a Message, name: &MessageSystemAttributeName) -> Option<&'a str> {
    message.attributes.as_ref()?.get(name).map(String::as_str)
}

#[tokio::test]
async fn a_received_message_is_complete_and_hidden_until_it_is_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let bench = bench(folder.path()).await;
    let text = MessageAttributeValue::builder().data_type("String").string_value("v").build().unwrap();
    let bytes =
        MessageAttributeValue::builder().data_type("Binary").binary_value(Blob::new([1, 2])).build().unwrap();
    let sent = bench
        .client
        .send_message()
        .queue_url(&bench.url)
        .message_body("héllo")
        .message_group_id("subscription-7")
        .message_attributes("text", text.clone())
        .message_attributes("bytes", bytes.clone())
        .send()
        .await
        .unwrap();
    assert_eq!(sent.md5_of_message_body.as_deref(), Some("be50e8478cf24ff3595bc7307fb91b50"));

    let receive = bench.receiving(&bench.url).message_attribute_names("All");
    let message = receive.send().await.unwrap().messages.unwrap().remove(0);
    assert_eq!(message.body.as_deref(), Some("héllo"));
    assert_eq!(message.message_id, sent.message_id);
    assert_eq!(message.md5_of_body, sent.md5_of_message_body);
    assert_eq!(message.md5_of_message_attributes, sent.md5_of_message_attributes);
    let attributes = message.message_attributes.as_ref().unwrap();
    assert_eq!((&attributes["text"], &attributes["bytes"]), (&text, &bytes));
    assert_eq!(attribute(&message, &MessageSystemAttributeName::MessageGroupId), Some("subscription-7"));
    assert_eq!(attribute(&message, &MessageSystemAttributeName::ApproximateReceiveCount), Some("1"));

    assert!(bench.receive().await.is_empty());
    assert_eq!(bench.count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible).await, "1");
    let receipt = message.receipt_handle.unwrap();
    bench.client.delete_message().queue_url(&bench.url).receipt_handle(receipt).send().await.unwrap();
    assert_eq!(bench.count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible).await, "0");
}

/// Starts a receive with a wait far longer than any test, and begins `work` once it is waiting.
async fn woken(
    bench: &Bench,
    queue: &str,
    work: impl Future<Output = ()>,
) -> Vec<officepro_local::sqs::Message> {
    let service = &bench.server.service;
    let receive = |wait| Receive { maximum: 10, visibility_timeout: None, wait };
    let mut waiting = pin!(service.receive(queue, receive(Duration::from_hours(1))));
    assert!(poll!(&mut waiting).is_pending());
    // The queues' database works in order, so by now the first attempt found nothing.
    assert!(service.receive("Unused", receive(Duration::ZERO)).await.unwrap().is_empty());
    assert!(poll!(&mut waiting).is_pending());
    work.await;
    ends("the message", waiting).await.unwrap()
}

#[tokio::test]
async fn a_long_poll_wakes_for_new_delayed_and_released_messages() {
    let folder = tempfile::tempdir().unwrap();
    let bench = bench(folder.path()).await;
    let send = async || {
        bench.send("new").await;
    };
    let new = Box::pin(woken(&bench, "Events", send())).await.remove(0);
    let give_back = async || {
        let change = bench.client.change_message_visibility().queue_url(&bench.url);
        change.receipt_handle(&new.receipt).visibility_timeout(1).send().await.unwrap();
    };
    let again = woken(&bench, "Events", give_back()).await.remove(0);
    assert_eq!((again.body.as_str(), again.receive_count), ("new", 2));

    let send = async || {
        let send = bench.client.send_message().queue_url(&bench.url).message_body("delayed");
        send.delay_seconds(1).send().await.unwrap();
    };
    let delayed = Box::pin(woken(&bench, "Events", send())).await.remove(0);
    assert_eq!(delayed.body, "delayed");
    assert!(delayed.first_received_at - delayed.sent_at >= 1_000, "not before its delay is over");
}

#[tokio::test]
async fn a_delayed_message_is_counted_but_not_received() {
    let folder = tempfile::tempdir().unwrap();
    let bench = bench(folder.path()).await;
    let send = bench.client.send_message().queue_url(&bench.url).message_body("delayed");
    send.delay_seconds(900).send().await.unwrap();
    assert_eq!(bench.count(QueueAttributeName::ApproximateNumberOfMessagesDelayed).await, "1");
    assert!(bench.receive().await.is_empty());
}

#[tokio::test]
async fn a_long_poll_without_messages_ends() {
    let folder = tempfile::tempdir().unwrap();
    let bench = bench(folder.path()).await;
    let receiving = bench.receiving(&bench.url).wait_time_seconds(1).send();
    let received = ends("the long poll", receiving).await.unwrap();
    assert!(received.messages.unwrap_or_default().is_empty());
}

#[tokio::test]
async fn a_message_received_too_often_moves_to_the_dead_letter_queue() {
    let folder = tempfile::tempdir().unwrap();
    let bench = bench(folder.path()).await;
    bench.send("poison").await;
    for _ in 0..2 {
        let message = bench.receiving(&bench.url).send().await.unwrap().messages.unwrap().remove(0);
        let receipt = message.receipt_handle.unwrap();
        let back = bench.client.change_message_visibility().queue_url(&bench.url).receipt_handle(receipt);
        back.visibility_timeout(0).send().await.unwrap();
    }
    let third = async {
        assert!(bench.receive().await.is_empty());
    };
    let dead = Box::pin(woken(&bench, "Dead", third)).await.remove(0);
    assert_eq!((dead.body.as_str(), dead.receive_count), ("poison", 3));
    assert_eq!(dead.dead_letter_source.as_deref(), Some("arn:aws:sqs:us-east-1:000000000000:Events"));
}

#[tokio::test]
async fn a_stale_receipt_cannot_delete_or_change_visibility() {
    let folder = tempfile::tempdir().unwrap();
    let bench = bench(folder.path()).await;
    bench.send("once").await;
    let receive = bench.receiving(&bench.url).visibility_timeout(0);
    let stale = receive.send().await.unwrap().messages.unwrap().remove(0).receipt_handle.unwrap();
    // A visibility time-out of zero leaves it visible; the clock has millisecond resolution.
    let again = async { while bench.receive().await.is_empty() {} };
    ends("the same message", again).await;
    bench.client.delete_message().queue_url(&bench.url).receipt_handle(&stale).send().await.unwrap();
    assert_eq!(bench.count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible).await, "1");
    let change = bench.client.change_message_visibility().queue_url(&bench.url).receipt_handle(&stale);
    let error = change.visibility_timeout(5).send().await.unwrap_err().into_service_error();
    assert!(error.is_message_not_inflight(), "{error:?}");
}

#[tokio::test]
async fn a_batch_returns_one_result_per_entry() {
    let folder = tempfile::tempdir().unwrap();
    let bench = bench(folder.path()).await;
    let entry = |id: &str, body: &str| {
        SendMessageBatchRequestEntry::builder().id(id).message_body(body).build().unwrap()
    };
    let batch = bench.client.send_message_batch().queue_url(&bench.url);
    let batch = batch.entries(entry("good", "a")).entries(entry("bad", "\u{1}")).entries(entry("fine", "b"));
    let sent = batch.send().await.unwrap();
    let ids: Vec<_> = sent.successful.iter().map(|entry| entry.id.as_str()).collect();
    assert_eq!(ids, ["good", "fine"]);
    assert_eq!((sent.failed[0].id.as_str(), sent.failed[0].code.as_str()), ("bad", "InvalidMessageContents"));
    assert!(sent.failed[0].sender_fault);

    let messages = bench.receive().await;
    assert_eq!(messages.len(), 2);
    let mut delete = bench.client.delete_message_batch().queue_url(&bench.url);
    for (index, message) in messages.iter().enumerate() {
        let receipt = message.receipt_handle.as_ref().unwrap();
        let entry = DeleteMessageBatchRequestEntry::builder().id(index.to_string()).receipt_handle(receipt);
        delete = delete.entries(entry.build().unwrap());
    }
    let wrong = DeleteMessageBatchRequestEntry::builder().id("wrong").receipt_handle("nonsense");
    let deleted = delete.entries(wrong.build().unwrap()).send().await.unwrap();
    assert_eq!((deleted.successful.len(), deleted.failed[0].code.as_str()), (2, "ReceiptHandleIsInvalid"));
    assert_eq!(bench.count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible).await, "0");
}

#[tokio::test]
async fn the_sdk_gets_its_typed_errors() {
    let folder = tempfile::tempdir().unwrap();
    let bench = bench(folder.path()).await;
    let client = &bench.client;
    let error = client.get_queue_url().queue_name("Nowhere").send().await.unwrap_err().into_service_error();
    assert!(error.is_queue_does_not_exist(), "{error:?}");
    let elsewhere = bench.url.replace("Events", "Nowhere");
    let error = client.send_message().queue_url(elsewhere).message_body("x").send().await.unwrap_err();
    assert!(error.into_service_error().is_queue_does_not_exist());
    let delete = client.delete_message().queue_url(&bench.url).receipt_handle("nonsense");
    assert!(delete.send().await.unwrap_err().into_service_error().is_receipt_handle_is_invalid());
    let entry = |id: &str| SendMessageBatchRequestEntry::builder().id(id).message_body("x").build().unwrap();
    let batch = client.send_message_batch().queue_url(&bench.url);
    let error = batch.clone().entries(entry("a")).entries(entry("a")).send().await.unwrap_err();
    assert!(error.into_service_error().is_batch_entry_ids_not_distinct());
    let many = batch.clone().set_entries(Some((0..11).map(|id| entry(&id.to_string())).collect()));
    assert!(many.send().await.unwrap_err().into_service_error().is_too_many_entries_in_batch_request());
    let error = batch.clone().entries(entry("a b")).send().await.unwrap_err();
    assert!(error.into_service_error().is_invalid_batch_entry_id());
    let error = batch.set_entries(Some(vec![])).send().await.unwrap_err();
    assert!(error.into_service_error().is_empty_batch_request());
}

#[tokio::test]
async fn sizes_and_times_are_limited() {
    let folder = tempfile::tempdir().unwrap();
    let bench = bench(folder.path()).await;
    let send = || bench.client.send_message().queue_url(&bench.url);
    send().message_body("x".repeat(1_048_576)).send().await.unwrap();
    assert!(send().message_body("x".repeat(1_048_577)).send().await.is_err());
    assert!(send().message_body("x").delay_seconds(901).send().await.is_err());
    let half = |id: &str| {
        SendMessageBatchRequestEntry::builder().id(id).message_body("x".repeat(600_000)).build().unwrap()
    };
    let batch = bench.client.send_message_batch().queue_url(&bench.url).entries(half("a")).entries(half("b"));
    assert!(batch.send().await.unwrap_err().into_service_error().is_batch_request_too_long());
    let receive = || bench.client.receive_message().queue_url(&bench.url);
    assert!(receive().max_number_of_messages(11).send().await.is_err());
    assert!(receive().wait_time_seconds(21).send().await.is_err());
    assert!(receive().visibility_timeout(43_201).send().await.is_err());
}

#[tokio::test]
async fn competing_consumers_receive_every_message_once() {
    let folder = tempfile::tempdir().unwrap();
    let bench = bench(folder.path()).await;
    for chunk in 0..20 {
        let entry = |index: u32| {
            let body = format!("{chunk}-{index}");
            SendMessageBatchRequestEntry::builder().id(index.to_string()).message_body(body).build().unwrap()
        };
        let batch = bench.client.send_message_batch().queue_url(&bench.url);
        batch.set_entries(Some((0..10).map(entry).collect())).send().await.unwrap();
    }
    let consumer = || async {
        let mut bodies = vec![];
        loop {
            let messages = bench.receive().await;
            if messages.is_empty() {
                return bodies;
            }
            bodies.extend(messages.into_iter().map(|message| message.body.unwrap()));
        }
    };
    let (one, two, three) = tokio::join!(consumer(), consumer(), consumer());
    let mut all = [one, two, three].concat();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 200);
}

#[tokio::test]
async fn queues_can_be_purged_and_listed() {
    let folder = tempfile::tempdir().unwrap();
    let bench = bench(folder.path()).await;
    bench.send("gone").await;
    bench.client.purge_queue().queue_url(&bench.url).send().await.unwrap();
    assert!(bench.receive().await.is_empty());
    let listed = bench.client.list_queues().queue_name_prefix("Ev").send().await.unwrap();
    assert_eq!(listed.queue_urls.unwrap(), std::slice::from_ref(&bench.url));
}

#[tokio::test]
async fn a_group_with_thousands_of_messages_delays_no_other_group() {
    let folder = tempfile::tempdir().unwrap();
    let bench = bench(folder.path()).await;
    for first in (0..2_420).step_by(10) {
        let entry = |number: i32| {
            let entry = SendMessageBatchRequestEntry::builder().id(number.to_string());
            entry.message_body(format!("noisy {number}")).message_group_id("noisy").build().unwrap()
        };
        let entries: Vec<_> = (first..first + 10).map(entry).collect();
        bench
            .client
            .send_message_batch()
            .queue_url(&bench.url)
            .set_entries(Some(entries))
            .send()
            .await
            .unwrap();
    }
    let noisy = bench.receive().await;
    assert_eq!(noisy.len(), 10);
    for group in ["quiet", "other"] {
        for number in 0..2 {
            let send =
                bench.client.send_message().queue_url(&bench.url).message_body(format!("{group} {number}"));
            send.message_group_id(group).send().await.unwrap();
        }
    }
    let next = bench.receive().await;
    let mut bodies: Vec<&str> = next.iter().map(|it| it.body.as_deref().unwrap()).collect();
    assert_eq!(bodies.len(), 10, "the noisy one gets the unused capacity");
    let quiet: Vec<&str> = bodies.extract_if(.., |it| !it.starts_with("noisy")).collect();
    assert_eq!(quiet, ["quiet 0", "other 0", "quiet 1", "other 1"]);
    assert_eq!(
        bodies,
        ["noisy 10", "noisy 11", "noisy 12", "noisy 13", "noisy 14", "noisy 15"],
        "the oldest first"
    );
    bench.server.stop().await;
}
