//! The first copy of the EMR's rows, a later one after a detach, and rows that arrive out of order.

use shared::tenant::{Bridge, bridge};
use sqlx::Executor;

use super::{attached, book, clean, event, one, session};
use crate::office::{Office, ends, eventually, mariadb};

/// Detaches the practice, runs statements of the EMR's, and installs the bridge again, which has
/// copied nothing yet.
async fn attach_again(office: &Office, emr: &str, statements: &str) {
    let bridge = Bridge::named("openemr-mariadb").unwrap();
    bridge.remove(&office.db).await.unwrap();
    mariadb::run(emr, &format!("{statements} drop user '{emr}'@'%'"));
    mariadb::add_ours(emr);
    let secret = format!("postgres://\n{}", mariadb::address(emr));
    bridge.plan_with(&office.db, &secret).await.unwrap();
    bridge.install_with(&office.db, &secret).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn nothing_is_booked_until_all_rows_are_copied() {
    let (office, emr) = attached().await;
    attach_again(&office, &emr, &event(5, "1", "1002", "2026-03-10", "10:00", 30)).await;
    let day_ago = office.app.clock.now() - jiff::SignedDuration::from_hours(24);
    assert!(!bridge::is_due(&office.db, day_ago).await.unwrap(), "a copy under way is not compared");
    assert!(!bridge::load(&office.db, true, |_| false).await.unwrap().is_whole);
    assert_eq!(book(&office, 1001, "11:00").await.0, 503);
    assert!(bridge::load(&office.db, true, |_| true).await.unwrap().is_whole);
    assert_eq!(book(&office, 1001, "10:00").await, (409, "PROVIDER_CONFLICT".to_owned()));
    assert_eq!(book(&office, 1001, "11:00").await.0, 201);
    assert_eq!(office.integer("select count(*) from log where request_id is null").await, 0);
    clean(&office).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn a_detached_practice_can_be_attached_again_whatever_staff_have_changed() {
    let (office, emr) = attached().await;
    mariadb::run(&emr, &event(5, "1", "1001", "2031-03-10", "10:00", 30));
    mariadb::run(&emr, &event(8, "1", "", "2031-03-11", "12:00", 60));
    bridge::pull(&office.db).await.unwrap();
    assert_eq!(office.integer("select count(*) from schedule_exceptions").await, 1);
    let rooms = office.integer("select count(*) from resources").await;
    let changes = "delete from openemr_postcalendar_events; delete from patient_data where pid = 1003;";
    attach_again(&office, &emr, changes).await;
    bridge::load(&office.db, true, |_| true).await.unwrap();
    clean(&office).await;
    assert_eq!(office.integer("select count(*) from resources").await, rooms, "no room is there twice");
    assert_eq!(office.integer("select count(*) from schedule_exceptions").await, 0);
    assert_eq!(office.integer("select count(*) from patients").await, 2);
    assert_eq!(office.integer("select count(*) from visits where status <> 'Deleted'").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn events_may_arrive_before_their_patients_and_users() {
    let (office, emr) = attached().await;
    // The bridge has missed the patient.
    mariadb::run(
        &emr,
        "set @partner_api_writes = 1; insert into patient_data (pid, fname, lname) values (2000, 'New', \
            'Patient')",
    );
    mariadb::run(&emr, &event(5, "1", "2000", "2031-03-10", "10:00", 30));
    bridge::pull(&office.db).await.unwrap();
    assert_eq!(office.integer("select count(*) from visits where patient_id = 2000").await, 1);
    mariadb::run(&emr, &event(5, "300", "1001", "2031-03-10", "10:00", 30));
    mariadb::run(&emr, &event(8, "300", "", "2031-03-10", "12:00", 60));
    bridge::pull(&office.db).await.unwrap();
    mariadb::run(&emr, "insert into users (id, fname, lname, authorized) values (300, 'Late', 'User', 1)");
    bridge::pull(&office.db).await.unwrap();
    assert_eq!(office.integer("select count(*) from visits where provider_id = 300").await, 1);
    assert_eq!(office.integer("select count(*) from schedule_exceptions where provider_id = 300").await, 1);
    clean(&office).await;
}

/// As in the other bridge: the pull waits for the repair, and must replace the time off that it
/// wrote.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn time_off_that_staff_move_while_a_repair_rewrites_it_is_where_they_moved_it() {
    let (office, emr) = attached().await;
    mariadb::run(&emr, &event(8, "1", "", "2031-03-10", "12:00", 60));
    bridge::pull(&office.db).await.unwrap();
    clean(&office).await;
    let mut repair = session(&office).await;
    let own = mariadb::run(&emr, "select max(pc_eid) from openemr_postcalendar_events");
    let rewrite = format!(
        "begin; set local partner_api.writing = 'emr'; select bridge_enter(); \
        select bridge_apply_event({own})"
    );
    repair.execute(sqlx::AssertSqlSafe(rewrite)).await.unwrap();
    mariadb::run(&emr, "update openemr_postcalendar_events set pc_startTime = '15:00'");
    let db = office.db.clone();
    let pulling = tokio::spawn(async move { bridge::pull(&db).await.unwrap() });
    let waits = "select count(*) from pg_stat_activity where datname = current_database() and \
        wait_event_type = 'Lock'";
    eventually("the pull to wait", async || (office.integer(waits).await == 1).then_some(())).await;
    repair.execute("commit").await.unwrap();
    assert_eq!(ends("the pull", pulling).await.unwrap(), 1);
    clean(&office).await;
    assert_eq!(
        one(&mut repair, "select string_agg(start_time::text, ' ') from schedule_exceptions").await,
        "15:00:00"
    );
}
