//! One practice's trouble is its own.

use std::time::{Duration, Instant};

use log_poller::Poll;
use shared::{
    auth::secret_ref::SecretRef,
    control::practices::Practice,
    domain::{EventScope, PracticePass},
};

use super::{row, subscribe, take_log_ids};
use crate::office::{Engine, Office, run_sql};

/// More than are polled at the same time.
const HANGING: i64 = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn practices_whose_databases_hang_do_not_delay_the_events_of_others() {
    let office = Office::open(Engine::Postgres).await;
    let (demo, other) = (office.db.practicepass(), office.other_db.practicepass());
    subscribe(&office, demo, 1, &[EventScope::Claims]).await;
    subscribe(&office, other, 2, &[EventScope::Claims]).await;
    for number in 1..=HANGING {
        // Before `OtherOffice` in the order of their names.
        let practicepass = PracticePass::try_from(format!("Hanging{number:02}").as_str()).unwrap();
        let practice = Practice {
            practicepass: practicepass.clone(),
            name: practicepass.to_string(),
            time_zone: "America/New_York".into(),
            dsn_secret: SecretRef::from("env:DSN_DEMOOFFICE".to_owned()),
            sandbox: false,
            schema_version: None,
        };
        office.app.control.put_practice(&practice).await.unwrap();
        subscribe(&office, &practicepass, 10 + number, &[EventScope::Claims]).await;
    }
    let mut lock = office.db.begin().await.unwrap();
    let shared::tenant::Conn::Postgres(connection) = &mut lock.conn else { panic!("PostgreSQL") };
    let text = "lock table tenant_identity, log in access exclusive mode";
    sqlx::raw_sql(text).execute(&mut **connection).await.unwrap();

    let deadline = office.app.clock.now() + Duration::from_mins(1);
    let running = log_poller::run(&office.app, Poll { shard: 0, of: 1, once: false }, deadline, None);
    let meanwhile = async {
        let mut waits = Vec::new();
        for id in 1..=5 {
            run_sql(&office.other_db, &row(id, "claims")).await;
            let written = Instant::now();
            loop {
                let seen = take_log_ids(&office).await;
                if !seen.is_empty() {
                    assert_eq!(seen, [id]);
                    break;
                }
                assert!(written.elapsed() < Duration::from_secs(20), "event {id} doesn't come");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            waits.push(written.elapsed());
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        office.set_time("2026-03-09T12:01:00Z");
        waits
    };
    let began = Instant::now();
    let (ended, waits) = tokio::join!(running, meanwhile);
    ended.unwrap();
    assert!(began.elapsed() < Duration::from_secs(40), "the end doesn't wait for what hangs");
    // Once every place may be taken by those that hang, until it is known that they do.
    assert!(waits[0] < Duration::from_secs(8), "{waits:?}");
    assert!(waits[1..].iter().all(|wait| *wait < Duration::from_secs(2)), "{waits:?}");

    lock.end(Ok::<_, shared::tenant::Error>(())).await.unwrap();
}
