use std::time::Duration;

use log_poller::Poll;
use shared::{
    control::Error,
    domain::ids::LogId,
    tenant::log::{append, missing_below},
};

use super::{poll, row, take_log_ids, write};
use crate::{
    office::{Engine, Office, ends, eventually, on_both_databases},
    webhooks::sign_up,
};

const URL: &str = "https://partner.example.com/hook";

async fn only_subscribed_events_after_the_sign_up_are_sent_once(office: Office) {
    write(&office, 1, "claims").await;
    sign_up(&office, URL, &["Claims", "Encounters"]).await;
    poll(&office).await;
    assert_eq!(take_log_ids(&office).await, Vec::<i64>::new());
    for (id, table) in [(2, "claims"), (3, "patients"), (4, "Visit"), (5, "sessions")] {
        write(&office, id, table).await;
    }
    poll(&office).await;
    assert_eq!(take_log_ids(&office).await, [2, 4]);
    poll(&office).await;
    assert_eq!(take_log_ids(&office).await, Vec::<i64>::new());
}
on_both_databases!(only_subscribed_events_after_the_sign_up_are_sent_once);

async fn ids_committed_out_of_order_are_all_delivered(office: Office) {
    sign_up(&office, URL, &["Claims"]).await;
    for id in [1, 4, 7] {
        write(&office, id, "claims").await;
    }
    poll(&office).await;
    assert_eq!(take_log_ids(&office).await, [1, 4, 7]);
    for id in [3, 6, 2, 5, 8] {
        write(&office, id, "claims").await;
        poll(&office).await;
        assert_eq!(take_log_ids(&office).await, [id]);
    }
}
on_both_databases!(ids_committed_out_of_order_are_all_delivered);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_commits_after_a_later_one_is_not_skipped() {
    let office = Office::open(Engine::Postgres).await;
    sign_up(&office, URL, &["Claims"]).await;
    let mut slow = office.db.begin().await.unwrap();
    let now = office.app.clock.now();
    let early = append(&mut slow.conn, "claims", "insert", 1, now, None).await.unwrap();
    let mut conn = office.db.connection().await.unwrap();
    let late = append(&mut conn, "claims", "insert", 2, now, None).await.unwrap();
    assert!(early < late);
    poll(&office).await;
    assert_eq!(take_log_ids(&office).await, [late.0]);
    slow.end(Ok::<_, shared::sql::Error>(())).await.unwrap();
    poll(&office).await;
    assert_eq!(take_log_ids(&office).await, [early.0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_in_flight_at_the_sign_up_is_sent_but_an_earlier_one_is_not() {
    let office = Office::open(Engine::Postgres).await;
    // A first subscription, and one enabled again after it was disabled: the poller's position is
    // behind by then.
    for round in 0..2 {
        let mut slow = office.db.begin().await.unwrap();
        let now = office.app.clock.now();
        let early = append(&mut slow.conn, "claims", "insert", 1, now, None).await.unwrap();
        let mut conn = office.db.connection().await.unwrap();
        let before = append(&mut conn, "claims", "insert", 2, now, None).await.unwrap();
        assert!(early < before);
        sign_up(&office, URL, &["Claims"]).await;
        let after = append(&mut conn, "claims", "insert", 3, now, None).await.unwrap();
        poll(&office).await;
        assert_eq!(take_log_ids(&office).await, [after.0], "{round}");
        slow.end(Ok::<_, shared::sql::Error>(())).await.unwrap();
        poll(&office).await;
        assert_eq!(take_log_ids(&office).await, [early.0], "{round}");
        office.delete("/v1/webhooks").await.expect(200);
        for id in 0..3 {
            append(&mut conn, "claims", "insert", id, now, None).await.unwrap();
        }
    }
}

async fn a_new_subscription_waits_for_gaps_below_its_start(office: Office) {
    for id in [2, 3, 6, 9] {
        write(&office, id, "claims").await;
    }
    sign_up(&office, URL, &["Claims"]).await;
    poll(&office).await;
    for id in [1, 5, 8] {
        write(&office, id, "claims").await;
    }
    office.set_time("2026-03-09T12:10:00Z");
    poll(&office).await;
    assert_eq!(take_log_ids(&office).await, [1, 5, 8]);
    office.set_time("2026-03-09T12:10:01Z");
    poll(&office).await;
    write(&office, 4, "claims").await;
    poll(&office).await;
    assert_eq!(take_log_ids(&office).await, [4]);
}
on_both_databases!(a_new_subscription_waits_for_gaps_below_its_start);

async fn the_poller_waits_only_for_ids_that_may_be_in_flight(office: Office) {
    let (recent, mut conn) = ("2026-03-09T11:50:01Z", office.db.connection().await.unwrap());
    for id in [2, 5, 8, 12, 14] {
        let text = row(id, "claims");
        office
            .sql(&if id > 5 {
                text.replace("2026-03-09T12:00:00Z", recent)
            } else {
                text.replace("2026-03-09T12:00:00Z", "2026-03-09T11:50:00Z")
            })
            .await;
    }
    let since = "2026-03-09T11:50:00Z".parse().unwrap();
    let mut missing = async |newest, window, limit| {
        let found = missing_below(&mut conn, LogId(newest), since, window, limit).await.unwrap();
        found.into_iter().map(|(from, to)| (from.0, to.0)).collect::<Vec<_>>()
    };
    assert_eq!(missing(14, 1, 9).await, [(6, 7), (9, 11), (13, 13)]);
    assert_eq!(missing(12, 1, 9).await, [(6, 7), (9, 11)]);
    assert_eq!(missing(14, 1_000, 9).await, [(1, 1), (3, 4), (6, 7), (9, 11), (13, 13)]);
    assert_eq!(
        missing(14, 1_000, 2).await,
        [(6, 11), (13, 13)],
        "too many: the lowest covers all other recent gaps"
    );
    assert_eq!(missing(0, 1_000, 9).await, []);
}
on_both_databases!(the_poller_waits_only_for_ids_that_may_be_in_flight);

async fn an_id_that_appears_hours_later_is_sent(office: Office) {
    sign_up(&office, URL, &["Claims"]).await;
    write(&office, 4, "claims").await;
    poll(&office).await;
    assert_eq!(take_log_ids(&office).await, [4]);
    for (id, time) in [(1, "2026-03-09T12:10:00Z"), (2, "2026-03-09T12:10:01Z"), (3, "2026-03-10T19:00:00Z")]
    {
        office.set_time(time);
        poll(&office).await;
        write(&office, id, "claims").await;
        poll(&office).await;
        assert_eq!(take_log_ids(&office).await, [id]);
    }
}
on_both_databases!(an_id_that_appears_hours_later_is_sent);

async fn a_backlog_larger_than_a_batch_is_read_completely(office: Office) {
    sign_up(&office, URL, &["Claims"]).await;
    let rows: Vec<String> = (1..=1_203).filter(|id| id % 7 != 0).map(|id| row(id, "claims")).collect();
    office.sql(&rows.join(";")).await;
    poll(&office).await;
    assert_eq!(take_log_ids(&office).await.len(), rows.len());
    office
        .sql(&(1..=1_203).filter(|id| id % 7 == 0).map(|id| row(id, "claims")).collect::<Vec<_>>().join(";"))
        .await;
    poll(&office).await;
    assert_eq!(take_log_ids(&office).await.len(), 1_203 / 7);
}
on_both_databases!(a_backlog_larger_than_a_batch_is_read_completely);

#[tokio::test]
async fn an_unreadable_practice_does_not_delay_the_other() {
    let office = Office::open(Engine::Sqlite).await;
    sign_up(&office, URL, &["Claims"]).await;
    let other = office.token("other").await;
    let body = serde_json::json!({ "hookUrl": URL, "scopes": ["Claims"] });
    office.send(&other, "POST", "/v1/webhooks/signup", Some(&body)).await.expect(201);
    office.sql("alter table log rename to hidden").await;
    let mut conn = office.other_db.connection().await.unwrap();
    let now = office.app.clock.now();
    let id = append(&mut conn, "claims", "insert", 5, now, None).await.unwrap();
    drop(conn);
    poll(&office).await;
    assert_eq!(take_log_ids(&office).await, [id.0]);
    office.sql("alter table hidden rename to log").await;
    write(&office, 9, "claims").await;
    poll(&office).await;
    assert_eq!(take_log_ids(&office).await, [9], "nothing was lost");
}

#[tokio::test]
async fn a_practice_leased_by_another_process_is_skipped_until_the_lease_ends() {
    let office = Office::open(Engine::Sqlite).await;
    sign_up(&office, URL, &["Claims"]).await;
    write(&office, 1, "claims").await;
    let (control, now) = (&office.app.control, office.app.clock.now());
    let until = now + Duration::from_secs(30);
    let practice = office.db.practicepass();
    let mut stale = control.take_lease(practice, "another", now, until).await.unwrap().unwrap();
    poll(&office).await;
    assert_eq!(take_log_ids(&office).await, Vec::<i64>::new());
    office.set_time("2026-03-09T12:00:30Z");
    poll(&office).await;
    assert_eq!(take_log_ids(&office).await, [1]);
    let progress = shared::domain::log_progress::LogProgress::after(shared::domain::ids::LogId(0));
    let written = control.save_progress(&mut stale, progress, until).await;
    assert!(matches!(written, Err(Error::ConditionFailed)), "a previous holder cannot turn progress back");
    poll(&office).await;
    assert_eq!(take_log_ids(&office).await, Vec::<i64>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_poller_polls_repeatedly_within_its_minute() {
    let office = Office::open(Engine::Sqlite).await;
    sign_up(&office, URL, &["Claims"]).await;
    let deadline = office.app.clock.now() + Duration::from_mins(1);
    let running = log_poller::run(&office.app, Poll { shard: 0, of: 1, once: false }, deadline, None);
    let meanwhile = async {
        for id in [1, 2] {
            write(&office, id, "claims").await;
            let seen = eventually("the event", async || {
                Some(take_log_ids(&office).await).filter(|ids| !ids.is_empty())
            });
            assert_eq!(seen.await, [id]);
        }
        office.set_time("2026-03-09T12:01:00Z");
    };
    let both = Box::pin(async { tokio::join!(running, meanwhile) });
    let (ended, ()) = ends("the end of the minute", both).await;
    ended.unwrap();
}

#[tokio::test]
async fn every_practice_is_polled_by_exactly_one_shard() {
    let office = Office::open(Engine::Sqlite).await;
    sign_up(&office, URL, &["Claims"]).await;
    write(&office, 1, "claims").await;
    let deadline = office.app.clock.now() + Duration::from_mins(1);
    let mut sent = Vec::new();
    for shard in 0..3 {
        log_poller::run(&office.app, Poll { shard, of: 3, once: true }, deadline, None).await.unwrap();
        sent.push(take_log_ids(&office).await.len());
    }
    sent.sort_unstable();
    assert_eq!(sent, [0, 0, 1]);
}
