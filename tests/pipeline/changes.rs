//! Deletion, a new sign-up and another URL while deliveries are under way.

use std::{
    sync::atomic::{AtomicBool, AtomicI64, Ordering},
    time::Duration,
};

use super::{deliver, poll, write};
use crate::{
    office::{Answer, Engine, Office, Receiver},
    webhooks::sign_up,
};

/// Events are written, polled and delivered until told to stop, as fast as it goes.
async fn work(office: &Office, written: &AtomicI64, done: &AtomicBool) {
    let producing = async {
        while !done.load(Ordering::Relaxed) {
            let id = written.load(Ordering::Relaxed) + 1;
            write(office, id, "claims").await;
            written.store(id, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let consuming = async {
        while !done.load(Ordering::Relaxed) {
            poll(office).await;
            deliver(office).await;
        }
        poll(office).await;
        deliver(office).await;
    };
    tokio::join!(producing, consuming);
}

async fn endpoint() -> Receiver {
    let receiver = Receiver::start().await;
    receiver.otherwise(Answer::status(200).pause(Duration::from_millis(60)));
    receiver
}

fn log_ids(receiver: &Receiver) -> Vec<i64> {
    receiver.received().iter().map(|it| it.json()["logId"].as_i64().unwrap()).collect()
}

/// An endpoint that was replaced, and how often it had been called when the partner had the answer.
struct Replaced(Receiver, usize);

impl Replaced {
    fn new(receiver: Receiver) -> Self {
        let calls = receiver.received().len();
        assert!(calls > 0, "an endpoint that is never called proves nothing");
        Self(receiver, calls)
    }
}

fn nothing_came_after_the_answer(replaced: &[Replaced]) {
    for (round, Replaced(receiver, calls)) in replaced.iter().enumerate() {
        assert_eq!(receiver.received().len(), *calls, "round {round}: calls after the answer");
    }
}

fn missing(receivers: &[&Receiver], ids: std::ops::RangeInclusive<i64>) -> Vec<i64> {
    let came: Vec<i64> = receivers.iter().flat_map(|it| log_ids(it)).collect();
    ids.filter(|id| !came.contains(id)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_event_goes_to_the_old_url_after_the_answer_and_none_is_lost() {
    let office = Office::open(Engine::Sqlite).await;
    let mut current = endpoint().await;
    sign_up(&office, &current.url, &["Claims"]).await;
    let (written, done) = (AtomicI64::new(0), AtomicBool::new(false));
    let changes = async {
        let mut replaced = Vec::new();
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(700)).await;
            let new = endpoint().await;
            sign_up(&office, &new.url, &["Claims"]).await;
            replaced.push(Replaced::new(std::mem::replace(&mut current, new)));
        }
        tokio::time::sleep(Duration::from_millis(700)).await;
        done.store(true, Ordering::Relaxed);
        replaced
    };
    let ((), replaced) = tokio::join!(work(&office, &written, &done), changes);
    nothing_came_after_the_answer(&replaced);
    let all: Vec<&Receiver> = replaced.iter().map(|it| &it.0).chain([&current]).collect();
    assert_eq!(missing(&all, 1..=written.into_inner()), Vec::<i64>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_event_is_sent_after_a_deletion_and_a_new_sign_up_misses_none() {
    let office = Office::open(Engine::Sqlite).await;
    let mut current = endpoint().await;
    sign_up(&office, &current.url, &["Claims"]).await;
    let (written, done) = (AtomicI64::new(0), AtomicBool::new(false));
    let changes = async {
        let (mut replaced, mut from) = (Vec::new(), 0);
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_millis(700)).await;
            office.delete("/v1/webhooks").await.expect(200);
            let new = endpoint().await;
            replaced.push(Replaced::new(std::mem::replace(&mut current, new)));
            tokio::time::sleep(Duration::from_millis(200)).await;
            sign_up(&office, &current.url, &["Claims"]).await;
            // The row after this one may be under way.
            from = written.load(Ordering::Relaxed) + 2;
        }
        tokio::time::sleep(Duration::from_millis(700)).await;
        done.store(true, Ordering::Relaxed);
        (replaced, from)
    };
    let ((), (replaced, from)) = tokio::join!(work(&office, &written, &done), changes);
    nothing_came_after_the_answer(&replaced);
    let last = written.into_inner();
    assert!(from + 5 < last);
    assert_eq!(missing(&[&current], from..=last), Vec::<i64>::new());
}
