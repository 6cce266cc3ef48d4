//! A failing practice does not affect the others.

use std::time::Duration;

use log_poller::Poll;
use shared::{
    app::App,
    auth::secret_ref::SecretRef,
    control::practices::Practice,
    domain::{EventScope, PracticePass},
    sql::{Conn, Transaction},
};

use super::{row, subscribe, take_log_ids};
use crate::office::{Engine, Office, ends, eventually, run_sql};

/// More practices than the poller polls concurrently.
const HANGING: i64 = 20;

/// Opens an office with additional practices, whose names sort before `OtherOffice`.
async fn office_with_more(secret: &str) -> Office {
    let office = Office::open(Engine::Postgres).await;
    let (demo, other) = (office.db.practicepass(), office.other_db.practicepass());
    subscribe(&office, demo, 1, &[EventScope::Claims]).await;
    subscribe(&office, other, 2, &[EventScope::Claims]).await;
    for number in 1..=HANGING {
        let practicepass = name(number);
        put(&office, &practicepass, secret).await;
        subscribe(&office, &practicepass, 10 + number, &[EventScope::Claims]).await;
    }
    office
}

fn name(number: i64) -> PracticePass {
    PracticePass::try_from(format!("Hanging{number:02}").as_str()).unwrap()
}

async fn put(office: &Office, practicepass: &PracticePass, secret: &str) {
    let practice = Practice {
        practicepass: practicepass.clone(),
        name: practicepass.to_string(),
        time_zone: "America/New_York".into(),
        dsn_secret: SecretRef::from(secret.to_owned()),
        sandbox: false,
        registered_at: None,
        schema_version: None,
        tzdata: None,
    };
    office.app.control.put_practice(&practice).await.unwrap();
}

/// Makes every caller that opens `DemoOffice`'s database hang until this ends.
async fn hang(office: &Office) -> Transaction {
    let mut lock = office.db.begin().await.unwrap();
    let Conn::Postgres(connection) = &mut lock.conn else { panic!("PostgreSQL") };
    let text = "lock table tenant_identity, log in access exclusive mode";
    sqlx::raw_sql(text).execute(&mut **connection).await.unwrap();
    lock
}

/// Writes events of `OtherOffice`, one after the other, and waits for each.
async fn write_and_await_events(office: &Office, ids: std::ops::RangeInclusive<i64>) {
    for id in ids {
        run_sql(&office.other_db, &row(id, "claims")).await;
        let came =
            eventually("an event", async || Some(take_log_ids(office).await).filter(|seen| !seen.is_empty()));
        assert_eq!(came.await, [id]);
    }
}

/// Runs the poller during `work`; it ends soon after.
async fn while_polled(office: &Office, app: &App, work: impl Future<Output = ()>) {
    let deadline = office.app.clock.now() + Duration::from_mins(1);
    let running = log_poller::run(app, Poll { shard: 0, of: 1, once: false }, deadline, None);
    let working = async {
        work.await;
        office.set_time("2026-03-09T12:01:00Z");
    };
    let both = Box::pin(async { tokio::join!(running, working) });
    ends("the end of the poller", both).await.0.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hanging_practices_time_out_and_do_not_delay_the_others() {
    let office = office_with_more("env:DSN_DEMOOFFICE").await;
    let lock = hang(&office).await;
    let impatient =
        office.another_app(|parts| parts.config.timeouts.polled_database = Duration::from_secs(1));
    while_polled(&office, &impatient, write_and_await_events(&office, 1..=5)).await;
    lock.end(Ok::<_, shared::sql::Error>(())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn practices_that_failed_before_wait_only_for_each_other() {
    let office = office_with_more("env:DSN_MISSING").await;
    let lock = hang(&office).await;
    let waiting = async || {
        let text = "select count(*) from pg_locks where not granted
            and database = (select oid from pg_database where datname = current_database())";
        office.integer(text).await
    };
    let work = async {
        // Every slot of the poller is free again when the event has arrived.
        write_and_await_events(&office, 1..=1).await;
        for number in 1..=HANGING {
            put(&office, &name(number), "env:DSN_DEMOOFFICE").await;
        }
        // Now they hang until the end.
        eventually("those that are tried again", async || (waiting().await >= 4).then_some(())).await;
        write_and_await_events(&office, 2..=5).await;
        lock.end(Ok::<_, shared::sql::Error>(())).await.unwrap();
    };
    while_polled(&office, &office.app, work).await;
}
