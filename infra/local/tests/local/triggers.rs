use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Method;
use officepro_local::sqs::{Receive, Send, SqsServer};
use officepro_local::template::{Function, QueueTrigger, Redrive, Schedule};
use officepro_local::triggers::Triggers;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::probe::{Bench, function};
use crate::sqs::queue;

const TIMEOUT: Duration = Duration::from_secs(30);

async fn queues(folder: &std::path::Path) -> SqsServer {
    let (listener, endpoint) = SqsServer::listen().await.unwrap();
    let redrive = Redrive { queue: "Dead".to_owned(), maximum_receives: 1 };
    let queues = [queue("Events", Some(redrive)), queue("Dead", None)];
    SqsServer::start(listener, endpoint, &folder.join("sqs.sqlite"), &queues).unwrap()
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

#[tokio::test]
async fn a_schedule_runs_at_the_start_and_at_every_interval_but_never_twice_at_once() {
    let bench = Bench::new(TIMEOUT, 4, TIMEOUT).await;
    let sqs = queues(bench.folder.path()).await;
    let input = json!({ "shard": 0, "of": 1 });
    let schedule =
        Schedule { name: "Often".to_owned(), every: Duration::from_hours(1), input: Some(input.clone()) };
    let scheduled = Function { schedules: vec![schedule], ..function(TIMEOUT) };
    let every = Some(Duration::from_secs(1));
    let triggers = Triggers::start(&[scheduled], &bench.host, &sqs.service, every, 4);

    let process = bench.process().await;
    let (id, event) = process.next().await;
    assert_eq!(serde_json::from_slice::<Value>(&event).unwrap(), input);
    tokio::time::sleep(Duration::from_millis(2_300)).await;
    assert_eq!(bench.host.process_count("Probe"), 1, "it waits for the one that is running");
    process.respond(&id, "null").await;
    let begun = Instant::now();
    let (id, _) = process.next().await;
    assert!(begun.elapsed() < Duration::from_millis(1_200), "{:?}", begun.elapsed());
    process.respond(&id, "null").await;
    let begun = Instant::now();
    let (id, _) = process.next().await;
    let waited = begun.elapsed().as_millis();
    assert!((500..1_500).contains(&waited), "what was missed is not made up for: {waited} ms");
    process.respond(&id, "null").await;
    triggers.stop_taking();
    triggers.finished().await;
}

#[tokio::test]
async fn a_batch_waits_for_its_window_and_a_failed_one_comes_back_whole() {
    let bench = Bench::new(TIMEOUT, 4, TIMEOUT).await;
    let sqs = queues(bench.folder.path()).await;
    let function = with_queue(Duration::from_millis(500));
    let triggers = Triggers::start(&[function], &bench.host, &sqs.service, None, 1);
    sqs.service.send("Events", vec![message("1")]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    sqs.service.send("Events", vec![message("2"), message("3")]).await.unwrap();
    let process = bench.process().await;
    let (id, event) = process.next().await;
    let event: Value = serde_json::from_slice(&event).unwrap();
    let bodies: Vec<_> = event["Records"].as_array().unwrap().iter().map(|record| &record["body"]).collect();
    assert_eq!(bodies, ["1", "2", "3"]);
    let path = format!("/2018-06-01/runtime/invocation/{id}/error");
    process.call(Method::POST, &path, &[], r#"{"errorType":"Mine"}"#).await;

    // The queue lets each message be received once, so all of them end with the dead letters.
    let mut dead = vec![];
    while dead.len() < 3 {
        let receive = Receive { maximum: 10, visibility_timeout: None, wait: Duration::from_secs(10) };
        let received = sqs.service.receive("Dead", receive).await.unwrap();
        assert!(!received.is_empty(), "{dead:?}");
        dead.extend(received.into_iter().map(|message| message.body));
    }
    dead.sort();
    assert_eq!(dead, ["1", "2", "3"]);
    let more = timeout(Duration::from_millis(200), process.next()).await;
    assert!(more.is_err(), "the function sees none of them again");
    triggers.stop_taking();
    triggers.finished().await;
}

#[tokio::test]
async fn no_more_batches_are_in_work_at_once_than_the_trigger_allows() {
    let bench = Bench::new(TIMEOUT, 4, TIMEOUT).await;
    let sqs = queues(bench.folder.path()).await;
    let mut function = with_queue(Duration::ZERO);
    function.queues[0].batch_size = 1;
    let triggers = Triggers::start(&[function], &bench.host, &sqs.service, None, 4);
    sqs.service.send("Events", (0..4).map(|number| message(&number.to_string())).collect()).await.unwrap();
    let (one, two) = (bench.process().await, bench.process().await);
    let ((first, _), (second, _)) = tokio::join!(one.next(), two.next());
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(bench.host.process_count("Probe"), 2);
    for (process, id) in [(&one, first), (&two, second)] {
        process.respond(&id, "{}").await;
    }
    let ((first, _), (second, _)) = tokio::join!(one.next(), two.next());
    for (process, id) in [(&one, first), (&two, second)] {
        process.respond(&id, "").await;
    }
    let host = Arc::clone(&bench.host);
    triggers.stop_taking();
    triggers.finished().await;
    host.stop().await;
}
