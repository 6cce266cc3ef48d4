use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use http::Method;
use officepro_local::sqs::{Receive, Send, SqsServer};
use officepro_local::template::{Function, QueueTrigger, Redrive, Schedule};
use officepro_local::triggers::Triggers;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::probe::{Bench, Process, ends, eventually, function};
use crate::sqs::{client, queue};

const TIMEOUT: Duration = Duration::from_mins(10);

/// The queues `Events`, whose messages are received at most once, and `Dead`; and their endpoint.
async fn queues(folder: &std::path::Path) -> (SqsServer, String) {
    let (listener, endpoint) = SqsServer::listen().await.unwrap();
    let redrive = Redrive { queue: "Dead".to_owned(), maximum_receives: 1 };
    let queues = [queue("Events", Some(redrive)), queue("Dead", None)];
    let server = SqsServer::start(listener, endpoint.clone(), &folder.join("sqs.sqlite"), &queues).unwrap();
    (server, endpoint)
}

fn with_queue(window: Duration) -> Function {
    let trigger = QueueTrigger {
        queue: "Events".to_owned(),
        batch_size: 10,
        window,
        reports_failures: true,
        maximum_concurrency: Some(2),
    };
    Function { queues: vec![trigger], ..function(TIMEOUT) }
}

fn message(body: &str) -> Send {
    Send { body: body.to_owned(), ..Send::default() }
}

type Words = Arc<Mutex<Vec<String>>>;

/// The process responds to every event and records its text.
fn answers(process: Process, words: &Words) -> JoinHandle<()> {
    let words = Arc::clone(words);
    tokio::spawn(async move {
        loop {
            let (id, event) = process.next().await;
            let event: Value = serde_json::from_slice(&event).unwrap();
            words.lock().unwrap().push(event["word"].as_str().unwrap().to_owned());
            process.respond(&id, "null").await;
        }
    })
}

#[tokio::test]
async fn a_schedule_runs_at_start_and_every_interval_without_overlap() {
    const MISSED: usize = 8;
    let bench = Bench::new(TIMEOUT, 2, TIMEOUT).await;
    let (sqs, _) = queues(bench.folder.path()).await;
    let schedule = |word: &str| Schedule {
        name: word.to_owned(),
        every: Duration::from_hours(1),
        input: Some(json!({ "word": word })),
    };
    // Two schedules with the same interval: one shows how often the other would have run.
    let scheduled = Function { schedules: ["held", "free"].map(schedule).to_vec(), ..function(TIMEOUT) };
    let every = Some(Duration::from_millis(200));
    let triggers = Triggers::start(&[scheduled], &bench.host, &sqs.service, every, 4);

    let (one, two) = (bench.process().await, bench.process().await);
    let ((first, event), (second, _)) = tokio::join!(one.next(), two.next());
    let one_is_held = serde_json::from_slice::<Value>(&event).unwrap()["word"] == "held";
    let ((held, held_id), (free, free_id)) =
        if one_is_held { ((one, first), (two, second)) } else { ((two, second), (one, first)) };
    free.respond(&free_id, "null").await;
    let words = Words::default();
    let count = |word: &str| words.lock().unwrap().iter().filter(|it| *it == word).count();
    let _free = answers(free, &words);
    eventually("runs of the one", || (count("free") >= MISSED).then_some(())).await;
    assert_eq!(count("held"), 0, "the other waits for the one that is running");

    held.respond(&held_id, "null").await;
    let _held = answers(held, &words);
    let before = count("free");
    eventually("runs of both", || (count("held") > 0 && count("free") >= before + 4).then_some(())).await;
    let (held, free) = (count("held"), count("free") - before);
    assert!(held < free + MISSED / 2, "missed runs are made up for: {held} beside {free}");
    triggers.stop_taking();
    ends("the triggers", triggers.finished()).await;
}

#[tokio::test]
async fn a_partial_batch_waits_and_a_failed_batch_is_redelivered_whole() {
    let bench = Bench::new(TIMEOUT, 4, TIMEOUT).await;
    let (sqs, endpoint) = queues(bench.folder.path()).await;
    let mut function = with_queue(Duration::from_hours(1));
    function.queues[0].batch_size = 3;
    let triggers = Triggers::start(&[function], &bench.host, &sqs.service, None, 1);
    sqs.service.send("Events", vec![message("1")]).await.unwrap();
    in_flight(&endpoint, 1).await;
    sqs.service.send("Events", vec![message("2"), message("3")]).await.unwrap();
    let process = bench.process().await;
    let (id, event) = process.next().await;
    assert_eq!(bodies(&event), ["1", "2", "3"]);
    let path = format!("/2018-06-01/runtime/invocation/{id}/error");
    process.call(Method::POST, &path, &[], r#"{"errorType":"Mine"}"#).await;

    // Each message can be received only once, so all end up as dead letters, and the function never
    // sees one again.
    let mut dead = vec![];
    while dead.len() < 3 {
        let receive = Receive { maximum: 10, visibility_timeout: None, wait: TIMEOUT };
        let received = ends("the dead letters", sqs.service.receive("Dead", receive)).await.unwrap();
        dead.extend(received.into_iter().map(|message| message.body));
    }
    dead.sort();
    assert_eq!(dead, ["1", "2", "3"]);
    assert_eq!(left(&endpoint).await, BTreeMap::from([("Delayed", 0), ("NotVisible", 0), ("Visible", 0)]));
    triggers.stop_taking();
    triggers.finished().await;
}

#[tokio::test]
async fn a_partial_batch_is_sent_when_its_window_ends() {
    let bench = Bench::new(TIMEOUT, 4, TIMEOUT).await;
    let (sqs, _) = queues(bench.folder.path()).await;
    let function = with_queue(Duration::from_millis(100));
    let triggers = Triggers::start(&[function], &bench.host, &sqs.service, None, 1);
    sqs.service.send("Events", vec![message("1")]).await.unwrap();
    let process = bench.process().await;
    let (id, event) = process.next().await;
    assert_eq!(bodies(&event), ["1"]);
    process.respond(&id, "{}").await;
    triggers.stop_taking();
    triggers.finished().await;
}

fn bodies(event: &[u8]) -> Vec<String> {
    let event: Value = serde_json::from_slice(event).unwrap();
    let records = event["Records"].as_array().unwrap().iter();
    records.map(|record| record["body"].as_str().unwrap().to_owned()).collect()
}

/// Counts the messages in `Events` by state.
async fn left(endpoint: &str) -> BTreeMap<&'static str, usize> {
    let url = format!("{endpoint}/000000000000/Events");
    let client = client(endpoint, "anybody");
    let request = client.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All);
    let attributes = request.send().await.unwrap().attributes.unwrap();
    let count = |name| attributes[&name].parse().unwrap();
    BTreeMap::from([
        ("Delayed", count(QueueAttributeName::ApproximateNumberOfMessagesDelayed)),
        ("NotVisible", count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible)),
        ("Visible", count(QueueAttributeName::ApproximateNumberOfMessages)),
    ])
}

async fn in_flight(endpoint: &str, count: usize) {
    let taken = async { while left(endpoint).await["NotVisible"] != count {} };
    ends("messages received from the queue", taken).await;
}

#[tokio::test]
async fn concurrent_batches_stay_within_the_limit_of_the_trigger() {
    let bench = Bench::new(TIMEOUT, 4, TIMEOUT).await;
    let (sqs, _) = queues(bench.folder.path()).await;
    let mut function = with_queue(Duration::ZERO);
    function.queues[0].batch_size = 1;
    let triggers = Triggers::start(&[function], &bench.host, &sqs.service, None, 4);
    sqs.service.send("Events", (0..4).map(|number| message(&number.to_string())).collect()).await.unwrap();
    let (one, two) = (bench.process().await, bench.process().await);
    let both = async { tokio::join!(one.next(), two.next()) };
    let ((first, _), (second, _)) = ends("two batches", both).await;
    // The pollers woken together with these two have had ample time to take the others.
    let rest = Receive { maximum: 10, visibility_timeout: None, wait: Duration::ZERO };
    let left = sqs.service.receive("Events", rest).await.unwrap();
    assert_eq!(left.len(), 2, "other messages stay in the queue");
    for (process, id) in [(&one, first), (&two, second)] {
        process.respond(&id, "{}").await;
    }
    let host = Arc::clone(&bench.host);
    triggers.stop_taking();
    triggers.finished().await;
    host.stop().await;
}
