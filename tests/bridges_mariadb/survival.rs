//! The EMR's program keeps working while the bridge is damaged, and a repair restores the bridge.

use shared::tenant::{Bridge, bridge};
use sqlx::{AssertSqlSafe, Executor};

use super::{attached, clean, event, session};
use crate::office::mariadb;

/// How `MariaDB`'s side is damaged, and the statements that repair it before the bridge's renewal.
const FAULTS: [(&str, &str); 8] = [
    ("drop table partner_api_outbox", ""),
    (
        "alter table partner_api_outbox drop column `key`",
        "alter table partner_api_outbox add column `key` bigint not null",
    ),
    (
        "alter table partner_api_outbox add constraint full_disk check (apply = 'never')",
        "alter table partner_api_outbox drop constraint full_disk",
    ),
    (
        "drop trigger partner_api_insert_openemr_postcalendar_events; drop trigger \
            partner_api_insert_patient_data",
        "",
    ),
    ("drop table partner_api_state, partner_api_visits, partner_api_patients", ""),
    (
        "alter table partner_api_visits add constraint full_disk check (token < 0)",
        "alter table partner_api_visits drop constraint full_disk",
    ),
    ("rename user 'ACCOUNT'@'%' to 'gone_ACCOUNT'@'%'", "rename user 'gone_ACCOUNT'@'%' to 'ACCOUNT'@'%'"),
    (
        "revoke select on partner_api_outbox from 'ACCOUNT'@'%'",
        "grant select on partner_api_outbox to 'ACCOUNT'@'%'",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn emr_writes_succeed_despite_faults_and_are_known_after_repair() {
    let (office, emr) = attached().await;
    let db = &office.db;
    for (number, (fault, mending)) in (0..).zip(FAULTS) {
        mariadb::run(&emr, &fault.replace("ACCOUNT", &emr));
        let pid = 3000 + number;
        mariadb::run(
            &emr,
            &format!(
                "insert into patient_data (pid, fname, lname) values ({pid}, 'While', 'Broken');
                update users set specialty = 'after {number}' where id = 2; {}{}",
                event(5, "2", "1002", &format!("2031-03-{}", 10 + number), "10:00", 30),
                event(5, "2", &pid.to_string(), &format!("2031-04-{}", 10 + number), "10:00", 30)
            ),
        );
        assert_eq!(
            mariadb::run(&emr, "select count(*) from openemr_postcalendar_events"),
            (2 * (number + 1)).to_string(),
            "{fault}"
        );
        let told = match bridge::check(db).await {
            Ok(found) => found.len(),
            Err(error) => usize::from(error.is_of_emr()),
        };
        // An open session survives the removal of its account.
        assert!(
            told > 0 || fault.contains("partner_api_visits add") || fault.starts_with("rename"),
            "{fault}"
        );
        if !mending.is_empty() {
            mariadb::run(&emr, &mending.replace("ACCOUNT", &emr));
        }
        Bridge::of(db).await.unwrap().unwrap().install(db).await.unwrap();
        bridge::load(db, false, |_| true).await.unwrap();
        clean(&office).await;
        assert_eq!(
            office.integer(&format!("select count(*) from visits where patient_id = {pid}")).await,
            1,
            "{fault}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn every_kind_of_drift_is_found_and_repaired() {
    let (office, emr) = attached().await;
    let db = &office.db;
    mariadb::run(
        &emr,
        &format!(
            "{}{}",
            event(5, "1", "1001", "2031-03-10", "10:00", 30),
            event(8, "1", "", "2031-03-10", "12:00", 60)
        ),
    );
    bridge::pull(db).await.unwrap();
    for (planted, finding) in [
        ("delete from visits", "event: missing"),
        ("update visits set visit_time = '11:00'", "event: different"),
        (
            "insert into visits (visit_id, patient_id, provider_id, visit_type, visit_date, visit_time, \
                visit_duration)
            values (7001, 1002, 1, 'Consult', '2031-03-11', '10:00', 30)",
            "event: surplus",
        ),
        ("delete from schedule_exceptions", "event: different time off"),
        ("update schedule_exceptions set start_time = '12:30'", "event: different time off"),
        ("update patients set last_name = 'Drift' where patient_id = 1002", "patient: different"),
        ("delete from patients where patient_id = 1003", "patient: missing"),
        (
            "insert into patients (patient_id, first_name, last_name, full_name, created_at, updated_at)
            values (5001, 'No', 'Body', 'No Body', now(), now())",
            "patient: surplus",
        ),
        ("update providers set name = 'Drift' where provider_id = 1", "provider: different"),
        ("insert into visit_types (visit_type) values ('Unknown')", "visit type: surplus"),
        ("update visit_types set active = false where visit_type = 'Consult'", "visit type: different"),
        ("update resources set name = 'Drift' where resource_id = 101", "rooms: different"),
    ] {
        let statements = format!("set partner_api.writing = 'emr'; {planted}");
        session(&office).await.execute(AssertSqlSafe(statements)).await.unwrap();
        let found = bridge::check(db).await.unwrap();
        let found: Vec<_> = found.iter().map(|it| it.finding.as_str()).collect();
        assert_eq!(found, [finding], "{planted}");
        bridge::load(db, false, |_| true).await.unwrap();
        clean(&office).await;
    }
}

/// A list of all databases' triggers opens every table of the server. It takes long, and fails
/// while one of them is being altered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn the_state_of_mariadb_is_read_without_scanning_a_database() {
    let (_, emr) = attached().await;
    let body = "select action_statement from information_schema.triggers where event_object_schema = \
        database() and event_object_table = 'partner_api_state'";
    let body = mariadb::run(&emr, body).replace("\\n", " ");
    let mut queries = 0;
    for query in body.split("from information_schema.").skip(1) {
        let mut open = 0;
        let end = query.find(|it| {
            open += i32::from(it == '(') - i32::from(it == ')');
            open < 0
        });
        let query = query[..end.unwrap()].replace("elt(it,", "elt(1,");
        let plan = mariadb::run(&emr, &format!("explain select 1 from information_schema.{query}"));
        assert!(plan.contains("Scanned 0 databases"), "{query}: {plan}");
        queries += 1;
    }
    assert_eq!(queries, 2, "{body}");
}
