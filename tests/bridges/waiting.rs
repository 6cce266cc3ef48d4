//! Pending changes of the EMR: none delays the others, and none is lost.

use serde_json::json;
use shared::tenant::bridge;

use super::{attached, clean, emr, event, run, text};
use crate::office::{Office, ends, eventually, run_sql};

/// Days of visits of the EMR whose move to 11:00 waits to be applied.
async fn moved(office: &Office, staff: &mut sqlx::PgConnection, days: i64) {
    run(
        staff,
        &format!(
            "insert into openemr_postcalendar_events (pc_catid, pc_aid, pc_pid, \"pc_eventDate\", \
            pc_duration, \"pc_startTime\")
            select 5, '2', '1001', date '2031-01-01' + n, 1800, '10:00' from generate_series(1, {days}) n"
        ),
    )
    .await;
    bridge::catch_up(&office.db, || true).await.unwrap();
    run(
        staff,
        "begin; set local search_path = partner_api, public; set local partner_api.writing = 'ours';
        update openemr_postcalendar_events set \"pc_startTime\" = '11:00';
        select partner_api.bridge_note('bridge_apply_event', array(select pc_eid::bigint from \
        openemr_postcalendar_events), 'deferred', false);
        commit",
    )
    .await;
}

const APPLIED: &str = "select count(*) from visits where visit_time = '11:00'";
const WAITING: &str = "select count(*) from bridge_failures";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locked_rows_do_not_delay_the_others() {
    let (office, mut staff) = attached().await;
    let mut locker = emr(office.dsn()).await;
    // Bookings that are not committed yet overlap events that wait.
    run(
        &mut locker,
        "set search_path = partner_api; begin; insert into visits (patient_id, provider_id, visit_type, \
        visit_date, visit_time, visit_duration) values (1003, 1, 'Consult', '2032-03-10', '10:15', 30), \
        (1003, 1, 'Consult', '2032-04-10', '10:15', 30)",
    )
    .await;
    moved(&office, &mut staff, 900).await;
    run(
        &mut staff,
        &format!(
            "begin; set local search_path = partner_api, public; set local partner_api.writing = 'ours'; {};
            select bridge_note('bridge_apply_event', array[max(pc_eid)::bigint], 'deferred', false) from \
            openemr_postcalendar_events; commit",
            event(5, "1", "1001", "2032-03-10", "10:00", 30)
        ),
    )
    .await;
    run(
        &mut locker,
        "select 1 from partner_api.visits where visit_id % 3 = 0 for update;
        select 1 from partner_api.patients where patient_id = 1002 for update",
    )
    .await;
    // A patient and a single visit, too.
    run(
        &mut staff,
        "begin; set local search_path = partner_api, public; set local partner_api.writing = 'ours';
        update patient_data set lname = 'Later';
        select partner_api.bridge_note('bridge_apply_patient', array[1001, 1002, 1003], 'deferred', false); \
        commit",
    )
    .await;
    let applied = ends("the retry", bridge::catch_up(&office.db, || true)).await.unwrap();
    assert_eq!((applied, office.integer(APPLIED).await), (603, 600));
    assert_eq!(office.integer("select count(*) from patients where last_name = 'Later'").await, 2);
    assert_eq!(office.integer(WAITING).await, 301);
    // Neither a repair, here with one more event below the open booking, nor a booking waits.
    run(
        &mut staff,
        &format!(
            "begin; set local partner_api.writing = 'ours'; {}; commit",
            event(5, "1", "1001", "2032-04-10", "10:20", 5)
        ),
    )
    .await;
    ends("the repair", bridge::load(&office.db, false, |_| true)).await.unwrap();
    assert_eq!(office.integer(WAITING).await, 301);
    let visit = json!({ "PatientID": 1003, "ProviderID": 1, "VisitType": "FOLLOWUP",
        "VisitDate": "2026-03-10",
        "VisitTime": "10:00", "VisitDuration": 30 });
    ends("the booking", office.post("/v1/DemoOffice/visits/book", &visit)).await.expect(201);
    run(&mut locker, "rollback").await;
    for _ in 0..4 {
        bridge::catch_up(&office.db, || true).await.unwrap();
    }
    assert_eq!((office.integer(WAITING).await, office.integer(APPLIED).await), (0, 900));
    clean(&office).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_ends_with_its_time_budget_and_leaves_the_rest_untouched() {
    let (office, mut staff) = attached().await;
    moved(&office, &mut staff, 400).await;
    run_sql(
        &office.db,
        "create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(0.02); \
        return new; end $$;
        create trigger slow before update on visits for each row execute function slow()",
    )
    .await;
    let applied = office.integer("select bridge_catch_up(500, null, '300 ms')").await;
    assert!((1..400).contains(&applied), "{applied}");
    assert_eq!(office.integer(WAITING).await, 400 - applied);
    let untouched = "select count(*) from bridge_failures where attempts = 1 and tried_at is null";
    assert_eq!(office.integer(untouched).await, 400 - applied);
    run_sql(&office.db, "drop function slow() cascade").await;
    assert_eq!(bridge::catch_up(&office.db, || true).await.unwrap(), 400 - applied);
    clean(&office).await;
}

/// A change whose key the bridge cannot read.
async fn unknown(staff: &mut sqlx::PgConnection, time: &str) {
    run(staff, "alter table openemr_postcalendar_events rename pc_eid to other").await;
    run(staff, &event(5, "1", "1002", "2026-03-10", time, 30)).await;
    run(staff, "alter table openemr_postcalendar_events rename other to pc_eid").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_whole_comparison_clears_an_unidentified_missed_change() {
    let (office, mut staff) = attached().await;
    unknown(&mut staff, "10:00").await;
    let known = "select count(*) from bridge_failures where key = 0";
    let visit = json!({ "PatientID": 1001, "ProviderID": 1, "VisitType": "FOLLOWUP",
        "VisitDate": "2026-03-10",
        "VisitTime": "10:15", "VisitDuration": 30 });
    for _ in 0..2 {
        bridge::catch_up(&office.db, || true).await.unwrap();
        assert_eq!(office.integer(known).await, 1, "a retry cannot know it");
        assert_eq!(office.post("/v1/DemoOffice/visits/book", &visit).await.status.as_u16(), 503);
        // A comparison of some rows does not, either.
        bridge::load(&office.db, false, |_| false).await.unwrap();
    }
    bridge::load(&office.db, false, |_| true).await.unwrap();
    clean(&office).await;
    assert_eq!(
        office.post("/v1/DemoOffice/visits/book", &visit).await.expect(409)["code"],
        "PROVIDER_CONFLICT"
    );

    // What is missed after a comparison has passed it stays known until the next one.
    run(&mut staff, &event(5, "1", "1002", "2026-03-11", "10:00", 30)).await;
    run_sql(&office.db, "update bridge set turn = 1, after = -1, went_on_at = null").await;
    while office.integer("select count(*) from bridge where turn = 5 and after >= 0").await == 0 {
        run_sql(&office.db, "select bridge_go_on(1, false)").await;
    }
    unknown(&mut staff, "12:00").await;
    while office.integer("select count(*) from bridge where went_on_at is not null").await == 1 {
        run_sql(&office.db, "select bridge_go_on(1, false)").await;
    }
    assert_eq!(office.integer(known).await, 1);
    // The same for one that could not be recorded with the others.
    run_sql(
        &office.db,
        "insert into bridge_late (apply, key, message) values ('bridge_apply_event', 0, 'late')",
    )
    .await;
    bridge::catch_up(&office.db, || true).await.unwrap();
    assert_eq!(office.integer("select count(*) from bridge_late").await, 1);
    bridge::load(&office.db, false, |_| true).await.unwrap();
    clean(&office).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_keeps_failures_that_were_recorded_while_it_ran() {
    let (office, mut staff) = attached().await;
    moved(&office, &mut staff, 3).await;
    // The repair is in the middle of its transaction until there is a row in `go`.
    run_sql(
        &office.db,
        "delete from bridge_failures; create table go (n int);
        create function waits() returns trigger language plpgsql as $$ begin
            while not exists (select 1 from go) loop perform pg_sleep(0.01); end loop;
            return new;
        end $$;
        create trigger waits before update on visits for each row execute function waits()",
    )
    .await;
    let mut repair = emr(office.dsn()).await;
    let repairing = tokio::spawn(async move {
        run(
            &mut repair,
            "set search_path = partner_api; update bridge set turn = 5, after = -1, went_on_at = now(); \
            select bridge_go_on(1000, false)",
        )
        .await;
    });
    let locked = "select count(*) from visits where visit_id not in (select visit_id from visits for update \
        skip locked)";
    eventually("the repair", async || (office.integer(locked).await == 3).then_some(())).await;
    run(&mut staff, "update openemr_postcalendar_events set \"pc_startTime\" = '12:00'").await;
    run_sql(&office.db, "insert into go values (1)").await;
    ends("the repair", repairing).await.unwrap();
    let recorded = "select (select count(*) from bridge_failures) + (select count(*) from bridge_late)";
    assert!(office.integer(recorded).await > 0);
    run_sql(&office.db, "drop function waits() cascade").await;
    bridge::catch_up(&office.db, || true).await.unwrap();
    clean(&office).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_program_waits_for_the_others_patient_number() {
    let (office, mut staff) = attached().await;
    let number = "insert into patient_data (pid, fname, lname) select max(pid) + 1, 'New', 'Of Staff' \
        from patient_data";
    // The API's transaction is open: the EMR's next number is free.
    let mut api = emr(office.dsn()).await;
    run(
        &mut api,
        "set search_path = partner_api; begin; insert into patients (patient_id, first_name, last_name, \
        full_name, created_at, updated_at)
        values (1, 'New', 'Of Api', 'New Of Api', now(), now())",
    )
    .await;
    run(&mut staff, &format!("set lock_timeout = '1s'; {number}")).await;
    run(&mut api, "commit").await;
    run(&mut staff, number).await;
    // The EMR's transaction is open, with all numbers near: the API takes another one.
    run(&mut staff, &format!("begin; {number}; {number}; {number}")).await;
    let new = json!({ "FirstName": "Zoe", "LastName": "Quist", "EMail": "zoe@example.com" });
    ends("the new patient", office.post("/v1/DemoOffice/prospects", &new)).await.expect(201);
    run(&mut staff, "commit").await;
    // If the table is very large, the API gives up early with 503, and the EMR is not affected.
    run(&mut staff, &format!("begin; {}", vec![number; 40].join(";"))).await;
    let refused = ends("the new patient", office.post("/v1/DemoOffice/prospects", &new)).await;
    assert_eq!(refused.status.as_u16(), 503, "{}", refused.body);
    run(&mut staff, "rollback").await;
    let limit = text(&mut staff, "select current_setting('lock_timeout')").await;
    assert_eq!(limit, "1s", "the EMR's own limit is unchanged");
    clean(&office).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partners_get_an_event_for_each_visit_deleted_with_its_patient() {
    let (office, mut staff) = attached().await;
    for (time, code) in [("10:00", "-"), ("11:00", "-"), ("12:00", "x")] {
        run(&mut staff, &event(5, "1", "1002", "2031-03-10", time, 30)).await;
        run(
            &mut staff,
            &format!(
                "update openemr_postcalendar_events set pc_apptstatus = '{code}' where \"pc_startTime\" = \
                '{time}'"
            ),
        )
        .await;
    }
    // One event is deleted first, one together with its patient; the third stays as time off.
    run(&mut staff, "delete from openemr_postcalendar_events where \"pc_startTime\" = '10:00'").await;
    run(&mut staff, "delete from patient_data where pid = 1002").await;
    run(&mut staff, "delete from openemr_postcalendar_events where \"pc_startTime\" = '11:00'").await;
    let told = "select string_agg(action || ' ' || record_id - (select min(record_id) from partner_api.log \
        where table_name = 'visits'), ', ' order by log_id) from partner_api.log where table_name = 'visits' \
        and action = 'delete'";
    assert_eq!(text(&mut staff, told).await, "delete 0, delete 1, delete 2", "each once");
    let patients = "select string_agg(action, ', ') from partner_api.log where table_name = 'patients'";
    assert_eq!(text(&mut staff, patients).await, "delete");
    crate::webhooks::sign_up(&office, "https://partner.example.com/hook", &["Encounters", "Patients"]).await;
    run(&mut staff, &event(5, "1", "1003", "2031-03-11", "10:00", 30)).await;
    crate::pipeline::poll(&office).await;
    let before = crate::pipeline::queued(&office).await.len();
    run(&mut staff, "delete from patient_data where pid = 1003").await;
    crate::pipeline::poll(&office).await;
    assert_eq!(crate::pipeline::queued(&office).await.len(), before + 2, "of the visit and of the patient");
    run(&mut staff, "delete from openemr_postcalendar_events").await;
    clean(&office).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_a_visit_although_its_patient_still_waits_to_be_applied() {
    let (office, mut staff) = attached().await;
    let mut migration = emr(office.dsn()).await;
    run(&mut migration, "begin; lock table partner_api.patients in access exclusive mode").await;
    run(&mut staff, "insert into patient_data (pid, fname, lname) values (2000, 'New', 'Patient')").await;
    run(&mut migration, "commit").await;
    assert_eq!(office.integer("select count(*) from bridge_failures where key = 2000").await, 1);
    run(&mut staff, &event(5, "1", "2000", "2031-03-10", "10:00", 30)).await;
    assert_eq!(office.integer("select count(*) from visits where patient_id = 2000").await, 1);
    // The same of many at once, as an import writes them.
    let import = "alter table patient_data disable trigger user;
        insert into patient_data (pid, fname, lname) select 3000 + n, 'P', 'Q' from generate_series(1, 40) n;
        alter table patient_data enable trigger user;
        insert into openemr_postcalendar_events (pc_catid, pc_aid, pc_pid, \"pc_eventDate\", pc_duration, \
            \"pc_startTime\")
        select 5, '1', 3000 + n, date '2031-04-01' + n, 1800, '10:00' from generate_series(1, 40) n";
    run(&mut staff, import).await;
    bridge::catch_up(&office.db, || true).await.unwrap();
    assert_eq!(office.integer("select count(*) from visits where patient_id > 3000").await, 40);
    assert_eq!(office.integer("select count(*) from schedule_exceptions").await, 0);
    clean(&office).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_a_user_who_is_entered_after_them_take_time() {
    let (office, mut staff) = attached().await;
    run(&mut staff, &event(5, "300", "1001", "2031-03-10", "10:00", 30)).await;
    run(&mut staff, &event(8, "300", "", "2031-03-10", "12:00", 60)).await;
    run(&mut staff, "insert into users (id, fname, lname, authorized) values (300, 'Late', 'User', 1)").await;
    assert_eq!(office.integer("select count(*) from visits where provider_id = 300").await, 1);
    assert_eq!(office.integer("select count(*) from schedule_exceptions where provider_id = 300").await, 1);
    clean(&office).await;
}

/// The retry holds the records of the rows that it applies, and the rows themselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_does_not_wait_for_a_retry_in_progress() {
    let (office, mut staff) = attached().await;
    let mut retry = emr(office.dsn()).await;
    moved(&office, &mut staff, 3).await;
    run(&mut retry, "set search_path = partner_api, public; begin; select bridge_catch_up(500)").await;
    ends("the repair", bridge::load(&office.db, false, |_| true)).await.unwrap();
    assert_eq!(office.integer(APPLIED).await, 0, "the retry has not ended");
    run(&mut retry, "commit").await;
    assert_eq!(office.integer(APPLIED).await, 3);
    bridge::catch_up(&office.db, || true).await.unwrap();
    clean(&office).await;
}
