//! Writes that the EMR has but that failed on our side, and outbox rows of pulls that failed.

use shared::tenant::bridge;
use sqlx::Executor;

use super::{attached, clean, event, one, session};
use crate::office::{ends, mariadb};

const INSERT: &str =
    "insert into visits (patient_id, provider_id, visit_type, visit_date, visit_time, visit_duration) values";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn only_writes_of_lost_transactions_are_undone() {
    let (office, emr) = attached().await;
    mariadb::run(&emr, &event(5, "2", "1003", "2026-03-10", "09:00", 30));
    bridge::pull(&office.db).await.unwrap();
    let mut lost = session(&office).await;
    let mut other = session(&office).await;
    let begin = format!(
        "begin; {INSERT} (1001, 1, 'FOLLOWUP', '2026-03-10', '10:00', 30), (1002, 1, \
        'FOLLOWUP', '2026-03-10', '11:00', 30);
        insert into patients (first_name, last_name, full_name, created_at, updated_at) values ('Lost', \
        'Call', 'Lost Call', now(), now());
        update patients set phone = '555-0100' where patient_id = 1001; update visits set visit_time = \
        '15:00' where patient_id = 1003"
    );
    lost.execute(sqlx::AssertSqlSafe(begin)).await.unwrap();
    let open = format!("begin; {INSERT} (1002, 2, 'FOLLOWUP', '2026-03-12', '10:00', 30)");
    other.execute(sqlx::AssertSqlSafe(open)).await.unwrap();
    // Staff have changed one of them meanwhile, so it stays.
    mariadb::run(
        &emr,
        "update openemr_postcalendar_events set pc_title = 'Theirs', pc_apptstatus = '@' where pc_pid = \
            '1002' and pc_aid = '1'",
    );
    let events = "select group_concat(concat(pc_pid, ' ', time_format(pc_startTime, '%H:%i'), pc_apptstatus) \
        order by pc_eid) from openemr_postcalendar_events";
    assert_eq!(mariadb::run(&emr, events), "1003 15:00-,1001 10:00-,1002 11:00@,1002 10:00-");
    let patients = "select group_concat(concat(pid, phone_home) order by pid) from patient_data";
    assert_eq!(mariadb::run(&emr, patients), "1001555-0100,1002,1003,1004");
    // Between MariaDB's insert and our commit.
    let pid = one(&mut lost, "select pg_backend_pid()").await;
    let mut killer = session(&office).await;
    assert_eq!(one(&mut killer, &format!("select pg_terminate_backend({pid}, 60000)")).await, "true");
    bridge::pull(&office.db).await.unwrap();
    assert_eq!(
        mariadb::run(&emr, events),
        "1003 09:00-,1002 11:00@,1002 10:00-",
        "the write of the open transaction stays"
    );
    assert_eq!(mariadb::run(&emr, patients), "1001,1002,1003");
    other.execute("commit").await.unwrap();
    bridge::pull(&office.db).await.unwrap();
    assert_eq!(mariadb::run(&emr, events), "1003 09:00-,1002 11:00@,1002 10:00-");
    assert_eq!(
        office.integer("select count(*) from visits where status in ('Scheduled', 'Arrived')").await,
        3,
        "the row that staff changed is mirrored"
    );
    clean(&office).await;
    assert_eq!(
        mariadb::run(
            &emr,
            "select (select count(*) from partner_api_visits) + (select count(*) from partner_api_patients)"
        ),
        "0"
    );
}

/// The row of the rolled-back attempt is still in the EMR.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn a_retry_after_a_rollback_does_not_conflict_with_the_first_attempt() {
    let (office, emr) = attached().await;
    let mut session = session(&office).await;
    let insert = format!("{INSERT} (1001, 1, 'FOLLOWUP', '2026-03-10', '10:00', 30)");
    session.execute(sqlx::AssertSqlSafe(format!("begin; {insert}; rollback"))).await.unwrap();
    let events = "select count(*) from openemr_postcalendar_events";
    assert_eq!(mariadb::run(&emr, events), "1");
    assert_eq!(super::book(&office, 1001, "10:00").await.0, 201);
    assert_eq!(mariadb::run(&emr, events), "1");
    // Within a transaction.
    let again = insert.replace("10:00", "14:00");
    let retry = format!("begin; savepoint a; {again}; rollback to a; {again}; commit");
    session.execute(sqlx::AssertSqlSafe(retry)).await.unwrap();
    assert_eq!(mariadb::run(&emr, events), "2");
    // Visits of calls that are not lost still conflict.
    assert_eq!(super::book(&office, 1002, "14:00").await.0, 409);
    mariadb::run(&emr, &event(5, "1", "1003", "2026-03-10", "15:00", 30));
    assert_eq!(super::book(&office, 1002, "15:00").await.0, 409);
    clean(&office).await;
    assert_eq!(mariadb::run(&emr, events), "3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn a_rolled_back_pull_loses_nothing() {
    let (office, emr) = attached().await;
    mariadb::run(&emr, &event(5, "1", "1001", "2026-03-10", "10:00", 30));
    let mut session = session(&office).await;
    session.execute("begin; select bridge_pull(100); rollback").await.unwrap();
    assert_eq!(office.integer("select count(*) from visits").await, 0);
    assert_eq!(mariadb::run(&emr, "select count(*) from partner_api_outbox"), "1");
    assert_eq!(bridge::pull(&office.db).await.unwrap(), 1);
    assert_eq!(mariadb::run(&emr, "select count(*) from partner_api_outbox"), "1", "until the next pull");
    assert_eq!(office.integer("select count(*) from visits").await, 1);
    // The next pull acknowledges and fails; the one after it applies nothing twice.
    session.execute("begin; select bridge_pull(100); rollback").await.unwrap();
    assert_eq!(mariadb::run(&emr, "select count(*) from partner_api_outbox"), "0");
    assert_eq!(bridge::pull(&office.db).await.unwrap(), 0);
    assert_eq!(office.integer("select count(*) from log").await, 1);
    assert_eq!(office.integer("select count(*) from bridge_pulled").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn an_open_emr_transaction_is_not_blocked_or_double_booked() {
    let (office, emr) = attached().await;
    let mut client = mariadb::Session::open(&emr);
    client.run(&format!("begin; {}", event(5, "1", "1001", "2026-03-10", "10:00", 30)));
    // It may still be rolled back: the caller gets 503, retries, and blocks nobody.
    assert_eq!(super::book(&office, 1002, "10:15").await.0, 503);
    ends("the EMR's next statement", async { client.run(&event(5, "1", "1001", "2026-03-10", "10:30", 30)) })
        .await;
    client.run("commit;");
    assert_eq!(super::book(&office, 1002, "10:15").await.0, 409);
    // On another day, it does not interfere.
    client.run(&format!("begin; {}", event(5, "1", "1001", "2026-02-10", "10:00", 30)));
    assert_eq!(super::book(&office, 1002, "14:00").await.0, 201);
    client.run("commit;");
    clean(&office).await;
}
