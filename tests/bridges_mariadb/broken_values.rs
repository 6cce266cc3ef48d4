//! Dates, times and durations that the EMR's columns accept and no calendar has, as in the other
//! bridge.

use shared::tenant::bridge;
use sqlx::Executor;

use super::{attached, book, one, session};
use crate::{
    bridges::broken_values::{DURATIONS, shapes},
    office::{Office, mariadb},
};

const MAP: &str = include_str!("../../infra/bridges/openemr-mariadb/map.sql");

/// The columns with dates, times and durations that the bridge names, and values for them.
fn columns(emr: &str) -> Vec<(String, String, Vec<&'static str>)> {
    let all = format!(
        "select concat_ws(' ', table_name, column_name, is_nullable, data_type) from \
        information_schema.columns where table_schema = '{emr}' and table_name in ('users', 'patient_data', \
        'openemr_postcalendar_categories', 'openemr_postcalendar_events', 'list_options')
        and (data_type regexp 'date|time' or column_name = 'pc_duration')"
    );
    let mut columns = Vec::new();
    for column in mariadb::run(emr, &all).lines() {
        let [table, name, nullable, kind] = column.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{column}")
        };
        if !MAP.contains(name) {
            continue;
        }
        let mut values = match kind {
            "bigint" => DURATIONS.to_vec(),
            "time" => vec!["'24:00:00'", "'-00:00:01'", "'838:59:59'", "'-838:59:59'"],
            "date" | "datetime" => vec![
                "'0000-00-00'",
                "'0000-05-05'",
                "'2026-00-10'",
                "'2026-03-00'",
                "'2026-02-31'",
                "'0001-01-01'",
                "'0202-03-31'",
                "'9999-12-31'",
            ],
            other => panic!("values for {other}"),
        };
        if nullable == "YES" {
            values.push("null");
        }
        columns.push((table.to_owned(), name.to_owned(), values));
    }
    columns
}

async fn messages(office: &Office) -> String {
    one(&mut session(office).await, "select string_agg(message, '; ') from bridge_failures").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn broken_dates_times_and_durations_stop_neither_pulls_nor_bookings() {
    let (office, emr) = attached().await;
    let mut number = 0;
    for (table, column, values) in columns(&emr) {
        let mut script = vec!["set sql_mode = 'allow_invalid_dates';".to_owned()];
        for (value, pid) in values.iter().zip(2000..) {
            if table == "patient_data" {
                let patient = format!("insert into patient_data (pid, {column}) values ({pid}, {value});");
                script.push(format!("delete from patient_data where pid = {pid}; {patient}"));
                continue;
            }
            for (category, patient, kind, rule, whole) in shapes() {
                script.push(format!(
                    "insert into openemr_postcalendar_events (pc_catid, pc_aid, pc_pid, pc_eventDate, \
                        pc_duration, pc_startTime, pc_recurrtype, pc_recurrspec, pc_alldayevent)
                     values ({category}, '2', '{patient}', '2026-03-10', 3600, '12:00', {kind}, '{rule}', \
                        {whole});
                     update openemr_postcalendar_events set {column} = {value} where pc_eid = \
                        last_insert_id();"
                ));
                number += 1;
            }
        }
        mariadb::run(&emr, &script.concat());
        // While they wait, when they are applied, and when they wait for a retry.
        assert_eq!(book(&office, 1001, "10:00").await.0, 201, "{column}");
        while bridge::pull(&office.db).await.unwrap() > 0 {}
        assert_eq!(messages(&office).await, "", "{column}");
        assert_eq!(book(&office, 1001, "11:00").await.0, 201, "{column}");
        let mut ours = session(&office).await;
        let wait = "insert into bridge_failures (apply, key, message) select 'bridge_apply_event', pc_eid, \
            'deferred' from openemr_postcalendar_events where pc_aid = '2'";
        ours.execute(wait).await.unwrap();
        assert_eq!(book(&office, 1001, "15:00").await.0, 201, "{column}");
        while office.integer("select count(*) from bridge_failures where attempts = 1").await > 0 {
            bridge::pull(&office.db).await.unwrap();
        }
        assert_eq!(messages(&office).await, "", "{column}");
        ours.execute("update bridge set renewed_until = bridge_reach() - 7").await.unwrap();
        bridge::renew(&office.db).await.unwrap();
        let found = bridge::check(&office.db).await.unwrap();
        let meaning = "EMR value without a meaning here";
        assert!(found.iter().all(|it| it.finding.starts_with(meaning)), "{column}: {found:?}");
        mariadb::run(&emr, "delete from openemr_postcalendar_events");
        while bridge::pull(&office.db).await.unwrap() > 0 {}
    }
    assert!(number > 250, "{number}");
}
