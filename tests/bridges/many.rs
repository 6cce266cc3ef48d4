//! Very many changes of the EMR that wait: bookings and retries read and apply only a few of them.

use shared::tenant::bridge;
use sqlx::{AssertSqlSafe, Executor, PgConnection};

use super::{attached, clean, emr, run, series::DAILY, text};
use crate::office::run_sql;

/// Changes that the EMR makes and that wait to be applied.
async fn deferred(staff: &mut PgConnection, statements: &str) {
    run(
        staff,
        &format!(
            "begin; set local partner_api.writing = 'ours'; {statements};
            insert into partner_api.bridge_failures (apply, key, message) select 'bridge_apply_event', \
            pc_eid, 'deferred' from openemr_postcalendar_events on conflict do nothing; commit"
        ),
    )
    .await;
}

/// Blocks of provider 2 in years to come.
fn blocks(number: i64) -> String {
    format!(
        "insert into openemr_postcalendar_events (pc_catid, pc_aid, \"pc_eventDate\", pc_duration, \
            \"pc_startTime\")
         select 8, '2', current_date + 3000 + n, 600, '10:00' from generate_series(1, {number}) n"
    )
}

/// The events that take time on the day that is booked, all but the first two from other days.
fn taken() -> String {
    format!(
        "insert into openemr_postcalendar_events (pc_catid, pc_aid, pc_pid, \"pc_eventDate\", pc_duration, \
            \"pc_startTime\", pc_recurrtype, pc_recurrspec)
         values (5, '1', '1003', current_date + 40, 1800, '09:00', 0, ''),
            (8, '1', '', current_date + 40, 3600, '10:00', 0, ''),
            (8, '1', '', current_date - 30, 3600, '11:00', 1, '{DAILY}'),
            (8, '1', '', current_date + 39, 3600, '23:45', 0, ''),
            (3, '2', '', current_date + 30, 20 * 86400, '00:00', 0, '')"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_booking_reads_only_the_changes_that_can_take_its_time() {
    let (office, mut staff) = attached().await;
    deferred(&mut staff, &format!("{}; {}", taken(), blocks(3_000))).await;
    let mut api = emr(office.dsn()).await;
    run(&mut api, "set search_path = partner_api; set track_functions = 'all'").await;
    for (provider, time, works) in [
        (1, "09:15", false),
        (1, "10:15", false),
        (1, "11:15", false),
        (1, "00:15", false),
        (2, "15:00", false),
        (1, "15:00", true),
    ] {
        let insert = format!(
            "insert into visits (patient_id, provider_id, visit_type, visit_date, visit_time, \
                visit_duration) values (1002, {provider}, 'FOLLOWUP', current_date + 40, '{time}', 30)"
        );
        run(&mut api, "begin").await;
        let done = api.execute(AssertSqlSafe(insert)).await;
        assert_eq!(done.is_ok(), works, "{provider} {time}: {done:?}");
        if works {
            let read = "select calls from pg_stat_xact_user_functions where funcname = 'emr_dates'";
            let read: i64 = text(&mut api, read).await.parse().unwrap();
            assert!((1..1_000).contains(&read), "{read} events were expanded");
        }
        run(&mut api, "rollback").await;
    }
    bridge::catch_up(&office.db, || true).await.unwrap();
    clean(&office).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_takes_a_limited_number_of_the_changes_that_wait() {
    let (office, mut staff) = attached().await;
    deferred(&mut staff, &blocks(3_000)).await;
    let applied = bridge::catch_up(&office.db, || false).await.unwrap();
    assert!((1..=500).contains(&applied), "{applied}");
    assert_eq!(office.integer("select count(*) from bridge_failures").await, 3_000 - applied);
    // Those that failed again do not crowd out the others, nor the reverse.
    run_sql(&office.db, "update bridge_failures set tried_at = now() where key % 2 = 0").await;
    let applied = office.integer("select bridge_catch_up(500, null, '1 hour')").await;
    assert_eq!(applied, 600);
    // Changes that came while a retry held their records.
    run_sql(
        &office.db,
        "insert into bridge_late (apply, key, message) select apply, key, message from bridge_failures; \
        delete from bridge_failures",
    )
    .await;
    let late = office.integer("select count(*) from bridge_late").await;
    let applied = office.integer("select bridge_catch_up(200)").await;
    assert!((1..=200).contains(&applied), "{applied}");
    assert_eq!(office.integer("select count(*) from bridge_late").await, late - 200);
    bridge::catch_up(&office.db, || true).await.unwrap();
    clean(&office).await;
}
