//! A change by the API writes only what it changes, and preserves concurrent changes by the EMR.

use serde_json::json;
use shared::tenant::bridge;
use sqlx::{AssertSqlSafe, Executor};

use super::{BOOK, attached, book, clean, event, session};
use crate::office::{Office, mariadb};

const EVENT: &str = "select concat_ws(' ', pc_aid, pc_eventDate, time_format(pc_startTime, '%H:%i'), \
    pc_duration, pc_apptstatus, pc_room) from openemr_postcalendar_events where pc_pid = '1001'";
const PATIENT: &str = "select concat_ws('|', fname, mname, lname, sex, DOB, language, phone_home, \
    phone_cell, email, street, city, state, postal_code, country_code, providerID) from patient_data where \
    pid = 1001";

/// An office with a visit of patient 1001, and its id.
async fn with_visit() -> (Office, String, i64) {
    let (office, emr) = attached().await;
    let body = json!({ "PatientID": 1001, "ProviderID": 1, "VisitType": "Consult", "VisitDate": "2026-03-10",
        "VisitTime": "10:00", "VisitDuration": 30 });
    let id = office.post(BOOK, &body).await.expect(201)["data"]["VisitID"].as_i64().unwrap();
    (office, emr, id)
}

async fn change(office: &Office, statement: &str) {
    session(office).await.execute(AssertSqlSafe(statement.to_owned())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn a_change_of_a_patient_writes_only_its_columns() {
    let (office, emr) = attached().await;
    // Each of our columns, and the EMR's. The EMR has changed all of them, in each round.
    for (round, (ours, theirs)) in (1..).zip([
        ("first_name", "fname"),
        ("mi", "mname"),
        ("last_name", "lname"),
        ("gender", "sex"),
        ("primary_language", "language"),
        ("phone", "phone_home"),
        ("cell_phone", "phone_cell"),
        ("email", "email"),
        ("address", "street"),
        ("city", "city"),
        ("state", "state"),
        ("zip", "postal_code"),
        ("country", "country_code"),
        ("dob", "DOB"),
        ("provider_id", "providerID"),
    ]) {
        let all = "update patient_data set fname = 'eN', mname = 'eN', lname = 'eN', sex = 'eN', DOB = date \
            '2001-01-01' + interval N day, language = 'eN', phone_home = 'eN', phone_cell = 'eN', email = \
            'eN', street = 'eN', city = 'eN', state = 'eN', postal_code = 'eN', country_code = 'eN', \
            providerID = 2 + N % 2 where pid = 1001";
        mariadb::run(&emr, &all.replace('N', &i32::to_string(&round)));
        let before = mariadb::run(&emr, PATIENT);
        let of_emr = mariadb::run(&emr, &format!("select {theirs} from patient_data where pid = 1001"));
        let value = match ours {
            "dob" => "2002-02-02",
            "provider_id" => "1",
            _ => "ours",
        };
        change(&office, &format!("update patients set {ours} = '{value}' where patient_id = 1001")).await;
        let is_ours = mariadb::run(&emr, &format!("select {theirs} from patient_data where pid = 1001"));
        assert_eq!(is_ours, value, "{ours}");
        let back = format!(
            "set @partner_api_writes = 1; update patient_data set {theirs} = '{of_emr}' where pid = 1001"
        );
        mariadb::run(&emr, &back);
        assert_eq!(mariadb::run(&emr, PATIENT), before, "{ours}: the others are the EMR's");
        bridge::pull(&office.db).await.unwrap();
        clean(&office).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn a_change_of_a_visit_writes_only_what_it_changes_and_is_checked_with_the_rest() {
    let (office, emr, id) = with_visit().await;
    let staff = |what: &str| {
        mariadb::run(&emr, &format!("update openemr_postcalendar_events set {what} where pc_pid = '1001'"));
    };
    assert_eq!(mariadb::run(&emr, EVENT), "1 2026-03-10 10:00 1800 - r1");
    staff("pc_aid = '2', pc_room = 'r2', pc_apptstatus = 'SMS'");
    change(&office, &format!("update visits set visit_time = '15:00' where visit_id = {id}")).await;
    assert_eq!(mariadb::run(&emr, EVENT), "2 2026-03-10 15:00 1800 SMS r2");
    clean(&office).await;
    staff(
        "pc_eventDate = '2026-03-11', pc_endDate = '2026-03-11', pc_startTime = '16:00', pc_duration = 900",
    );
    change(&office, &format!("update visits set room_id = 101 where visit_id = {id}")).await;
    assert_eq!(mariadb::run(&emr, EVENT), "2 2026-03-11 16:00 900 SMS r1");
    clean(&office).await;
    // The time of the EMR's new provider is taken. Too many changes wait for them to be applied.
    let many = "insert into openemr_postcalendar_events (pc_catid, pc_aid, pc_pid, pc_eventDate, \
        pc_duration, pc_startTime) select 5, '2', '1003', date '2031-01-01' + interval seq day, 1800, \
        '10:00' from seq_1_to_60;";
    mariadb::run(
        &emr,
        &format!(
            "{many}{}{}",
            event(5, "1", "1002", "2026-03-11", "09:00", 30),
            "insert into openemr_postcalendar_events (pc_catid, pc_aid, pc_pid, pc_eventDate, pc_duration, \
                pc_startTime, pc_room) values (5, '3', '1003', '2026-03-11', 1800, '11:00', 'r1')"
        ),
    );
    staff("pc_aid = '1'");
    let mut session = session(&office).await;
    for (time, constraint) in [("09:15", "visits_provider_free"), ("11:15", "visits_room_free")] {
        let moved = format!("update visits set visit_time = '{time}' where visit_id = {id}");
        let error = session.execute(AssertSqlSafe(moved)).await.unwrap_err().to_string();
        assert!(error.contains(constraint), "{time}: {error}");
    }
    staff("pc_startTime = '13:00'");
    change(&office, &format!("update visits set status = 'Cancelled' where visit_id = {id}")).await;
    assert_eq!(mariadb::run(&emr, EVENT), "1 2026-03-11 13:00 900 x r1");
    clean(&office).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn a_caller_changes_the_row_as_the_emr_has_it() {
    let (office, emr, id) = with_visit().await;
    // More changes than a booking applies come first.
    mariadb::run(
        &emr,
        "insert into openemr_postcalendar_events (pc_catid, pc_aid, pc_pid, pc_eventDate, pc_duration, \
            pc_startTime) select 5, '2', '1003', date '2031-01-01' + interval seq day, 1800, '10:00' from \
            seq_1_to_60;
        update openemr_postcalendar_events set pc_aid = '2' where pc_pid = '1001';
        update patient_data set lname = 'Married' where pid = 1001",
    );
    let to = json!({ "VisitDate": "2026-03-11", "VisitTime": "11:00" });
    let moved = office.post(&format!("/v1/DemoOffice/visits/{id}/reschedule"), &to).await;
    assert_eq!(moved.expect(200)["data"]["ProviderID"], 2);
    let changed = office.put("/v1/DemoOffice/prospects/1001", &json!({ "Phone": "555-0123" })).await;
    assert_eq!(changed.expect(200)["data"]["LastName"], "Married");
    mariadb::run(&emr, "update openemr_postcalendar_events set pc_apptstatus = '@' where pc_pid = '1001'");
    let cancelled = office.post(&format!("/v1/DemoOffice/visits/{id}/cancel"), &json!({})).await;
    cancelled.expect_problem(409, "VISIT_NOT_OPEN");
    clean(&office).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn a_lost_change_is_undone_but_later_changes_by_staff_stay() {
    let (office, emr, id) = with_visit().await;
    clean(&office).await;
    let mut lost = session(&office).await;
    let begin = format!(
        "begin; update patients set phone = '555-0177', email = 'lost@example.com' where patient_id = 1001; \
        update visits set visit_time = '15:00' where visit_id = {id}"
    );
    lost.execute(AssertSqlSafe(begin)).await.unwrap();
    assert_eq!(mariadb::run(&emr, EVENT), "1 2026-03-10 15:00 1800 - r1");
    mariadb::run(
        &emr,
        "update patient_data set lname = 'Married' where pid = 1001;
        update openemr_postcalendar_events set pc_apptstatus = 'SMS' where pc_pid = '1001'",
    );
    lost.execute("rollback").await.unwrap();
    clean(&office).await;
    assert_eq!(mariadb::run(&emr, EVENT), "1 2026-03-10 10:00 1800 SMS r1");
    let patient = "select concat_ws('|', lname, phone_home, email) from patient_data where pid = 1001";
    assert_eq!(mariadb::run(&emr, patient), "Married||");
    // What the lost change wrote itself and staff wrote again is theirs.
    lost.execute("begin; update patients set phone = '555-0177' where patient_id = 1001").await.unwrap();
    mariadb::run(&emr, "update patient_data set phone_home = '555-0188' where pid = 1001");
    lost.execute("rollback").await.unwrap();
    clean(&office).await;
    assert_eq!(mariadb::run(&emr, patient), "Married|555-0188|");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn a_patient_with_a_new_number_in_the_emr_is_another_patient() {
    let (office, emr) = attached().await;
    mariadb::run(&emr, &event(5, "1", "1003", "2026-03-10", "10:00", 30));
    bridge::pull(&office.db).await.unwrap();
    mariadb::run(&emr, "update patient_data set pid = 1500 where pid = 1003");
    bridge::pull(&office.db).await.unwrap();
    office.get("/v1/DemoOffice/prospects/1003").await.expect(404);
    assert_eq!(office.get("/v1/DemoOffice/prospects/1500").await.expect(200)["data"]["FirstName"], "Chloe");
    // The event of the old number still takes its time.
    assert_eq!(book(&office, 1001, "10:15").await.0, 409);
    assert_eq!(book(&office, 1500, "11:00").await.0, 201);
    mariadb::run(&emr, "update openemr_postcalendar_events set pc_pid = '1500' where pc_pid = '1003'");
    bridge::pull(&office.db).await.unwrap();
    assert_eq!(office.integer("select count(*) from visits where patient_id = 1500").await, 2);
}
