//! Two concurrent pollers on a practice whose ids commit out of order or are rolled back, with a
//! queue that rejects entries and progress that is lost.

use std::{
    collections::HashSet,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use aws_sdk_dynamodb::types::AttributeValue;
use log_poller::Poll;
use shared::{sql::Conn, tenant::log::append};

use super::take_log_ids;
use crate::{
    office::{Engine, Office, eventually},
    webhooks::sign_up,
};

const WRITERS: u64 = 6;
const ROWS_EACH: u64 = 60;

/// Inserts rows, each committed or rolled back later, and collects the committed ids.
async fn write(office: &Office, writer: u64, committed: &Mutex<HashSet<i64>>) {
    for number in 0..ROWS_EACH {
        let mut transaction = office.db.begin().await.unwrap();
        let at = office.app.clock.now();
        let id = append(&mut transaction.conn, "claims", "insert", 1, at, None).await.unwrap();
        // Other rows commit meanwhile, in any order.
        for _ in 0..(writer * 37 + number * 13) % 30 {
            let Conn::Postgres(connection) = &mut transaction.conn else { panic!("PostgreSQL") };
            sqlx::raw_sql("select 1").execute(&mut **connection).await.unwrap();
        }
        let fails = (writer + number).is_multiple_of(5);
        let end = if fails { Err(shared::sql::Error::Registry("rolled back".into())) } else { Ok(()) };
        if transaction.end(end).await.is_ok() {
            committed.lock().unwrap().insert(id.0);
        }
    }
}

/// Polls until stopped.
async fn poll(office: &Office, done: &AtomicBool, polls: &AtomicU64) {
    while !done.load(Ordering::Relaxed) {
        let deadline = office.app.clock.now() + Duration::from_mins(1);
        log_poller::run(&office.app, Poll { shard: 0, of: 1, once: true }, deadline, None).await.unwrap();
        polls.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_pollers_send_every_committed_row_despite_lost_progress() {
    let office = Office::open_with_rejecting_queue(Engine::Postgres).await;
    sign_up(&office, "https://partner.example.com/hook", &["Claims"]).await;
    let (committed, done, polls) = (Mutex::default(), AtomicBool::new(false), AtomicU64::new(0));
    let writing = async {
        let writers = (0..WRITERS).map(|writer| write(&office, writer, &committed));
        futures::future::join_all(writers).await;
    };
    let forgetting = async {
        for written in [60, 120, 180] {
            eventually("commits", async || (committed.lock().unwrap().len() >= written).then_some(())).await;
            let text = |text: &str| AttributeValue::S(text.into());
            let control = office.tables.iter().find(|it| it.starts_with("ControlTable")).unwrap();
            let delete = office.dynamodb.delete_item().table_name(control);
            let delete = delete.key("pk", text("PRACTICE#DemoOffice")).key("sk", text("DISPATCH"));
            delete.send().await.unwrap();
        }
    };
    let watching = async {
        tokio::join!(writing, forgetting);
        let committed: HashSet<i64> = committed.lock().unwrap().clone();
        let mut sent: HashSet<i64> = HashSet::new();
        eventually("everything that was committed", async || {
            sent.extend(take_log_ids(&office).await);
            committed.is_subset(&sent).then_some(())
        })
        .await;
        done.store(true, Ordering::Relaxed);
        (committed, sent)
    };
    let ((committed, sent), ..) =
        tokio::join!(watching, poll(&office, &done, &polls), poll(&office, &done, &polls));
    let missing: Vec<i64> = committed.difference(&sent).copied().collect();
    assert!(missing.is_empty(), "{missing:?} of {} were not sent", committed.len());
    assert_eq!(committed.len(), 288);
    assert!(sent.is_subset(&committed), "a rolled-back row was sent as an event");
    assert!(
        office.rejected_entries() > 20,
        "the queue rejected {} entries: too few to prove anything",
        office.rejected_entries()
    );
    assert!(polls.into_inner() > 10);
}
