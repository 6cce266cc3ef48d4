//! Dates, times and durations that the EMR's columns accept and no calendar has.
//!
//! The EMR's statements neither fail nor wait because of them. Other rows are still applied, and
//! free times can still be booked.

use shared::tenant::bridge;
use sqlx::{AssertSqlSafe, Executor, PgConnection};

use super::{attached, clean, emr, event, run, text};
use crate::office::run_sql;

const MAP: &str = include_str!("../../infra/bridges/openemr-postgresql/map.sql");

/// Seconds, also for the other bridge.
pub(crate) const DURATIONS: [&str; 9] = [
    "0",
    "-1",
    "-9223372036854775808",
    "1",
    "86399",
    "86400",
    "86401",
    "100000000000",
    "9223372036854775807",
];

/// Returns all shapes of an event: category, patient, kind and rule of recurrence, and whether it
/// lasts all day. The other bridge's tests use them, too.
pub(crate) fn shapes() -> Vec<(i64, &'static str, i64, String, i64)> {
    let rule = |unit: i64| {
        format!(
            "a:2:{{s:17:\"event_repeat_freq\";s:1:\"1\";s:22:\"event_repeat_freq_type\";s:1:\"{unit}\";}}"
        )
    };
    let on = "a:2:{s:19:\"event_repeat_on_num\";s:1:\"1\";s:19:\"event_repeat_on_day\";s:1:\"1\";}";
    let mut shapes = vec![(5, "1003", 0, String::new(), 0), (8, "", 0, String::new(), 0)];
    shapes.push((8, "", 0, String::new(), 1));
    shapes.extend((0..5).map(|unit| (8, "", 1, rule(unit), 0)));
    shapes.push((8, "", 1, rule(0), 1));
    shapes.push((8, "", 2, on.to_owned(), 0));
    shapes.push((8, "", 3, rule(6), 0));
    shapes
}

/// The columns with dates, times and durations that the bridge names, and values for them.
async fn columns(staff: &mut PgConnection) -> Vec<(String, String, Vec<&'static str>)> {
    let all = "select string_agg(concat_ws(' ', table_name, column_name, is_nullable, udt_name), ',') from \
        information_schema.columns where table_schema = 'public' and table_name in ('users', 'patient_data', \
        'openemr_postcalendar_categories', 'openemr_postcalendar_events', 'list_options')
        and (data_type ~ 'date|time' or column_name = 'pc_duration')";
    let mut columns = Vec::new();
    for column in text(staff, all).await.split(',') {
        let [table, name, nullable, kind] = column.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{column}")
        };
        if !MAP.contains(name) {
            continue;
        }
        let mut values = match kind {
            "int8" => DURATIONS.to_vec(),
            "time" => vec!["'24:00'", "'23:59:59.999999'", "'00:00'"],
            "timestamp" => vec!["'infinity'", "'-infinity'", "'0044-03-15 BC'", "'294276-12-31'"],
            "date" => vec![
                "'infinity'",
                "'-infinity'",
                "'5874897-12-31'",
                "'0044-03-15 BC'",
                "'0001-01-01'",
                "'0202-03-31'",
                "'9999-12-31'",
            ],
            other => panic!("values for {other}"),
        };
        if nullable == "YES" {
            values.push("null");
        }
        columns.push((table.to_owned(), format!("\"{name}\""), values));
    }
    columns
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_dates_times_and_durations_delay_nobody_and_hide_no_other_row() {
    let (office, mut staff) = attached().await;
    let mut api = emr(office.dsn()).await;
    run(&mut api, "set search_path = partner_api").await;
    // The EMR's own limit: a hook that works longer fails its statement.
    run(&mut staff, "set statement_timeout = '20s'").await;
    let failed = "select string_agg(message, '; ') from (select message from partner_api.bridge_failures \
        union all select message from partner_api.bridge_late) f";
    let mut number = 0;
    for (table, column, values) in columns(&mut staff).await {
        for value in values {
            if table == "patient_data" {
                run(&mut staff, &format!("update patient_data set {column} = {value} where pid = 1003"))
                    .await;
                assert_eq!(text(&mut staff, failed).await, "", "{column} {value}");
                continue;
            }
            for (category, patient, kind, rule, whole) in shapes() {
                let insert = format!(
                    "insert into openemr_postcalendar_events (pc_catid, pc_aid, pc_pid, \"pc_eventDate\", \
                        pc_duration, \"pc_startTime\", pc_recurrtype, pc_recurrspec, pc_alldayevent)
                     values ({category}, '2', '{patient}', current_date + 20, 3600, '12:00', {kind}, \
                        '{rule}', {whole})"
                );
                run(&mut staff, &insert).await;
                let last = "pc_eid = (select max(pc_eid) from openemr_postcalendar_events)";
                let change =
                    format!("update openemr_postcalendar_events set {column} = {value} where {last}");
                run(&mut staff, &change).await;
                let what = format!("{column} {value} of {category} {kind} {rule} {whole}");
                assert_eq!(text(&mut staff, failed).await, "", "{what}");
                // A booking beside it, while it waits.
                let book = "begin; insert into bridge_failures (apply, key, message) select \
                    'bridge_apply_event', max(pc_eid), 'deferred' from public.openemr_postcalendar_events;
                    insert into visits (patient_id, provider_id, visit_type, visit_date, visit_time, \
                    visit_duration) values (1001, 1, 'FOLLOWUP', current_date + 20, '12:00', 30); rollback";
                let booked = api.execute(AssertSqlSafe(book)).await;
                assert!(booked.is_ok(), "{what}: {booked:?}");
                // Those with many days of time off.
                if column == "\"pc_duration\"" {
                    run(&mut staff, &format!("delete from openemr_postcalendar_events where {last}")).await;
                }
                number += 1;
            }
        }
    }
    assert!(number > 300, "{number}");
    office.get("/v1/DemoOffice/prospects/1003").await.expect(200);
    // A row that the bridge misses is found and repaired, although the others cannot be understood.
    run_sql(&office.db, "alter table public.openemr_postcalendar_events disable trigger user").await;
    run(&mut staff, &event(5, "2", "1001", "2031-03-10", "10:00", 30)).await;
    run_sql(&office.db, "alter table public.openemr_postcalendar_events enable trigger user").await;
    let found = bridge::check(&office.db).await.unwrap();
    assert!(found.iter().any(|it| it.finding == "event: missing"), "{found:?}");
    let outside = "EMR value without a meaning here: date outside of the calendar";
    assert!(found.iter().any(|it| it.finding == outside), "{found:?}");
    bridge::load(&office.db, false, |_| true).await.unwrap();
    let found = bridge::check(&office.db).await.unwrap();
    assert!(found.iter().all(|it| it.finding.starts_with("EMR value without a meaning here")), "{found:?}");
    run_sql(&office.db, "update bridge set renewed_until = bridge_reach() - 7").await;
    bridge::renew(&office.db).await.unwrap();
    assert_eq!(text(&mut staff, failed).await, "");
}

/// The API's callers must not book what the EMR may show as taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_series_whose_last_day_is_broken_has_no_end() {
    let (office, mut staff) = attached().await;
    for (number, last) in (1..).zip(["null", "'infinity'", "'-infinity'", "'0001-01-01'", "'0044-03-15 BC'"])
    {
        let insert = super::event(8, "2", "", "today", "12:00", 60)
            .replace("\"pc_startTime\")", "\"pc_startTime\", \"pc_endDate\", pc_recurrtype, pc_recurrspec)")
            .replace("'12:00')", &format!("'12:00', {last}, 1, '{}')", super::series::DAILY));
        run(&mut staff, &insert).await;
        let reached = "select count(*) from schedule_exceptions where exception_date = bridge_reach()";
        assert_eq!(office.integer(reached).await, number, "{last}");
        // The nightly run extends it, too.
        run_sql(
            &office.db,
            "delete from schedule_exceptions where exception_date > bridge_reach() - 7;
            update bridge set renewed_until = bridge_reach() - 7",
        )
        .await;
        assert_eq!(bridge::renew(&office.db).await.unwrap(), number, "{last}");
        assert_eq!(office.integer(reached).await, number, "{last}");
    }
    clean(&office).await;
}

/// Hour 24 is the next day's midnight.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_at_hour_24_takes_time_on_the_next_day() {
    let (office, mut staff) = attached().await;
    for (category, patient) in [(5, "1003"), (8, "")] {
        run(&mut staff, &event(category, "2", patient, "2031-03-10", "24:00", 30)).await;
        for (date, time, works) in [("2031-03-10", "00:00", true), ("2031-03-11", "00:15", false)] {
            let mut api = emr(office.dsn()).await;
            let insert = format!(
                "set search_path = partner_api; begin; insert into visits (patient_id, provider_id, \
                    visit_type, visit_date, visit_time, visit_duration) values (1001, 2, 'FOLLOWUP', \
                    '{date}', '{time}', 30); rollback"
            );
            let done = api.execute(AssertSqlSafe(insert)).await;
            assert_eq!(done.is_ok(), works, "{category} {date} {time}: {done:?}");
        }
        run(&mut staff, "delete from openemr_postcalendar_events").await;
    }
    clean(&office).await;
}
