//! Ids after one of the servers was restored from a backup.

use serde_json::json;
use shared::tenant::bridge;
use sqlx::Executor;

use super::{BOOK, attached, clean, event, one, session, visit};
use crate::office::{Office, mariadb};

async fn new_ids(office: &Office, time: &str) -> (i64, i64) {
    let booked = office.post(BOOK, &visit(1001, time)).await;
    let person = json!({
        "FirstName": "Ann", "LastName": "New", "EMail": format!("{}@example.com", time.replace(':', "")),
    });
    let made = office.post("/v1/DemoOffice/prospects", &person).await;
    let id = |reply: &crate::office::Reply, name: &str| reply.expect(201)["data"][name].as_i64().unwrap();
    (id(&booked, "VisitID"), id(&made, "PatientID"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn new_rows_get_ids_above_those_that_a_restored_database_lost() {
    let (office, emr) = attached().await;
    let mut session = session(&office).await;
    mariadb::run(
        &emr,
        &format!(
            "alter table openemr_postcalendar_events auto_increment = 40; {}
             delete from openemr_postcalendar_events",
            event(5, "1", "1001", "2026-03-11", "10:00", 30)
        ),
    );
    bridge::pull(&office.db).await.unwrap();
    assert_eq!(one(&mut session, "select bridge_last_id('visits')").await, "40", "it was deleted");
    assert_eq!(one(&mut session, "select bridge_last_id('patients')").await, "1003");
    let noted = mariadb::run(&emr, "select count(*) from log");
    session
        .execute("select bridge_begin_above('visits', 5000), bridge_begin_above('patients', 7000)")
        .await
        .unwrap();
    assert_eq!(
        mariadb::run(
            &emr,
            "select concat_ws(' ', (select count(*) from openemr_postcalendar_events), (select count(*) from \
                patient_data), (select count(*) from partner_api_outbox where id > 2))"
        ),
        "0 3 0",
        "nothing is left of it"
    );
    assert_eq!(mariadb::run(&emr, "select count(*) from log"), noted);
    for (table, last) in [("visits", "5000"), ("patients", "7000")] {
        assert_eq!(one(&mut session, &format!("select bridge_last_id('{table}')")).await, last);
        // A lower limit changes nothing.
        let lower = format!("select bridge_begin_above('{table}', 100)");
        session.execute(sqlx::AssertSqlSafe(lower)).await.unwrap();
    }
    mariadb::run(&emr, &event(5, "1", "1001", "2026-03-11", "10:00", 30));
    assert_eq!(
        mariadb::run(&emr, "select max(pc_eid) from openemr_postcalendar_events"),
        "5001",
        "staff's events, too"
    );
    assert_eq!(new_ids(&office, "10:00").await, (5002, 7001));
    assert_eq!(new_ids(&office, "11:00").await, (5003, 7002));
    clean(&office).await;
}

/// The backup lacks the latest visits and patients, which partners know by their ids.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn a_repair_after_a_restore_of_mariadb_reuses_no_known_id() {
    let (office, emr) = attached().await;
    let known = [new_ids(&office, "10:00").await, new_ids(&office, "11:00").await];
    clean(&office).await;
    mariadb::run(
        &emr,
        "set @partner_api_writes = 1; delete from openemr_postcalendar_events; delete from patient_data \
            where pid > 1003; alter table openemr_postcalendar_events auto_increment = 1",
    );
    bridge::load(&office.db, false, |_| true).await.unwrap();
    clean(&office).await;
    assert_eq!(
        office.integer("select count(*) from patients").await,
        3,
        "the repair removes rows that no longer exist"
    );
    let (visit, patient) = new_ids(&office, "14:00").await;
    assert!(known.iter().all(|(v, p)| visit > *v && patient > *p), "{known:?} {visit} {patient}");
    clean(&office).await;
}
