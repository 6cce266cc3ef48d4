//! Very many changes of the EMR that wait: bookings and pulls read and apply only a few of them.

use shared::tenant::bridge;
use sqlx::{AssertSqlSafe, Executor};

use super::{attached, behind::series, book, clean, one, session};
use crate::office::{Office, mariadb};

/// Blocks of provider 2 in years to come.
fn blocks(number: i64) -> String {
    format!(
        "insert into openemr_postcalendar_events (pc_catid, pc_aid, pc_eventDate, pc_duration, pc_startTime)
         select 8, '2', current_date + interval 3000 + seq day, 600, '10:00' from seq_1_to_{number};"
    )
}

/// Makes each of our rows of time off take a while.
async fn slow(office: &Office, milliseconds: i64) {
    let trigger = format!(
        "create or replace function slow() returns trigger language plpgsql as $$ begin \
        perform pg_sleep({milliseconds} / 1000.0); return new; end $$;
        create or replace trigger slow before insert on schedule_exceptions for each row \
        execute function slow()"
    );
    session(office).await.execute(AssertSqlSafe(trigger)).await.unwrap();
}

async fn fast(office: &Office) {
    session(office).await.execute("drop function slow() cascade").await.unwrap();
}

const FAILED: &str = "select count(*) from bridge_failures";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn pulls_and_bookings_apply_a_limited_number_of_the_changes_that_wait() {
    let (office, emr) = attached().await;
    mariadb::run(&emr, &format!("{}{}", blocks(3_000), series("16:00")));
    let mut api = session(&office).await;
    assert_eq!(one(&mut api, "select bridge_pull(50)").await, "50");
    // Bookings beside them are decided by the EMR's own rows.
    assert_eq!(book(&office, 1002, "16:30").await, (409, "PROVIDER_CONFLICT".to_owned()));
    assert_eq!(book(&office, 1002, "11:00").await.0, 201);
    // Two seconds of a transaction, and half a second of retries.
    slow(&office, 50).await;
    let applied: i64 = one(&mut api, "select bridge_pull(3000)").await.parse().unwrap();
    assert!((1..=41).contains(&applied), "{applied}");
    // Retries: half a second in a pull, 150 ms in a booking.
    api.execute(
        "insert into bridge_failures (apply, key, message) select 'bridge_apply_event', i, 'broken' from \
        generate_series(1000, 2999) i",
    )
    .await
    .unwrap();
    one(&mut api, "select bridge_pull(1)").await;
    let left = office.integer(FAILED).await;
    assert!((1_985..2_000).contains(&left), "{left}");
    assert_eq!(book(&office, 1002, "16:30").await, (409, "PROVIDER_CONFLICT".to_owned()));
    assert_eq!(book(&office, 1003, "15:00").await.0, 201);
    assert!((left - 4..left).contains(&office.integer(FAILED).await));
    fast(&office).await;
    while bridge::pull(&office.db).await.unwrap() > 0 || office.integer(FAILED).await > 0 {}
    clean(&office).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn a_pull_ends_while_changes_still_wait() {
    let (office, emr) = attached().await;
    mariadb::run(&emr, &blocks(1_000));
    slow(&office, 8).await;
    let applied = bridge::pull(&office.db).await.unwrap();
    assert!((1..=400).contains(&applied), "{applied}");
    fast(&office).await;
    while bridge::pull(&office.db).await.unwrap() > 0 {}
    clean(&office).await;
}

/// The numbers of the changes that are applied have a wide gap, in which another one is committed
/// late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn a_late_change_in_a_wide_gap_is_not_overlooked() {
    let (office, emr) = attached().await;
    let outbox = |id: i64, key: &str| {
        format!("insert into partner_api_outbox values ({id}, 'bridge_apply_event', {key});")
    };
    mariadb::run(&emr, &format!("{}{}", outbox(1, "901"), outbox(30_000, "902")));
    assert_eq!(bridge::pull(&office.db).await.unwrap(), 2);
    let late = "(select max(pc_eid) from openemr_postcalendar_events)";
    let late = format!("set @partner_api_writes = 1; {}{}", series("16:00"), outbox(20_000, late));
    mariadb::run(&emr, &late);
    assert_eq!(book(&office, 1002, "16:30").await, (409, "PROVIDER_CONFLICT".to_owned()));
    assert_eq!(book(&office, 1002, "11:00").await.0, 201);
    clean(&office).await;
}

/// As after weeks in which the poller did not run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn very_many_applied_changes_are_acknowledged_in_parts() {
    let (office, _) = attached().await;
    let mut api = session(&office).await;
    api.execute(
        "insert into bridge_pulled select generate_series(1, 25000);
        insert into bridge_tokens (token) select generate_series(1, 25000)",
    )
    .await
    .unwrap();
    let left = "select concat_ws(' ', (select count(*) from bridge_pulled), (select count(*) from \
        bridge_tokens))";
    for expected in ["15000 15000", "5000 5000", "0 0"] {
        bridge::pull(&office.db).await.unwrap();
        assert_eq!(one(&mut api, left).await, expected);
    }
    clean(&office).await;
}
