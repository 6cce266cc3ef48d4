//! What partners are told about changes that the EMR's staff make.

use serde_json::json;
use shared::tenant::{Bridge, bridge};
use sqlx::Executor;

use super::{attached, clean, event, one, session};
use crate::office::{Office, eventually, mariadb};

const LOG: &str = "select string_agg(concat(table_name, ' ', action), ', ' order by log_id) from log";

/// Applies the EMR's changes, and returns the log rows that this wrote.
async fn told(office: &Office, emr: &str, change: &str) -> String {
    bridge::pull(&office.db).await.unwrap();
    let mut ours = session(office).await;
    ours.execute("delete from log").await.unwrap();
    mariadb::run(emr, change);
    bridge::pull(&office.db).await.unwrap();
    one(&mut ours, LOG).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn deleting_a_patient_deletes_its_visits_and_logs_both() {
    let (office, emr) = attached().await;
    mariadb::run(&emr, &event(5, "1", "1003", "2031-03-10", "10:00", 30));
    let delete = "delete from patient_data where pid = 1003; delete from openemr_postcalendar_events;";
    assert_eq!(told(&office, &emr, delete).await, "visits delete, patients delete");
    clean(&office).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn a_renamed_category_renames_the_types_of_visits() {
    let (office, emr) = attached().await;
    mariadb::run(&emr, &event(6, "1", "1001", "2031-03-14", "10:00", 30));
    let rename = "update openemr_postcalendar_categories set pc_catname = 'Renamed' where pc_catid = 6;";
    assert_eq!(told(&office, &emr, rename).await, "visits update");
    let mut ours = session(&office).await;
    assert_eq!(one(&mut ours, "select visit_type from visits").await, "Renamed");
    clean(&office).await;
}

/// As for other events, no provider means all of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn an_event_without_a_provider_blocks_everybody_even_if_many_changes_wait() {
    let (office, emr) = attached().await;
    mariadb::run(
        &emr,
        &format!("{}{}", super::behind::MANY, event(5, "", "1003", "2026-03-10", "10:00", 30)),
    );
    assert_eq!(super::book(&office, 1001, "10:00").await.0, 409);
    assert_eq!(super::book(&office, 1001, "11:00").await.0, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn attaching_rejects_rows_that_are_not_the_emrs() {
    let (office, emr) = attached().await;
    let bridge = Bridge::named("openemr-mariadb").unwrap();
    bridge.remove(&office.db).await.unwrap();
    let new = json!({ "FirstName": "Ours", "LastName": "Only", "Phone": "212-555-0199" });
    office.post("/v1/DemoOffice/prospects", &new).await.expect(201);
    mariadb::add_ours(&emr);
    let secret = format!("{}\n{}", office.dsn(), mariadb::address(&emr));
    let refused = bridge.plan_with(&office.db, &secret).await.unwrap_err().to_string();
    assert!(refused.contains("1 patients and visits that are not the EMR's"), "{refused}");
}

/// The booking waits for its place among the transactions that may use `MariaDB`; meanwhile, a
/// pull applies the time off, so that the trigger of `MariaDB` has nothing left to decide.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn a_booking_that_waits_for_its_place_is_not_placed_over_time_off_applied_meanwhile() {
    let (office, emr) = attached().await;
    mariadb::run(&emr, &super::behind::series("16:00"));
    let mut places = session(&office).await;
    places
        .execute("begin; select pg_advisory_xact_lock(20926, place) from generate_series(1, 4) place")
        .await
        .unwrap();
    let mut pulling = session(&office).await;
    let booking = super::book(&office, 1001, "16:30");
    let meanwhile = async {
        let waits = "select exists (select 1 from pg_stat_activity where \
            datname = current_database() and wait_event = 'advisory')";
        eventually("the booking waits", async || (one(&mut pulling, waits).await == "true").then_some(()))
            .await;
        // This session counts as one that has its place.
        let pull =
            "begin; select set_config('partner_api.entered', 'on', true); select bridge_pull(200); commit";
        pulling.execute(pull).await.unwrap();
        places.execute("commit").await.unwrap();
    };
    let (booked, ()) = Box::pin(async { tokio::join!(booking, meanwhile) }).await;
    assert_eq!(booked, (409, "PROVIDER_CONFLICT".to_owned()));
}
