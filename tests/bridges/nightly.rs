//! The nightly comparison: when it is due, what it reports and what it extends.

use jiff::{SignedDuration, Timestamp};
use log_poller::{Poll, look_after};
use shared::{
    domain::PracticePass,
    tenant::bridge::{self, Finding},
};
use tracing_subscriber::util::SubscriberInitExt as _;

use super::{attached, run};
use crate::office::{Logs, Office, attach, ends, eventually, integer, is_attached, run_sql};

fn demo() -> PracticePass {
    PracticePass::try_from("DemoOffice").unwrap()
}

/// Compares the practice as if its last comparison were a day old.
async fn daily(office: &Office) -> usize {
    run_sql(&office.db, "update bridge set checked_at = null").await;
    look_after(&office.app, &demo(), Timestamp::MAX).await.unwrap().unwrap()
}

async fn problems(office: &Office) -> Vec<(String, usize)> {
    let found = office.app.control.data_problems(Some(&demo()), 10, office.app.clock.now()).await.unwrap();
    found.into_iter().map(|it| (it.table, it.count)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_daily_comparison_reports_differences_and_extends_series() {
    let (office, mut emr) = attached().await;
    assert_eq!(daily(&office).await, 0);
    assert_eq!(problems(&office).await, []);
    let rule = "a:6:{s:17:\"event_repeat_freq\";s:1:\"1\";s:22:\"event_repeat_freq_type\";s:1:\"0\";s:6:\"exdate\";s:0:\"\";}";
    run(
        &mut emr,
        &format!(
        "insert into openemr_postcalendar_events (pc_catid, pc_aid, pc_pid, \"pc_eventDate\", pc_duration, \
            \"pc_startTime\", pc_recurrtype,
            pc_recurrspec) values (8, '2', '', current_date - 3, 3600, '12:00', 1, '{rule}')"
    ),
    )
    .await;
    let days = "select count(*) from schedule_exceptions x join bridge_time_off b on b.exception_id = \
        x.exception_id";
    let whole = office.integer(days).await;
    // The state after a week.
    run_sql(
        &office.db,
        "update bridge set renewed_until = bridge_reach() - 7;
        delete from schedule_exceptions where exception_date > bridge_reach() - 7",
    )
    .await;
    assert_eq!(office.integer(days).await, whole - 7);
    assert_eq!(bridge::check(&office.db).await.unwrap(), Vec::<Finding>::new(), "not a difference");
    assert_eq!(daily(&office).await, 0);
    assert_eq!(office.integer(days).await, whole);
    assert_eq!(office.integer("select count(*) from bridge where renewed_until = bridge_reach()").await, 1);

    // The daily comparison changes no row that differs.
    run_sql(&office.db, "delete from schedule_exceptions where exception_date = current_date + 5").await;
    run_sql(&office.db, "alter table public.patient_data disable trigger user").await;
    run(&mut emr, "update patient_data set lname = 'Secret' where pid = 1001").await;
    assert_eq!(daily(&office).await, 3);
    assert_eq!(office.integer(days).await, whole - 1);
    assert_eq!(problems(&office).await, [("bridge".to_owned(), 3)]);
    run_sql(&office.db, "alter table public.patient_data enable trigger user").await;
    bridge::load(&office.db, false, |_| true).await.unwrap();
    assert_eq!(daily(&office).await, 0);
    // Series that cannot be extended are one, too, beside the differences.
    run_sql(&office.db, "delete from schedule_exceptions where exception_date = current_date + 5").await;
    run_sql(&office.db, "alter function bridge_renew_some rename to gone").await;
    assert_eq!(daily(&office).await, 2);
    run_sql(&office.db, "alter function gone rename to bridge_renew_some").await;
    bridge::load(&office.db, false, |_| true).await.unwrap();
    assert_eq!(daily(&office).await, 0);
    // A damaged bridge is a finding, too.
    run_sql(&office.db, "drop function bridge_check()").await;
    assert_eq!(daily(&office).await, 1);
    assert_eq!(problems(&office).await, [("bridge".to_owned(), 5)]);
}

/// PostgreSQL's details can contain a row.
#[tokio::test]
async fn the_log_of_a_failed_comparison_names_its_code_and_no_row() {
    let logs = Logs::default();
    let _subscribed = logs.subscriber().set_default();
    let (office, _) = attached().await;
    run_sql(
        &office.db,
        "create or replace function bridge_check() returns table (finding text, count bigint, example text)
        language plpgsql as $$ begin raise exception 'broken' using detail = 'Ann Secret'; end $$",
    )
    .await;
    assert_eq!(daily(&office).await, 1);
    let said = logs.text();
    assert!(said.contains("broken") && said.contains("P0001") && !said.contains("Secret"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missed_comparison_is_made_up_and_none_runs_twice_a_day() {
    let (office, _) = attached().await;
    let due = async || look_after(&office.app, &demo(), Timestamp::MAX).await.unwrap();
    assert_eq!(due().await, Some(0), "the first comparison is due");
    assert_eq!(due().await, None);
    for (hours, is_due) in [(22, false), (24, true), (24 * 30, true)] {
        run_sql(&office.db, &format!("update bridge set checked_at = checked_at - interval '{hours} hours'"))
            .await;
        assert_eq!(due().await.is_some(), is_due, "{hours}");
        assert_eq!(due().await, None);
    }
    // A comparison with findings counts, too.
    run_sql(
        &office.db,
        "update bridge set checked_at = null; update providers set name = 'Drift' where provider_id = 1",
    )
    .await;
    assert_eq!(due().await, Some(1));
    assert_eq!(due().await, None);
    bridge::load(&office.db, false, |_| true).await.unwrap();
    // A practice without an EMR is never due.
    let other = Office::open(crate::office::Engine::Sqlite).await;
    assert_eq!(look_after(&other.app, &demo(), Timestamp::MAX).await.unwrap(), None);
}

/// The minute of the hour in which a practice is compared.
fn minute_of(practice: &str) -> u32 {
    let practice = PracticePass::try_from(practice).unwrap();
    (0..60).find(|shard| Poll { shard: *shard, of: 60, once: false }.takes(&practice)).unwrap()
}

/// Runs the poller in this minute of an hour until `is_done`.
async fn run_at(office: &Office, minute: u32, is_done: impl AsyncFn() -> bool) {
    let now: Timestamp = format!("2026-03-09T12:{minute:02}:00Z").parse().unwrap();
    office.set_time(&now.to_string());
    let poll = Poll { shard: 0, of: 1, once: false };
    let run = Box::pin(log_poller::run(&office.app, poll, now + SignedDuration::from_secs(54), None));
    let ending = async {
        eventually("the comparison", async || is_done().await.then_some(())).await;
        office.set_time("2026-03-09T14:00:00Z");
    };
    ends("the run", async { tokio::join!(run, ending) }).await.0.unwrap();
}

const CHECKED: &str = "select count(*) from bridge where checked_at is not null";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_poller_compares_each_practice_in_a_minute_of_its_own() {
    let (office, _) = attached().await;
    if !is_attached() {
        attach(&office.other_db).await;
    }
    let other = async || integer(&office.other_db, CHECKED).await == 1;
    let ours = async || office.integer(CHECKED).await == 1;
    Box::pin(run_at(&office, minute_of("OtherOffice"), other)).await;
    assert!(!ours().await);
    // A run that is about to end starts none.
    let now: Timestamp = format!("2026-03-09T12:{:02}:00Z", minute_of("DemoOffice")).parse().unwrap();
    office.set_time(&now.to_string());
    let poll = Poll { shard: 0, of: 1, once: false };
    log_poller::run(&office.app, poll, now + SignedDuration::from_nanos(1), None).await.unwrap();
    assert!(!ours().await);
    Box::pin(run_at(&office, minute_of("DemoOffice"), ours)).await;
}

/// For example because of a lock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comparison_that_times_out_is_a_finding() {
    let (office, _) = attached().await;
    run_sql(
        &office.db,
        "create or replace function bridge_check() returns table (finding text, count bigint, example text)
        language plpgsql as $$ begin perform pg_sleep(600); end $$",
    )
    .await;
    let deadline = office.app.clock.now() + SignedDuration::from_secs(1);
    assert_eq!(ends("the run", look_after(&office.app, &demo(), deadline)).await.unwrap(), Some(1));
    assert_eq!(problems(&office).await, [("bridge".to_owned(), 1)]);
}

/// The examples of findings can contain what a patient's row contains.
#[tokio::test]
async fn neither_the_log_nor_the_data_problems_name_examples() {
    let logs = Logs::default();
    let _subscribed = logs.subscriber().set_default();
    let (office, _) = attached().await;
    run_sql(
        &office.db,
        "insert into bridge_failures (apply, key, message) values ('bridge_apply_patient', 1001, \
        'Ann Secret')",
    )
    .await;
    assert_eq!(daily(&office).await, 1);
    let found = office.app.control.data_problems(Some(&demo()), 10, office.app.clock.now()).await.unwrap();
    assert!(!format!("{found:?}").contains("Secret"), "{found:?}");
    let said = logs.text();
    assert!(said.contains("EMR change not applied yet: 1") && !said.contains("Secret"), "{said}");
}
