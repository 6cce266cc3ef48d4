//! Bookings while our tables are behind the EMR's.

use serde_json::json;
use shared::tenant::bridge;
use sqlx::Executor;

use super::{BOOK, attached, book, clean, event, one, session};
use crate::{
    office::{Office, ends, eventually, mariadb},
    webhooks,
};

/// More changes of other days than a booking applies.
pub(super) const MANY: &str =
    "insert into openemr_postcalendar_events (pc_catid, pc_aid, pc_pid, pc_eventDate, \
    pc_duration, pc_startTime)
    select 5, '2', '1003', date '2031-01-01' + interval seq day, 1800, '10:00' from seq_1_to_60;";

/// Lunch of provider 1, every day of a week, at this time.
pub(super) fn series(time: &str) -> String {
    format!(
        "insert into openemr_postcalendar_events (pc_catid, pc_aid, pc_pid, pc_eventDate, pc_endDate, \
            pc_duration, pc_startTime, pc_recurrtype, pc_recurrspec)
         values (8, '1', '', '2026-03-07', '2026-03-13', 3600, '{time}', 1, \
            'a:5:{{s:17:\"event_repeat_freq\";s:1:\"1\";s:22:\"event_repeat_freq_type\";s:1:\"0\";}}');"
    )
}

async fn known(office: &Office) -> i64 {
    office.integer("select count(*) from visits where visit_date = '2026-03-10'").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn the_emrs_own_rows_decide_if_many_changes_wait() {
    let (office, emr) = attached().await;
    mariadb::run(
        &emr,
        &[
            MANY,
            &event(5, "1", "1001", "2026-03-10", "10:00", 30),
            &event(8, "1", "", "2026-03-10", "14:00", 60),
            &series("16:00"),
            // Five days off, which began two days before.
            &event(3, "2", "", "2026-03-08", "00:00", 5 * 1440),
        ]
        .concat(),
    );
    let taken = (409, "PROVIDER_CONFLICT".to_owned());
    for time in ["10:15", "14:30", "16:30"] {
        assert_eq!(book(&office, 1002, time).await, taken, "{time}");
    }
    let body = json!({ "PatientID": 1002, "ProviderID": 2, "VisitType": "FOLLOWUP", "VisitDate":
        "2026-03-10", "VisitTime": "11:00", "VisitDuration": 30 });
    office.post(BOOK, &body).await.expect_problem(409, "PROVIDER_CONFLICT");
    assert_eq!(known(&office).await, 0, "our tables are behind");
    assert_eq!(book(&office, 1002, "11:00").await.0, 201, "a free time can still be booked");
    assert_eq!(known(&office).await, 1);
    clean(&office).await;
    assert_eq!(known(&office).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn a_few_changes_are_applied_before_a_booking() {
    let (office, emr) = attached().await;
    mariadb::run(&emr, &format!("{}{}", series("16:00"), event(5, "2", "1003", "2026-03-10", "10:00", 30)));
    assert_eq!(book(&office, 1002, "16:30").await, (409, "PROVIDER_CONFLICT".to_owned()));
    assert_eq!(book(&office, 1003, "10:15").await, (409, "PATIENT_CONFLICT".to_owned()));
    assert_eq!(book(&office, 1002, "10:15").await.0, 201);
    assert_eq!(known(&office).await, 2);
    assert_eq!(office.integer("select count(*) from bridge_time_off").await, 7);
    clean(&office).await;
}

/// Its outbox row has a lower number than rows that are applied already, or one between theirs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn a_change_that_is_committed_late_is_not_overlooked() {
    let (office, emr) = attached().await;
    let mut late = mariadb::Session::open(&emr);
    for (earlier, time) in [(false, "16"), (true, "14")] {
        if earlier {
            mariadb::run(&emr, &event(5, "2", "1002", "2026-03-10", "09:00", 30));
        }
        late.run(&format!("begin; {}", series(&format!("{time}:00")).replace('\n', " ")));
        mariadb::run(&emr, &event(5, "2", "1003", "2026-03-10", &format!("{time}:30"), 30));
        assert_eq!(bridge::pull(&office.db).await.unwrap(), 1 + i64::from(earlier));
        late.run("commit;");
        let booked = book(&office, 1002, &format!("{time}:30")).await;
        assert_eq!(booked, (409, "PROVIDER_CONFLICT".to_owned()), "{earlier}");
        assert_eq!(bridge::pull(&office.db).await.unwrap(), 1);
        clean(&office).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn changes_that_cannot_be_applied_are_decided_by_the_emrs_own_rows() {
    let (office, emr) = attached().await;
    let mut session = session(&office).await;
    let broken = "create function refuses() returns trigger language plpgsql as $$ begin raise 'broken'; \
        end $$; create trigger refuses before insert on schedule_exceptions execute function refuses()";
    session.execute(broken).await.unwrap();
    mariadb::run(&emr, &series("16:00"));
    bridge::pull(&office.db).await.unwrap();
    assert_eq!(office.integer("select count(*) from bridge_failures").await, 1);
    assert_eq!(book(&office, 1002, "16:30").await, (409, "PROVIDER_CONFLICT".to_owned()));
    assert_eq!(book(&office, 1002, "11:00").await.0, 201);
    session.execute("drop function refuses() cascade").await.unwrap();
    clean(&office).await;
}

/// A practice without subscriptions is polled only a few times an hour.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn the_poller_applies_changes_of_a_practice_that_nobody_subscribes_to() {
    let (office, emr) = attached().await;
    mariadb::run(&emr, &event(5, "1", "1001", "2026-03-10", "10:00", 30));
    let practice = "DemoOffice".try_into().unwrap();
    let minute =
        (0..15).find(|shard| log_poller::Poll { shard: *shard, of: 15, once: false }.takes(&practice));
    let minute = minute.unwrap();
    office.set_time(&format!("2026-03-09T12:{minute:02}:00Z"));
    let deadline = office.app.clock.now() + std::time::Duration::from_secs(50);
    let run = Box::pin(async {
        let poll = log_poller::Poll { shard: 0, of: 1, once: false };
        log_poller::run(&office.app, poll, deadline, None).await.unwrap();
    });
    let ending = async {
        eventually("the visit", async || (known(&office).await == 1).then_some(())).await;
        office.set_time("2026-03-09T13:00:00Z");
    };
    ends("the run", Box::pin(async { tokio::join!(run, ending) })).await;
    clean(&office).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn the_poller_applies_changes_before_it_reads_the_log() {
    let (office, emr) = attached().await;
    webhooks::sign_up(&office, "https://partner.example.com/hook", &["Encounters"]).await;
    crate::pipeline::poll(&office).await;
    mariadb::run(&emr, &event(5, "1", "1001", "2026-03-10", "10:00", 30));
    crate::pipeline::poll(&office).await;
    assert_eq!(crate::pipeline::queued(&office).await.len(), 1, "the same poll sends the event");
    clean(&office).await;
}

/// The bridge reads the EMR's row when nobody else is changing ours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn a_pull_never_overwrites_what_the_api_writes_meanwhile() {
    let (office, emr) = attached().await;
    mariadb::run(&emr, &event(5, "1", "1001", "2026-03-10", "10:00", 30));
    bridge::pull(&office.db).await.unwrap();
    for (row, of_emr, of_api) in [
        (
            "patients where patient_id = 1001",
            "update patient_data set lname = 'Renamed' where pid = 1001",
            "update patients set phone = '555-0177' where patient_id = 1001",
        ),
        (
            "visits where visit_date = '2026-03-10'",
            "update openemr_postcalendar_events set pc_hometext = 'Late' where pc_pid = '1001'",
            "update visits set visit_time = '11:00' where visit_date = '2026-03-10'",
        ),
    ] {
        let mut api = session(&office).await;
        api.execute(sqlx::AssertSqlSafe(format!("begin; select 1 from {row} for update"))).await.unwrap();
        mariadb::run(&emr, of_emr);
        let db = office.db.clone();
        let pulling = tokio::spawn(async move { bridge::pull(&db).await.unwrap() });
        let waits = "select count(*) from pg_stat_activity where datname = current_database() and \
            wait_event_type = 'Lock'";
        eventually("the pull to wait", async || (office.integer(waits).await == 1).then_some(())).await;
        api.execute(of_api).await.unwrap();
        api.execute("commit").await.unwrap();
        assert_eq!(ends("the pull", pulling).await.unwrap(), 1);
        clean(&office).await;
    }
    let mut session = session(&office).await;
    let both = "select concat_ws(' ', last_name, phone) from patients where patient_id = 1001";
    assert_eq!(one(&mut session, both).await, "Renamed 555-0177");
    let both =
        "select concat_ws(' ', visit_time, visit_complaint) from visits where visit_date = '2026-03-10'";
    assert_eq!(one(&mut session, both).await, "11:00:00 Late");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn an_event_without_a_duration_takes_no_time_on_either_side() {
    let (office, emr) = attached().await;
    mariadb::run(&emr, &event(8, "1", "", "2026-03-10", "10:15", 0));
    bridge::pull(&office.db).await.unwrap();
    assert!(super::reason(&office, "10:00").await.is_null());
    assert_eq!(book(&office, 1001, "10:00").await.0, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn a_broken_duration_stops_neither_pulls_nor_bookings() {
    let (office, emr) = attached().await;
    let broken = event(8, "2", "", "2031-03-10", "10:00", 30).replace("30 * 60", "100000000000");
    mariadb::run(&emr, &format!("{broken}{}", event(5, "2", "1003", "2026-03-10", "10:00", 30)));
    assert_eq!(bridge::pull(&office.db).await.unwrap(), 2);
    assert_eq!(known(&office).await, 1);
    assert_eq!(book(&office, 1001, "11:00").await.0, 201);
}
