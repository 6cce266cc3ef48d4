//! Series of the EMR: their days, and how they are extended.

use shared::tenant::bridge;

use super::{attached, clean, run, text};
use crate::office::{Office, ends, run_sql};

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
    let last = "select count(*) from schedule_exceptions where exception_date = bridge_reach()";
    assert_eq!(office.integer(last).await, 0);
    assert_eq!(bridge::renew(&office.db).await.unwrap(), 1);
    assert_eq!(office.integer(last).await, 1);
    clean(&office).await;
}

/// Three series, all of whose days are copied but those of the last week; returns the number of
/// days.
async fn before_a_renewal(office: &Office) -> i64 {
    let days = office.integer(DAYS).await;
    run_sql(
        &office.db,
        "delete from schedule_exceptions where exception_date > bridge_reach() - 7;
        update bridge set renewed_until = bridge_reach() - 7",
    )
    .await;
    days
}

const DAYS: &str = "select count(*) from schedule_exceptions";

/// The transaction that has locked it can be rolled back, and then nobody else would extend it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_series_that_is_busy_at_night_is_recorded_and_extended_afterwards() {
    let (office, mut staff) = attached().await;
    run(
        &mut staff,
        &format!(
            "insert into openemr_postcalendar_events (pc_catid, pc_aid, pc_pid, \"pc_eventDate\", \
                pc_duration, \"pc_startTime\", pc_recurrtype, pc_recurrspec)
             select 8, '1', '', current_date, 3600, '12:00', 1, '{DAILY}' from generate_series(1, 3)"
        ),
    )
    .await;
    let change = "update openemr_postcalendar_events set pc_hometext = 'x' where pc_eid = 2";
    let lock = "select 1 from partner_api.bridge_time_off where event_id = 2 for update";
    for (begin, end) in [(change, "commit"), (change, "rollback"), (lock, "rollback")] {
        let days = before_a_renewal(&office).await;
        run(&mut staff, &format!("begin; {begin}")).await;
        assert_eq!(ends("the renewal", bridge::renew(&office.db)).await.unwrap(), 2, "{begin} {end}");
        run(&mut staff, end).await;
        let found = bridge::check(&office.db).await.unwrap();
        assert!(
            found.iter().any(|it| it.finding == "EMR change not applied yet"),
            "{begin} {end}: {found:?}"
        );
        bridge::catch_up(&office.db, || true).await.unwrap();
        assert_eq!(office.integer(DAYS).await, days, "{begin} {end}");
        clean(&office).await;
    }
    // Until then, none of its days can be booked. The other series end earlier.
    run(&mut staff, "delete from openemr_postcalendar_events where pc_eid <> 2").await;
    before_a_renewal(&office).await;
    run(&mut staff, &format!("begin; {lock}")).await;
    assert_eq!(bridge::renew(&office.db).await.unwrap(), 0);
    for (time, works) in [("12:15", false), ("14:00", true)] {
        let mut api = super::emr(office.dsn()).await;
        let insert = format!(
            "set search_path = partner_api; insert into visits (patient_id, provider_id, visit_type, \
                visit_date, visit_time, visit_duration) values (1001, 1, 'FOLLOWUP', bridge_reach() - 4, \
                '{time}', 30)"
        );
        let done = sqlx::raw_sql(sqlx::AssertSqlSafe(insert)).execute(&mut api).await;
        assert_eq!(done.is_ok(), works, "{time}: {done:?}");
    }
    run(&mut staff, "rollback").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_series_that_cannot_be_extended_does_not_stop_the_others() {
    let (office, mut staff) = attached().await;
    run(
        &mut staff,
        &format!(
            "insert into openemr_postcalendar_events (pc_catid, pc_aid, pc_pid, \"pc_eventDate\", \
                pc_duration, \"pc_startTime\", pc_recurrtype, pc_recurrspec)
             select 8, '1', '', current_date, 3600, make_time(12 + n, 0, 0), 1, '{DAILY}' from \
                generate_series(0, 2) n"
        ),
    )
    .await;
    let days = before_a_renewal(&office).await;
    let rule = "alter table schedule_exceptions add constraint bad check (start_time <> '13:00') not valid";
    run_sql(&office.db, rule).await;
    assert_eq!(bridge::renew(&office.db).await.unwrap(), 2);
    assert_eq!(office.integer(DAYS).await, days - 7);
    run_sql(&office.db, "alter table schedule_exceptions drop constraint bad").await;
    assert_eq!(bridge::catch_up(&office.db, || true).await.unwrap(), 1);
    assert_eq!(office.integer(DAYS).await, days);
    clean(&office).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_that_finds_a_table_locked_is_made_up_by_the_next_one() {
    let (office, mut staff) = attached().await;
    run(
        &mut staff,
        &format!(
            "insert into openemr_postcalendar_events (pc_catid, pc_aid, pc_pid, \"pc_eventDate\", \
                pc_duration, \"pc_startTime\", pc_recurrtype, pc_recurrspec)
             values (8, '1', '', current_date, 3600, '12:00', 1, '{DAILY}')"
        ),
    )
    .await;
    let days = before_a_renewal(&office).await;
    for table in ["schedule_exceptions", "bridge_time_off", "bridge"] {
        run(&mut staff, &format!("begin; lock table partner_api.{table} in share mode")).await;
        let mut night = super::emr(office.dsn()).await;
        run(&mut night, "set search_path = partner_api; set lock_timeout = '20ms'").await;
        let renewal = "select bridge_renew_some(last, 50) from bridge_renew_some(-1, 50)";
        let refused = sqlx::raw_sql(renewal).execute(&mut night).await.unwrap_err().to_string();
        assert!(refused.contains("lock timeout"), "{table}: {refused}");
        run(&mut staff, "rollback").await;
        assert_eq!(office.integer(DAYS).await, days - 7);
    }
    assert_eq!(bridge::renew(&office.db).await.unwrap(), 1);
    assert_eq!(office.integer(DAYS).await, days);
    clean(&office).await;
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
    bridge::catch_up(&office.db, || true).await.unwrap();
    clean(&office).await;
}
