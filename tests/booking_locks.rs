//! A booking waits only for others that need the same provider, patient or room.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use shared::{
    sql::{Conn, ServerTimeouts, Timeouts, Transaction},
    tenant::{Practices, bridge},
};
use sqlx::AssertSqlSafe;

use crate::office::{Engine, Office, ends, eventually, mariadb, timeouts};

const BOOK: &str = "/v1/DemoOffice/visits/book";

fn visit(provider: i64, patient: i64, kind: &str) -> Value {
    json!({ "PatientID": patient, "ProviderID": provider, "VisitType": kind, "VisitDate": "2026-03-10",
        "VisitTime": "10:00", "VisitDuration": 30 })
}

/// Returns the statement that marks a transaction on our tables as one of the EMR.
///
/// For an EMR on `MariaDB` that is a pull, which has applied a visit and not committed it.
fn as_the_emr() -> &'static str {
    if mariadb::is_attached() { "set local partner_api.writing = 'emr'; " } else { "" }
}

/// Returns the number of database sessions that wait for a lock.
async fn waiting(office: &Office) -> i64 {
    let sessions = "select count(*) from pg_stat_activity where datname = current_database() and \
        wait_event_type = 'Lock'";
    office.integer(sessions).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_uncommitted_emr_visit_delays_no_other_provider() {
    let office = Arc::new(Office::open(Engine::Postgres).await);
    office
        .sql(
            "insert into visit_type_providers (visit_type, provider_id) select 'Retired', 2; update \
        visit_types set active = true",
        )
        .await;
    let token: Arc<str> = office.token("all").await.into();
    let mut emr = office.db.begin().await.unwrap();
    if let Conn::Postgres(connection) = &mut emr.conn {
        // Provider 1, patient 1001 and room 101.
        let row =
            "insert into visits (patient_id, provider_id, room_id, visit_type, visit_date, visit_time, \
            visit_duration)
            values (1001, 1, 101, 'Consult', '2026-03-10', '10:00', 30)";
        sqlx::raw_sql(AssertSqlSafe(format!("{}{row}", as_the_emr())))
            .execute(&mut **connection)
            .await
            .unwrap();
    }
    // It needs the same provider, so it waits while holding its own locks.
    let first = tokio::spawn({
        let (office, token) = (office.clone(), token.clone());
        async move { office.send(&token, "POST", BOOK, Some(&visit(1, 1002, "FOLLOWUP"))).await }
    });
    eventually("the first booking to wait", async || (waiting(&office).await == 1).then_some(())).await;
    // Another booking for this provider waits for the first one.
    let second = tokio::spawn({
        let (office, token) = (office.clone(), token.clone());
        let mut body = visit(1, 1002, "FOLLOWUP");
        body["VisitTime"] = "13:00".into();
        async move { office.send(&token, "POST", BOOK, Some(&body)).await }
    });
    eventually("the second booking to wait", async || (waiting(&office).await == 2).then_some(())).await;
    let other = visit(2, 1003, "FOLLOWUP");
    ends("provider 2", office.send(&token, "POST", BOOK, Some(&other))).await.expect(201);
    let mut same_day = visit(2, 1003, "FOLLOWUP");
    same_day["VisitTime"] = "11:00".into();
    ends("provider 2 again", office.send(&token, "POST", BOOK, Some(&same_day))).await.expect(201);
    assert!(!first.is_finished() && !second.is_finished(), "the EMR has not committed");
    emr.end::<(), shared::sql::Error>(Ok(())).await.unwrap();
    ends("the first booking", first).await.unwrap().expect_problem(409, "PROVIDER_CONFLICT");
    ends("the second booking", second).await.unwrap().expect(201);
}

/// The first booking has its room and waits for the EMR.
///
/// The second waits for that room and has to choose again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_taken_by_a_concurrent_booking_is_replaced_by_another() {
    let office = Arc::new(Office::open(Engine::Postgres).await);
    let token: Arc<str> = office.token("all").await.into();
    let mut emr = office.db.begin().await.unwrap();
    if let Conn::Postgres(connection) = &mut emr.conn {
        let row =
            "insert into visits (patient_id, provider_id, visit_type, visit_date, visit_time, visit_duration)
            values (1001, 3, 'Consult', '2026-03-10', '10:00', 30)";
        sqlx::raw_sql(AssertSqlSafe(format!("{}{row}", as_the_emr())))
            .execute(&mut **connection)
            .await
            .unwrap();
    }
    let book = |provider, patient| {
        let (office, token) = (office.clone(), token.clone());
        let body = visit(provider, patient, "Consult");
        tokio::spawn(async move { office.send(&token, "POST", BOOK, Some(&body)).await })
    };
    let first = book(1, 1001);
    eventually("the first booking to wait", async || (waiting(&office).await == 1).then_some(())).await;
    let second = book(2, 1002);
    eventually("the second booking to wait", async || (waiting(&office).await == 2).then_some(())).await;
    emr.end::<(), shared::sql::Error>(Err(shared::sql::Error::CircuitOpen)).await.unwrap_err();
    for booking in [first, second] {
        ends("a booking", booking).await.unwrap().expect(201);
    }
    assert_eq!(office.integer("select count(distinct room_id) from visits").await, 2);
}

/// Opens an office that waits for locks up to this limit.
async fn with_lock_limit(lock: Duration) -> Office {
    let mut office = Office::open(Engine::Postgres).await;
    let server = ServerTimeouts { lock, ..timeouts::DATABASE.server.unwrap() };
    let limits = Timeouts { server: Some(server), ..timeouts::DATABASE };
    let app =
        office.another_app(|parts| parts.practices = Practices::for_background_work(8).with_timeouts(limits));
    office.answer_with(app);
    office
}

/// A transaction of the EMR, in the practice's database or on `MariaDB`.
enum Emr {
    Here(Transaction),
    Remote(mariadb::Session),
}

impl Emr {
    async fn commit(self) {
        match self {
            Self::Here(transaction) => transaction.end::<(), shared::sql::Error>(Ok(())).await.unwrap(),
            Self::Remote(mut session) => _ = session.run("commit;"),
        }
    }
}

/// Starts an EMR transaction with visits of provider 1 and patient 1001 at these times and rooms.
async fn uncommitted(office: &Office, visits: &[(&str, i64)]) -> Emr {
    if mariadb::is_attached() {
        let mut session = mariadb::Session::open(&mariadb::database_of(&office.db).await.unwrap());
        session.run("begin;");
        for (time, room) in visits {
            let row = format!(
                "insert into openemr_postcalendar_events (pc_catid, pc_aid, pc_pid, pc_eventDate, \
                    pc_startTime, pc_duration, pc_room)
                 values (5, '1', '1001', '2026-03-10', '{time}', 1800, 'r{}');",
                room - 100
            );
            assert_eq!(session.run(&row.replace('\n', " ")), 1);
        }
        return Emr::Remote(session);
    }
    let mut emr = office.db.begin().await.unwrap();
    let Conn::Postgres(connection) = &mut emr.conn else { panic!("not PostgreSQL") };
    for (time, room) in visits {
        let row = format!(
            "insert into visits (patient_id, provider_id, room_id, visit_type, visit_date, visit_time, \
                visit_duration)
             values (1001, 1, {room}, 'Consult', '2026-03-10', '{time}', 30)"
        );
        sqlx::raw_sql(AssertSqlSafe(row)).execute(&mut **connection).await.unwrap();
    }
    Emr::Here(emr)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_in_an_uncommitted_emr_visit_is_skipped_for_another() {
    // The bridge never waits for a transaction on `MariaDB`. While one adds visits to a day,
    // bookings of that day return 503, whatever their room (`bridges_mariadb::orphans`).
    if mariadb::is_attached() {
        return;
    }
    let office = with_lock_limit(Duration::from_secs(4)).await;
    let token = office.token("all").await;
    let book = async |provider, patient, time: &str| {
        let mut body = visit(provider, patient, "Consult");
        body["VisitTime"] = time.into();
        ends("a booking", office.send(&token, "POST", BOOK, Some(&body))).await
    };
    let moved = book(2, 1002, "16:00").await.expect(201)["data"]["VisitID"].clone();
    // This is the room with fewer visits.
    let emr = uncommitted(&office, &[("10:00", 102), ("14:00", 102)]).await;
    assert_eq!(book(2, 1003, "10:00").await.expect(201)["data"]["RoomID"], 101);
    let path = format!("/v1/DemoOffice/visits/{moved}/reschedule");
    let to = json!({ "VisitDate": "2026-03-10", "VisitTime": "14:00" });
    let reply = ends("a move", office.send(&token, "POST", &path, Some(&to))).await;
    assert_eq!(reply.expect(200)["data"]["RoomID"], 101);
    emr.commit().await;
    let twice =
        "select count(*) from visits a join visits b on a.room_id = b.room_id and a.visit_id < b.visit_id
        where a.starts_at < b.ends_at and b.starts_at < a.ends_at";
    assert_eq!(office.integer(twice).await, 0);
    assert_eq!(office.integer("select count(*) from visits").await, 4);
}

/// Until the EMR commits, it is unknown whether the room is taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_uncommitted_emr_visit_in_the_only_room_is_not_a_conflict() {
    let office = with_lock_limit(Duration::from_millis(400)).await;
    office.sql("delete from visit_type_resources where resource_id = 102").await;
    let token = office.token("all").await;
    let emr = uncommitted(&office, &[("10:00", 101)]).await;
    let body = visit(2, 1003, "Consult");
    let book = async || ends("a booking", office.send(&token, "POST", BOOK, Some(&body))).await;
    book().await.expect_problem(503, "UNAVAILABLE");
    emr.commit().await;
    bridge::pull(&office.db).await.unwrap();
    let told = book().await;
    told.expect_problem(409, "RESOURCE_CONFLICT");
    assert_eq!(told.body["conflicts"][0]["blocking"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_committed_by_the_emr_meanwhile_is_replaced_by_another() {
    let office = Arc::new(Office::open(Engine::Postgres).await);
    let token: Arc<str> = office.token("all").await.into();
    let moved = office.send(&token, "POST", BOOK, Some(&visit(2, 1002, "Consult"))).await;
    let moved = moved.expect(201)["data"]["VisitID"].clone();
    let meanwhile = async |time: &str, path: &str, body: Value| {
        let emr = uncommitted(&office, &[(time, 102)]).await;
        if mariadb::is_attached() {
            // The call does not wait; our tables do not have the EMR's visit yet.
            emr.commit().await;
            return ends("the call", office.send(&token, "POST", path, Some(&body))).await;
        }
        let (of_task, token, path) = (office.clone(), token.clone(), path.to_owned());
        let call = tokio::spawn(async move { of_task.send(&token, "POST", &path, Some(&body)).await });
        eventually("the call to wait", async || (waiting(&office).await == 1).then_some(())).await;
        emr.commit().await;
        ends("the call", call).await.unwrap()
    };
    let mut body = visit(2, 1003, "Consult");
    body["VisitTime"] = "11:00".into();
    assert_eq!(meanwhile("11:00", BOOK, body).await.expect(201)["data"]["RoomID"], 101);
    office.sql("delete from visits where room_id = 102").await;
    let to = json!({ "VisitDate": "2026-03-10", "VisitTime": "14:00" });
    let moved = meanwhile("14:00", &format!("/v1/DemoOffice/visits/{moved}/reschedule"), to).await;
    assert_eq!(moved.expect(200)["data"]["RoomID"], 101);
}
