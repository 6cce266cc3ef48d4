//! Large backlogs and short runs.

use std::{collections::HashMap, future::poll_fn, pin::pin, task};

use jiff::SignedDuration;
use log_poller::Poll;
use shared::domain::{EventScope, ids::LogId, log_progress::LogProgress};

use super::{poll, subscribe, take_log_ids, write};
use crate::office::{Engine, Office};

const LATE: i64 = 8_000;
const NEW: i64 = 8_000;
/// Maximum rows, late and new, that a run reads; one in four is an event for two subscriptions.
const SLICE: usize = 500;
const ONCE: Poll = Poll { shard: 0, of: 1, once: true };

/// Writes rows from one id to another; one in four is an event.
async fn write_many(office: &Office, from: i64, to: i64) {
    let text = format!(
        "insert into log (log_id, table_name, action, record_id, logged_at)
         with recursive numbers (n) as (select {from} union all select n + 1 from numbers where n < {to})
         select n, case when n % 4 <> 0 then 'sessions' when n % 20 = 0 then 'patients' when n % 20 = 4 then \
         'visits'
             when n % 20 = 8 then 'claims' when n % 20 = 12 then 'payments' else 'documents' end,
             'insert', n, '2026-03-09T12:00:00Z' from numbers"
    );
    office.sql(&text).await;
}

/// Returns the practice's progress, as another process would read it.
pub(super) async fn progress(office: &Office) -> LogProgress {
    let (control, practice) = (&office.app.control, office.db.practicepass());
    let now = office.app.clock.now();
    let until = now + SignedDuration::from_secs(30);
    let lease = control.take_lease(practice, "reader", now, until).await.unwrap().unwrap();
    control.release(&lease).await.unwrap();
    lease.progress.unwrap()
}

/// Returns the number of rows not processed yet.
fn open(progress: &LogProgress, highest: i64) -> i64 {
    progress.gaps.iter().map(|gap| gap.to.0 - gap.from.0 + 1).sum::<i64>() + highest - progress.top.0
}

/// Returns how often each event was sent to each subscription.
async fn sent(office: &Office) -> HashMap<(i64, i64), usize> {
    let mut sent = HashMap::new();
    for body in super::queued(office).await {
        let message: serde_json::Value = serde_json::from_str(&body).unwrap();
        let place = (message["logId"].as_i64().unwrap(), message["subscription"].as_i64().unwrap());
        *sent.entry(place).or_default() += 1;
    }
    sent
}

/// Runs work and drops it after a number of polls if it has not finished.
async fn cut_off_after<T>(times: usize, work: impl Future<Output = T>) -> Option<T> {
    let (mut work, mut left) = (pin!(work), times);
    poll_fn(|context| match work.as_mut().poll(context) {
        task::Poll::Ready(result) => task::Poll::Ready(Some(result)),
        task::Poll::Pending if left == 0 => task::Poll::Ready(None),
        task::Poll::Pending => {
            left -= 1;
            task::Poll::Pending
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_advances_batch_by_batch_in_any_time_limit() {
    let office = Office::open(Engine::Sqlite).await;
    for number in 1..=10 {
        let scope = EventScope::ALL[usize::try_from(number).unwrap() % 5];
        subscribe(&office, office.db.practicepass(), number, &[scope]).await;
    }
    write(&office, LATE + 1, "sessions").await;
    poll(&office).await;
    let highest = LATE + 1 + NEW;
    write_many(&office, 1, LATE).await;
    write_many(&office, LATE + 2, highest).await;
    let mut left = open(&progress(&office).await, highest);
    assert_eq!(left, LATE + NEW);
    let (mut turns, mut cut_off) = (0, 0);
    while left > 0 {
        turns += 1;
        let no_time = office.app.clock.now();
        let run = log_poller::run(&office.app, ONCE, no_time, None);
        if turns % 6 == 0 {
            // Killed in the middle of a batch; its lease expires.
            if cut_off_after(2 * turns, run).await.is_none() {
                cut_off += 1;
            }
            office.set_time(&(no_time + SignedDuration::from_secs(31)).to_string());
        } else {
            run.await.unwrap();
            let before = left;
            left = open(&progress(&office).await, highest);
            let read = usize::try_from(before - left).unwrap();
            assert!((1..=2 * SLICE).contains(&read), "turn {turns}: {read} rows");
        }
        assert!(turns < 200);
    }
    assert!(cut_off > 0);
    let sent = sent(&office).await;
    let expected = (1..=highest).filter(|id| id % 4 == 0).count() * 2;
    assert_eq!(sent.len(), expected, "every event for both of its subscriptions");
    let again: usize = sent.values().map(|times| times - 1).sum();
    assert!(again <= cut_off * SLICE / 4 * 2, "{again} messages were sent again after {cut_off} cuts");
    let progress = progress(&office).await;
    assert_eq!((progress.top, progress.gaps), (LogId(highest), Vec::new()));
}

#[tokio::test]
async fn an_unreadable_row_is_counted_and_skipped() {
    let office = Office::open(Engine::Sqlite).await;
    subscribe(&office, office.db.practicepass(), 1, &[EventScope::Claims]).await;
    for id in [2, 5] {
        write(&office, id, "claims").await;
    }
    poll(&office).await;
    office
        .sql(
            "insert into log (log_id, table_name, action, record_id, logged_at) values (1, 'claims', \
        'insert', 'nonsense', '2026-03-09T12:00:00Z')",
        )
        .await;
    office
        .sql(
            "insert into log (log_id, table_name, action, record_id, logged_at) values (6, 'claims', \
        'insert', 6, 'yesterday')",
        )
        .await;
    office
        .sql(
            "insert into log (log_id, table_name, action, record_id, logged_at) values (7, x'ff', \
        'insert', 7, '2026-03-09T12:00:00Z')",
        )
        .await;
    for id in [3, 8] {
        write(&office, id, "claims").await;
    }
    poll(&office).await;
    poll(&office).await;
    assert_eq!(
        take_log_ids(&office).await,
        [2, 3, 5, 6, 8],
        "a time alone does not make the poller skip a row"
    );
    let progress = progress(&office).await;
    assert_eq!((progress.misfits.unreadable_rows, open(&progress, 8)), (2, 1), "only 4 is missing");
    assert_eq!(progress.misfits.unreadable_times, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_out_of_range_timestamp_delays_nothing() {
    let office = Office::open(Engine::Postgres).await;
    subscribe(&office, office.db.practicepass(), 1, &[EventScope::Claims]).await;
    office
        .sql(
            "insert into log (log_id, table_name, action, record_id, logged_at) values (1, 'claims', \
        'insert', 1, 'infinity')",
        )
        .await;
    write(&office, 2, "claims").await;
    poll(&office).await;
    assert_eq!(take_log_ids(&office).await, [1, 2], "the poll's time replaces it");
    assert_eq!(progress(&office).await.misfits.unreadable_times, 1);
}
