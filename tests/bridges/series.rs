//! Series of the EMR: their days, and how the nightly run extends them.

use jiff::Timestamp;
use log_poller::look_after;
use shared::{
    domain::PracticePass,
    tenant::bridge::{self, Finding},
};
use tracing_subscriber::util::SubscriberInitExt as _;

use super::{attached, clean, run, text};
use crate::office::{Logs, Office, run_sql};

/// The rule of a series that has every day.
pub(crate) const DAILY: &str =
    "a:6:{s:17:\"event_repeat_freq\";s:1:\"1\";s:22:\"event_repeat_freq_type\";s:1:\"0\";}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recurring_events_expand_to_the_days_the_emr_shows() {
    let (_, mut emr) = attached().await;
    for (query, dates) in expansions() {
        assert_eq!(text(&mut emr, &query).await, dates, "{query}");
    }
}

/// Queries of the days of series of every kind, and these days.
pub(crate) fn expansions() -> Vec<(String, &'static str)> {
    let rule = |freq: &str, unit: i64, more: &str| {
        format!(
            "a:6:{{s:17:\"event_repeat_freq\";s:{}:\"{freq}\";s:22:\"event_repeat_freq_type\";s:1:\"{unit}\";{more}}}",
            freq.len()
        )
    };
    let nth = |n: i64, day: i64, freq: i64| {
        format!(
            "s:19:\"event_repeat_on_num\";s:1:\"{n}\";s:19:\"event_repeat_on_day\";s:1:\"{day}\";s:20:\"event_repeat_on_freq\";s:1:\"{freq}\";"
        )
    };
    let series = [
        (0, String::new(), "2026-03-10", "2026-03-20", "03-10"),
        (1, rule("1", 0, ""), "2026-03-10", "2026-03-12", "03-10 03-11 03-12"),
        (
            1,
            rule("3", 0, "s:6:\"exdate\";s:17:\"20260313,20260401\";"),
            "2026-03-10",
            "2026-03-17",
            "03-10 03-16",
        ),
        (1, rule("2", 1, ""), "2026-03-10", "2026-04-10", "03-10 03-24 04-07"),
        (1, rule("1", 2, ""), "2026-01-28", "2026-04-30", "01-28 02-28 03-28 04-28"),
        // PHP's `mktime`: February 31 is March 3.
        (1, rule("1", 2, ""), "2026-01-31", "2026-05-31", "01-31 03-03 04-03 05-03"),
        (1, rule("2", 2, ""), "2026-03-31", "2026-09-30", "03-31 05-31 07-31"),
        (1, rule("1", 3, ""), "2024-02-29", "2026-12-31", "02-29 03-01 03-01"),
        (1, rule("1", 4, ""), "2026-03-12", "2026-03-17", "03-12 03-13 03-16 03-17"),
        (1, rule("2", 4, ""), "2026-03-12", "2026-03-18", "03-12 03-16 03-18"),
        (1, rule("2", 4, ""), "2026-03-14", "2026-03-20", "03-14 03-17 03-19"),
        (2, rule("1", 2, &nth(2, 2, 1)), "2026-03-01", "2026-05-31", "03-10 04-14 05-12"),
        (2, rule("1", 2, &nth(5, 5, 2)), "2026-03-01", "2026-06-30", "03-27 05-29"),
        (3, rule("2,4", 6, ""), "2026-03-09", "2026-03-18", "03-09 03-11 03-16 03-18"),
        (3, rule("2,4", 6, ""), "2026-03-10", "2026-03-18", "03-10 03-11 03-16 03-18"),
        // Numbers without quotes.
        (1, rule("2", 1, "").replace("s:1:\"2\"", "i:2"), "2026-03-10", "2026-04-10", "03-10 03-24 04-07"),
        (7, rule("1", 0, ""), "2026-03-10", "2026-03-12", "03-10"),
    ];
    let query = |kind, rule, first, last| {
        format!(
            "select string_agg(to_char(d, 'MM-DD'), ' ' order by d) from partner_api.emr_dates({kind}, \
                '{rule}', '{first}', '{last}', '2027-01-01') d"
        )
    };
    series
        .into_iter()
        .map(|(kind, rule, first, last, dates)| (query(kind, rule, first, last), dates))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recurring_absence_blocks_its_days_and_follows_changes() {
    let (office, mut emr) = attached().await;
    let rule = "a:6:{s:17:\"event_repeat_freq\";s:1:\"1\";s:22:\"event_repeat_freq_type\";s:1:\"0\";s:6:\"exdate\";s:0:\"\";}";
    run(
        &mut emr,
        &format!(
            "insert into openemr_postcalendar_events (pc_eid, pc_catid, pc_aid, pc_pid, \"pc_eventDate\", \
            \"pc_endDate\", pc_duration,
            \"pc_startTime\", pc_recurrtype, pc_recurrspec)
         values (1, 8, '2', '', current_date + 1, current_date + 10, 3600, '12:00', 1, '{rule}'),
            (2, 8, '2', '', current_date + 1, null, 3600, '14:00', 1, '{rule}')"
        ),
    )
    .await;
    let off = "select count(*) from schedule_exceptions x join bridge_time_off b on b.exception_id = \
        x.exception_id where event_id =";
    assert_eq!(office.integer(&format!("{off} 1")).await, 10);
    let endless = office.integer(&format!("{off} 2")).await;
    assert!((390..=400).contains(&endless), "as far as can be booked: {endless}");
    run(
        &mut emr,
        "update openemr_postcalendar_events set pc_recurrspec = replace(pc_recurrspec, 's:0:\"\"',
        's:8:\"' || to_char(current_date + 3, 'YYYYMMDD') || '\"')",
    )
    .await;
    assert_eq!(office.integer(&format!("{off} 1")).await, 9);
    run(&mut emr, "update openemr_postcalendar_events set pc_recurrtype = 0").await;
    assert_eq!(office.integer(&format!("{off} 1")).await, 1);
    run(&mut emr, "update openemr_postcalendar_events set pc_recurrtype = 1, pc_recurrspec = 'a:0:{}'").await;
    assert_eq!(
        bridge::check(&office.db).await.unwrap()[0].finding,
        "EMR value without a meaning here: unknown recurrence rule"
    );
    run(&mut emr, "update openemr_postcalendar_events set pc_recurrtype = 0, pc_catid = 3, pc_duration = 0")
        .await;
    assert_eq!(
        bridge::check(&office.db).await.unwrap()[0].finding,
        "EMR value without a meaning here: absence without a duration"
    );
    run(&mut emr, "delete from openemr_postcalendar_events").await;
    assert_eq!(office.integer("select count(*) from schedule_exceptions").await, 0);
    clean(&office).await;
}

async fn daily(office: &Office) -> usize {
    look_after(&office.app, &PracticePass::try_from("DemoOffice").unwrap(), Timestamp::MAX).await.unwrap()
}

async fn problems(office: &Office) -> Vec<(String, usize)> {
    let practice = PracticePass::try_from("DemoOffice").unwrap();
    let found = office.app.control.data_problems(Some(&practice), 10, office.app.clock.now()).await.unwrap();
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
async fn a_raised_horizon_opens_no_day_of_a_series() {
    let (office, mut emr) = attached().await;
    run(
        &mut emr,
        &format!(
            "insert into openemr_postcalendar_events (pc_catid, pc_aid, pc_pid, \"pc_eventDate\", \
                pc_duration, \"pc_startTime\", pc_recurrtype, pc_recurrspec)
             values (8, '1', '', current_date, 3600, '12:00', 1, '{DAILY}')"
        ),
    )
    .await;
    run_sql(&office.db, "update tenant_identity set horizon_days = 1000").await;
    for (time, works) in [("12:15", false), ("14:00", true)] {
        let insert = format!(
            "insert into visits (patient_id, provider_id, visit_type, visit_date, visit_time, \
                visit_duration) values (1001, 1, 'FOLLOWUP', current_date + 700, '{time}', 30)"
        );
        let mut api = super::emr(office.dsn()).await;
        run(&mut api, "set search_path = partner_api").await;
        let done = sqlx::raw_sql(sqlx::AssertSqlSafe(insert)).execute(&mut api).await;
        assert_eq!(done.is_ok(), works, "{time}: {done:?}");
    }
}

/// Each provider's lunch is a series without an end; all get a new day every night.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_series_are_extended_within_the_limits_of_the_nightly_run() {
    let (office, mut emr) = attached().await;
    run(
        &mut emr,
        &format!(
            "insert into openemr_postcalendar_events (pc_catid, pc_aid, pc_pid, \"pc_eventDate\", \
                pc_duration, \"pc_startTime\", pc_recurrtype, pc_recurrspec)
             select 8, '2', '', current_date - 400, 3600, '12:00', 1, '{DAILY}' from generate_series(1, 120)"
        ),
    )
    .await;
    bridge::catch_up(&office.db, || true).await.unwrap();
    let last = "delete from schedule_exceptions where exception_date > bridge_reach() - 1;
        update bridge set renewed_until = bridge_reach() - 1";
    run_sql(&office.db, last).await;
    // A change by staff under way extends its series itself.
    run(&mut emr, "begin; update openemr_postcalendar_events set pc_hometext = 'x' where pc_eid = 1").await;
    // The poller's statements may take 4.5 s.
    let begun = std::time::Instant::now();
    let first = office.integer("select done from bridge_renew_some(-1, 50)").await;
    assert!(begun.elapsed() < std::time::Duration::from_millis(4_500), "{:?}", begun.elapsed());
    assert!((49..=50).contains(&first), "one page: {first}");
    let rest = bridge::renew(&office.db).await.unwrap();
    assert!((119..=120).contains(&(first + rest)), "{first} {rest}");
    run(&mut emr, "commit").await;
    clean(&office).await;
}
