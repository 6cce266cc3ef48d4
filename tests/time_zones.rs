//! Time-zone rules change, and practices are registered with the wrong zone: local times stay,
//! instants follow.

use jiff::SignedDuration;
use migrate::{MigrateResponse, Status, Task};
use serde_json::json;
use shared::domain::{PracticePass, ids::VisitId, zones};

use crate::office::{Engine, Office, on_both_databases};

const PROVIDER: &str = "/v1/DemoOffice/availability/providers/1";

async fn migrate(office: &Office) -> MigrateResponse {
    let task = Task { practices: vec!["DemoOffice".into()], ..Task::default() };
    let deadline = office.app.clock.now() + SignedDuration::from_mins(15);
    let answer = migrate::run(&office.app, task, deadline).await;
    let outcome = &answer.results[0].outcome;
    assert_ne!(outcome.status, Status::Failed, "{outcome:?}");
    answer
}

/// The previous rules: daylight saving time never ended. The compiled ones are set aside.
const OLD_RULES: &str = "create table compiled_offsets as select * from zone_offsets;
    delete from zone_offsets;
    insert into zone_offsets (local_from, utc_offset) values (-9000000000000, -14400);
    update tenant_identity set tzdata = '2025a';";
const NEW_RULES: &str = "delete from zone_offsets; insert into zone_offsets select * from compiled_offsets;";

fn visit(id: i64, provider: i64, patient: i64, time: &str, minutes: i64) -> String {
    format!(
        "insert into visits (visit_id, patient_id, provider_id, visit_type, visit_date, visit_time, \
            visit_duration)
         values ({id}, {patient}, {provider}, 'FOLLOWUP', '2026-12-01', '{time}', {minutes});"
    )
}

/// 10:00 in New York on 2026-12-01.
const TEN: i64 = 1_796_137_200;

async fn start(office: &Office, id: i64) -> i64 {
    office.integer(&format!("select (starts_at - {TEN}) / 60 from visits where visit_id = {id}")).await
}

/// Databases from before `0011` read fewer dates.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn visits_with_newly_readable_dates_are_placed_or_reported() {
    let office = Office::open(Engine::Sqlite).await;
    let view = include_str!("../shared/migrations/sqlite/0010_dates_with_rests.sql");
    let view = &view[view.find("drop view").unwrap()..view.find("-- Visits whose date").unwrap()];
    office.sql(view).await;
    let american = |id, patient, time| visit(id, 1, patient, time, 60).replace("2026-12-01", "12/1/2026");
    let number = visit(4, 1, 1001, "17:00", 60).replace("2026-12-01", "46357");
    let rows =
        [visit(1, 1, 1001, "10:00", 60), american(2, 1002, "10:30"), american(3, 1003, "15:00"), number];
    office.sql(&rows.concat()).await;
    let undated = "select count(*) from visits where local_day is null";
    assert_eq!(office.integer(undated).await, 2, "the number is a day before the year 1");
    office.sql("delete from _sqlx_migrations where version = 11").await;
    let outcome = &migrate(&office).await.results[0].outcome;
    let reported: Vec<_> = outcome.collisions.iter().map(|it| (it.visit, it.with.clone())).collect();
    assert_eq!(reported, [(VisitId(2), vec![VisitId(1)])]);
    assert_eq!((start(&office, 2).await, start(&office, 3).await), (30, 300));
    assert_eq!(office.integer(undated).await, 1, "the number is no longer a date");
    office.try_sql(&visit(5, 1, 1001, "15:30", 60)).await.expect_err("under the constraints again");
}

async fn set_time_zone(office: &Office, practice: &PracticePass, time_zone: &str) {
    let write = office.app.control.time_zone_write(practice, time_zone).unwrap();
    office.app.control.transact(vec![write]).await.unwrap();
}

async fn changed_zone_rules_update_instants_and_report_overlapping_visits(office: Office) {
    let office: Office = office;
    office.sql(OLD_RULES).await;
    let rows = [
        // Each one moves to the place of the next one.
        visit(1, 1, 1001, "10:00", 60),
        visit(2, 1, 1002, "11:00", 60),
        visit(3, 1, 1003, "12:00", 60),
        visit(4, 2, 1001, "14:00", 60),
        visit(5, 2, 1002, "16:30", 30),
    ];
    office.sql(&rows.concat()).await;
    // Past before the change, but written with the previous rules.
    office
        .sql(
            "insert into visits (visit_id, patient_id, provider_id, visit_type, visit_date, visit_time, \
        visit_duration)
        values (9, 1003, 2, 'FOLLOWUP', '2026-01-13', '10:00', 30)",
        )
        .await;
    assert_eq!((start(&office, 1).await, start(&office, 4).await), (-60, 180));
    office.sql(NEW_RULES).await;
    // Booked with the new rules, at the local time of the fourth visit.
    office.sql(&visit(6, 2, 1003, "14:30", 60)).await;

    let outcome = &migrate(&office).await.results[0].outcome;
    let reported: Vec<_> = outcome.collisions.iter().map(|it| (it.visit, it.with.clone())).collect();
    assert_eq!(reported, [(VisitId(4), vec![VisitId(6)])]);
    for (id, minutes) in [(1, 0), (2, 60), (3, 120), (4, 240), (5, 390), (6, 270)] {
        assert_eq!(start(&office, id).await, minutes, "visit {id}");
    }
    let ten = "select count(*) from visits where visit_id = 9 and starts_at = 1768312800";
    assert_eq!(office.integer(ten).await, 1, "a past visit stays unchanged");
    assert_eq!(office.integer("select count(*) from visits where overlap_allowed").await, 1);
    let version = format!("select count(*) from tenant_identity where tzdata = '{}'", zones::version());
    assert_eq!(office.integer(&version).await, 1);
    // Both overlapping visits keep their times.
    for time in ["14:00", "14:15", "15:15"] {
        let check =
            format!("/v1/DemoOffice/availability/providers/2/check?date=2026-12-01&time={time}&duration=15");
        assert_eq!(office.get(&check).await.expect(200)["data"]["Reason"], "BOOKED", "{time}");
    }
    let again = migrate(&office).await;
    assert_eq!(again.results[0].outcome.status, Status::Current);
    assert_eq!(again.results[0].outcome.collisions, outcome.collisions, "until somebody moves one of them");
    // The constraints apply to everything else.
    office.try_sql(&visit(7, 1, 1001, "10:30", 30)).await.unwrap_err();
    office.sql("update visits set visit_time = '09:00' where visit_id = 6").await;
    assert_eq!(migrate(&office).await.results[0].outcome.collisions, []);
    assert_eq!(office.integer("select count(*) from visits where overlap_allowed").await, 0);
    office.try_sql(&visit(8, 2, 1003, "14:30", 30)).await.unwrap_err();
}
on_both_databases!(changed_zone_rules_update_instants_and_report_overlapping_visits);

async fn a_corrected_time_zone_keeps_local_times_and_reaches_warm_functions(office: Office) {
    let mut office: Office = office;
    let body = json!({ "PatientID": 1001, "ProviderID": 1, "VisitType": "FOLLOWUP", "VisitDate": "2026-03-10",
        "VisitTime": "10:00", "VisitDuration": 30 });
    let id = office.post("/v1/DemoOffice/visits/book", &body).await.expect(201)["data"]["VisitID"].clone();
    let instant = format!("select starts_at - 1773115200 from visits where visit_id = {id}");
    assert_eq!(office.integer(&instant).await, 36_000);
    let practice = PracticePass::try_from("DemoOffice").unwrap();
    set_time_zone(&office, &practice, "America/Chicago").await;
    // If the registry and the database disagree, the database's own zone applies, in a newly
    // started process, too.
    office.answer_with(office.another_app(|_| ()));
    let check = format!("{PROVIDER}/check?date=2026-03-10&time=10:00&duration=30");
    assert_eq!(office.get(&check).await.expect(200)["data"]["Reason"], "BOOKED");
    let outcome = &migrate(&office).await.results[0].outcome;
    assert_eq!((outcome.status, outcome.collisions.len()), (Status::Migrated, 0));
    assert_eq!(office.integer(&instant).await, 36_000 + 3600);
    // This process has the database open with the previous zone.
    office.get(&check).await.expect_problem(503, "UNAVAILABLE");
    assert_eq!(office.get(&check).await.expect(200)["data"]["Reason"], "BOOKED");
    let reply = office.get(&format!("/v1/DemoOffice/visits/{id}")).await;
    assert_eq!(reply.expect(200)["data"]["VisitTime"], "10:00:00");
}
on_both_databases!(a_corrected_time_zone_keeps_local_times_and_reaches_warm_functions);

#[tokio::test]
async fn an_unknown_time_zone_is_rejected() {
    let office = Office::open(Engine::Sqlite).await;
    let practice = PracticePass::try_from("DemoOffice").unwrap();
    set_time_zone(&office, &practice, "Nowhere/At_All").await;
    let task = Task { practices: vec!["DemoOffice".into()], ..Task::default() };
    let deadline = office.app.clock.now() + SignedDuration::from_mins(15);
    let answer = migrate::run(&office.app, task, deadline).await;
    assert_eq!(answer.results[0].outcome.status, Status::Failed);
    let kept = "select count(*) from tenant_identity where time_zone = 'America/New_York'";
    assert_eq!(office.integer(kept).await, 1);
}

#[tokio::test]
async fn health_returns_the_version_of_the_compiled_time_zones() {
    let office = Office::open(Engine::Sqlite).await;
    let reply = office.call("GET", "/v1/health", &[], None).await;
    assert_eq!(reply.expect(200)["tzdata"], zones::version());
}

async fn a_database_that_lost_its_practice_is_not_recreated(office: Office) {
    migrate(&office).await;
    office.sql("alter table tenant_identity rename to lost_identity").await;
    let task = Task { practices: vec!["DemoOffice".into()], ..Task::default() };
    let deadline = office.app.clock.now() + SignedDuration::from_mins(15);
    let answer = migrate::run(&office.app, task, deadline).await;
    let error = answer.results[0].outcome.error.clone().unwrap();
    assert!(error.contains("restore it there first"), "{error}");
    let task = json!({ "check": { "practice": "DemoOffice" } });
    let answer = migrate::run(&office.app, serde_json::from_value(task).unwrap(), deadline).await;
    let error = answer.results[0].outcome.error.clone().unwrap();
    assert!(error.contains("restore it there first"), "{error}");
    office.sql("alter table lost_identity rename to tenant_identity").await;
    migrate(&office).await;
}
on_both_databases!(a_database_that_lost_its_practice_is_not_recreated);
