//! The end of a poller's run, with a store that works, delays or hangs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::{join_all, pending};
use jiff::Timestamp;
use log_poller::Poll;
use shared::{
    app::{App, Clock},
    control::Store,
    domain::{EventScope, PracticePass},
};
use sqlx::{AssertSqlSafe, Connection, Executor, SqliteConnection};
use tokio::sync::Barrier;

use super::subscribe;
use crate::office::{Engine, Office, ends, eventually, external, store_behind, template};

const RELEASE: &str = "REMOVE leaseUntil, leaseOwner";

/// Opens an office with subscriptions in `count` practices that have no databases; the poller
/// leases them anyway.
async fn office_with(count: i64) -> Office {
    let office = Office::open(Engine::Sqlite).await;
    for number in 1..=count {
        let practicepass = PracticePass::try_from(format!("Nowhere{number:03}").as_str()).unwrap();
        subscribe(&office, &practicepass, number, &[EventScope::Claims]).await;
    }
    office
}

/// The same with a thousand practices, written directly to the file of the DynamoDB stand-in.
async fn office_with_a_thousand() -> Office {
    let office = office_with(1).await;
    let address = format!("sqlite://{}", office.store_file.display());
    let mut file = SqliteConnection::connect(&address).await.unwrap();
    let numbers =
        "with recursive numbers (n) as (select 2 union all select n + 1 from numbers where n < 1000)";
    let item = "json_set(item_json, '$.pk.S', printf('PRACTICE#Nowhere%03d', n), '$.practicepass.S', \
        printf('Nowhere%03d', n), '$.id.N', '' || n)";
    for copies in [
        format!(
            "insert into \"ControlTable\" (pk, sk, item_json, item_size) {numbers} \
             select printf('S:PRACTICE#Nowhere%03d', n), sk, {item}, item_size \
             from numbers, \"ControlTable\" where pk = 'S:PRACTICE#Nowhere001' and sk = 'S:SUB#prt_1'"
        ),
        format!(
            "insert into \"ControlTable::gsi::gsi1\" (gsi_pk, gsi_sk, table_pk, table_sk, item_json) \
             {numbers} select gsi_pk, printf('S:Nowhere%03d#', n) || n, \
             printf('S:PRACTICE#Nowhere%03d', n), table_sk, {item} from numbers, \"ControlTable::gsi::gsi1\" \
             where table_pk = 'S:PRACTICE#Nowhere001' and table_sk = 'S:SUB#prt_1'"
        ),
    ] {
        assert_eq!(file.execute(AssertSqlSafe(copies)).await.unwrap().rows_affected(), 999);
    }
    office
}

async fn run(app: &App, poll: Poll, deadline: Duration) -> Result<(), shared::control::Error> {
    let deadline = app.clock.now() + deadline;
    ends("the run", Box::pin(log_poller::run(app, poll, deadline, None))).await
}

const ONCE: Poll = Poll { shard: 0, of: 1, once: true };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_releases_its_leases_concurrently() {
    let office = office_with(96).await;
    let (released, barrier) = (Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(32)));
    let counted = released.clone();
    let store = store_behind(&office, move |call| {
        let (counted, barrier) = (counted.clone(), barrier.clone());
        async move {
            if call.body.contains(RELEASE) {
                counted.fetch_add(1, Ordering::Relaxed);
                barrier.wait().await;
            }
            true
        }
    })
    .await;
    let app = office.another_app(|parts| parts.control = store);
    run(&app, ONCE, Duration::from_mins(1)).await.unwrap();
    assert_eq!(released.load(Ordering::Relaxed), 96);
}

/// Returns the app of a poller with this store and clock.
fn poller(office: &Office, store: Store, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> App {
    office.another_app(|parts| {
        parts.control = store;
        parts.clock = Clock::from_fn(clock);
        parts.config.timeouts.released_leases = Duration::from_millis(300);
        parts.config.timeouts.run_record = Duration::from_millis(300);
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_over_a_thousand_practices_ends_even_if_the_store_does_not_respond() {
    if external().is_some() {
        return;
    }
    let office = office_with_a_thousand().await;
    // The text of the calls that hang, and how many pass before them.
    let runs = [
        ("\"ACTIVE_SUBSCRIPTIONS\"", 0),
        ("ACTIVE_SUBSCRIPTIONS#", 0),
        ("ACTIVE_SUBSCRIPTIONS#", 8),
        ("leaseOwner = :owner", 100),
        ("DUE#", 0),
        ("\"PRACTICES\"", 0),
        ("SET lastEnded", 0),
    ];
    join_all(runs.map(|(text, passing)| run_beside_hanging(&office, text, passing))).await;
}

/// Runs a poller whose store calls with this text hang after the first `passing`. Its time is up
/// when one hangs.
async fn run_beside_hanging(office: &Office, text: &'static str, passing: usize) {
    let (hanging, passed) = (Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0));
    let counted = hanging.clone();
    let store = store_behind(office, move |call| {
        let hangs = call.body.contains(text) && passed.fetch_add(1, Ordering::Relaxed) >= passing;
        counted.fetch_add(usize::from(hangs), Ordering::Relaxed);
        async move { if hangs { pending().await } else { true } }
    })
    .await;
    let (begin, seen) = (office.app.clock.now(), hanging.clone());
    let app = poller(office, store, move || {
        let hangs = seen.load(Ordering::Relaxed) > 0;
        begin + Duration::from_secs(if hangs { 60 } else { 0 })
    });
    // The work at the end of a run hangs only then.
    let once = text == "SET lastEnded";
    let deadline = Duration::from_secs(if once { 60 } else { 2 });
    let ended = run(&app, Poll { once, ..ONCE }, deadline).await;
    let unlisted = text.contains("ACTIVE_SUBSCRIPTIONS") && passing == 0;
    assert!(ended.is_err() || !unlisted, "{text}: a run that could not list the practices says so");
    assert!(hanging.load(Ordering::Relaxed) > 0, "{text} was never called");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_over_a_thousand_practices_with_a_slow_store_ends_before_its_timeout() {
    if external().is_some() {
        return;
    }
    let office = office_with_a_thousand().await;
    let leased = Arc::new(AtomicUsize::new(0));
    let counted = leased.clone();
    let store = store_behind(&office, move |call| {
        counted.fetch_add(usize::from(call.body.contains("leaseOwner = :owner")), Ordering::Relaxed);
        async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            true
        }
    })
    .await;
    let (first, started) = (office.app.clock.now(), Instant::now());
    let app = poller(&office, store, move || first + started.elapsed());
    let function = template().functions.iter().find(|it| it.id == "LogPollerFunction").unwrap();
    let poll = Poll { once: false, ..ONCE };
    let running = run(&app, poll, Duration::from_secs(5));
    tokio::time::timeout(function.timeout, Box::pin(running)).await.expect("an end in time").unwrap();
    let leased = leased.load(Ordering::Relaxed);
    assert!((1..1_000).contains(&leased), "{leased}: a slow store does not allow all practices in this time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_of_subscriptions_is_read_again_only_when_it_has_changed() {
    let office = office_with(1).await;
    let (lists, versions) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counted = (lists.clone(), versions.clone());
    let store = store_behind(&office, move |call| {
        counted.0.fetch_add(usize::from(call.body.contains("ACTIVE_SUBSCRIPTIONS#")), Ordering::Relaxed);
        counted.1.fetch_add(usize::from(call.body.contains("\"ACTIVE_SUBSCRIPTIONS\"")), Ordering::Relaxed);
        async { true }
    })
    .await;
    let app = office.another_app(|parts| parts.control = store);
    let running = run(&app, Poll { once: false, ..ONCE }, Duration::from_mins(1));
    let meanwhile = async {
        let read = async |count| {
            let versions = async || (versions.load(Ordering::Relaxed) >= count).then_some(());
            eventually("the version", versions).await;
        };
        // Of each version that was read, the list would have been read before the next.
        read(3).await;
        assert_eq!(lists.load(Ordering::Relaxed), 16, "once");
        let practicepass = PracticePass::try_from("Another").unwrap();
        subscribe(&office, &practicepass, 2, &[EventScope::Claims]).await;
        let again = async || (lists.load(Ordering::Relaxed) >= 32).then_some(());
        eventually("the list", again).await;
        office.set_time("2026-03-09T12:01:00Z");
    };
    let both = Box::pin(async { tokio::join!(running, meanwhile) });
    both.await.0.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_ends_even_if_its_leases_cannot_be_released() {
    let office = office_with(96).await;
    let released = Arc::new(AtomicUsize::new(0));
    let counted = released.clone();
    let store = store_behind(&office, move |call| {
        let hangs = call.body.contains(RELEASE);
        counted.fetch_add(usize::from(hangs), Ordering::Relaxed);
        async move { if hangs { pending().await } else { true } }
    })
    .await;
    let app = office.another_app(|parts| {
        parts.control = store;
        parts.config.timeouts.released_leases = Duration::from_millis(300);
    });
    run(&app, ONCE, Duration::from_mins(1)).await.unwrap();
    assert!(released.load(Ordering::Relaxed) > 0);
}

/// The first attempt may take longer than the run, since a run must know its practices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_attempt_to_list_the_practices_does_not_outlast_the_run() {
    let office = office_with(1).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let store = store_behind(&office, move |call| {
        let is_version = call.body.contains("\"ACTIVE_SUBSCRIPTIONS\"");
        let before = if is_version { counted.fetch_add(1, Ordering::Relaxed) } else { 0 };
        async move { if before > 0 { pending().await } else { !is_version } }
    })
    .await;
    // Its time is up when the second attempt hangs.
    let (begin, seen) = (office.app.clock.now(), asked.clone());
    let app = poller(&office, store, move || {
        let hangs = seen.load(Ordering::Relaxed) > 1;
        begin + Duration::from_secs(if hangs { 60 } else { 0 })
    });
    let running = run(&app, Poll { once: false, ..ONCE }, Duration::from_millis(300));
    let second = async || (asked.load(Ordering::Relaxed) == 2).then_some(());
    let stops = async {
        eventually("the second attempt", second).await;
        tokio::time::sleep(Duration::from_secs(4)).await;
    };
    tokio::select! {
        ended = running => assert!(ended.is_err()),
        () = stops => panic!("the second attempt had as much time as the first"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_without_time_does_not_wait_for_its_next_round() {
    let office = office_with(1).await;
    let app = office.another_app(|parts| parts.config.poll_interval = Duration::from_hours(1));
    run(&app, Poll { once: false, ..ONCE }, Duration::ZERO).await.unwrap();
}
