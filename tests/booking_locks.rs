//! A booking waits for nobody but those who want the same provider, patient or room.

use std::sync::Arc;

use serde_json::{Value, json};
use shared::tenant::Conn;

use crate::office::{Engine, Office, ends, eventually};

const BOOK: &str = "/v1/DemoOffice/visits/book";

fn visit(provider: i64, patient: i64, kind: &str) -> Value {
    json!({ "PatientID": patient, "ProviderID": provider, "VisitType": kind, "VisitDate": "2026-03-10",
        "VisitTime": "10:00", "VisitDuration": 30 })
}

/// Sessions of the database that wait for a lock.
async fn waiting(office: &Office) -> i64 {
    let sessions = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    office.integer(sessions).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_providers_are_booked_while_a_booking_waits_for_the_emrs_uncommitted_visit() {
    let office = Arc::new(Office::open(Engine::Postgres).await);
    office.sql("insert into visit_type_providers (visit_type, provider_id) select 'Retired', 2; update visit_types set active = true").await;
    let token: Arc<str> = office.token("all").await.into();
    let mut emr = office.db.begin().await.unwrap();
    if let Conn::Postgres(connection) = &mut emr.conn {
        // Provider 1, patient 1001 and room 101.
        let row = "insert into visits (patient_id, provider_id, room_id, visit_type, visit_date, visit_time, visit_duration)
            values (1001, 1, 101, 'Consult', '2026-03-10', '10:00', 30)";
        sqlx::raw_sql(row).execute(&mut **connection).await.unwrap();
    }
    // It wants the same provider and so holds its locks and waits.
    let first = tokio::spawn({
        let (office, token) = (office.clone(), token.clone());
        async move { office.send(&token, "POST", BOOK, Some(&visit(1, 1002, "FOLLOWUP"))).await }
    });
    eventually("the first booking to wait", async || (waiting(&office).await == 1).then_some(())).await;
    // Another one of this provider waits for the first.
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
    emr.end::<(), shared::tenant::Error>(Ok(())).await.unwrap();
    ends("the first booking", first).await.unwrap().expect_problem(409, "PROVIDER_CONFLICT");
    ends("the second booking", second).await.unwrap().expect(201);
}

/// The first booking has its room and waits for the EMR, the second waits for that room: it is looked at anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_somebody_takes_meanwhile_is_replaced_by_another_one() {
    let office = Arc::new(Office::open(Engine::Postgres).await);
    let token: Arc<str> = office.token("all").await.into();
    let mut emr = office.db.begin().await.unwrap();
    if let Conn::Postgres(connection) = &mut emr.conn {
        let row =
            "insert into visits (patient_id, provider_id, visit_type, visit_date, visit_time, visit_duration)
            values (1001, 3, 'Consult', '2026-03-10', '10:00', 30)";
        sqlx::raw_sql(row).execute(&mut **connection).await.unwrap();
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
    emr.end::<(), shared::tenant::Error>(Err(shared::tenant::Error::LetBe)).await.unwrap_err();
    for booking in [first, second] {
        ends("a booking", booking).await.unwrap().expect(201);
    }
    assert_eq!(office.integer("select count(distinct room_id) from visits").await, 2);
}
