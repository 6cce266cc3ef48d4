//! Visits that a practice deliberately places over others: they occupy their time and restrict only
//! the API's callers.

use serde_json::{Value, json};
use shared::sql::{Constraint, Error};

use crate::office::{Office, on_both_databases};

const PROVIDER: &str = "/v1/DemoOffice/availability/providers/1";

/// Writes a visit on 2026-03-10 as a program of the practice does.
async fn write(
    office: &Office,
    bound: bool,
    id: i64,
    people: (i64, i64, &str),
    time: &str,
) -> Result<(), Constraint> {
    let (patient, provider, room) = people;
    let bound = if office.is_postgres().await { bound.to_string() } else { i64::from(bound).to_string() };
    let written = office
        .try_sql(&format!(
            "insert into visits (visit_id, patient_id, provider_id, room_id, visit_type, visit_date, \
                visit_time, visit_duration, bound)
             values ({id}, {patient}, {provider}, {room}, 'Consult', '2026-03-10', '{time}', 30, {bound})"
        ))
        .await;
    refusal(written)
}

fn refusal(written: Result<(), Error>) -> Result<(), Constraint> {
    match written {
        Ok(()) => Ok(()),
        Err(Error::Refused(constraint)) => Err(constraint),
        Err(error) => panic!("{error:?}"),
    }
}

async fn change(office: &Office, id: i64, columns: &str) -> Result<(), Constraint> {
    let columns = if office.is_postgres().await {
        columns.to_owned()
    } else {
        columns.replace("bound = true", "bound = 1").replace("bound = false", "bound = 0")
    };
    refusal(office.try_sql(&format!("update visits set {columns} where visit_id = {id}")).await)
}

async fn reason(office: &Office, time: &str) -> Value {
    let query = format!("{PROVIDER}/check?date=2026-03-10&time={time}&duration=30");
    office.get(&query).await.expect(200)["data"]["Reason"].clone()
}

fn visit(patient: i64, provider: i64, time: &str) -> Value {
    json!({ "PatientID": patient, "ProviderID": provider, "VisitType": "Consult", "VisitDate": "2026-03-10",
        "VisitTime": time, "VisitDuration": 30 })
}

async fn book(office: &Office, patient: i64, provider: i64, time: &str) -> (u16, String) {
    let reply = office.post("/v1/DemoOffice/visits/book", &visit(patient, provider, time)).await;
    let status = reply.status.as_u16();
    let body = reply.expect(status);
    let conflicts =
        body["conflicts"].as_array().into_iter().flatten().map(|it| it["code"].as_str().unwrap_or_default());
    (status, conflicts.collect::<Vec<_>>().join(" "))
}

async fn an_unbound_visit_may_overlap_any_other_but_no_bound_visit_may_overlap_it(office: Office) {
    // Each of the three that a visit occupies: provider, room and patient.
    let same = [
        ((1002, 1, "102"), Constraint::ProviderFree),
        ((1002, 2, "101"), Constraint::RoomFree),
        ((1001, 2, "102"), Constraint::PatientFree),
    ];
    let all = (1001, 1, "101");
    for first_is_bound in [true, false] {
        write(&office, first_is_bound, 1, all, "10:00").await.unwrap();
        for (people, constraint) in same {
            let refused = write(&office, true, 2, people, "10:15").await;
            assert_eq!(refused, Err(constraint), "{first_is_bound}");
            write(&office, false, 2, people, "10:15").await.unwrap();
            assert_eq!(change(&office, 2, "bound = true").await, Err(constraint), "{first_is_bound}");
            // Where it overlaps nothing it may be bound, and then it is.
            change(&office, 2, "bound = true, visit_time = '11:00'").await.unwrap();
            assert_eq!(change(&office, 2, "visit_time = '10:29'").await, Err(constraint));
            change(&office, 2, "visit_time = '10:30'").await.unwrap();
            change(&office, 2, "visit_time = '09:30'").await.unwrap();
            office.sql("delete from visits where visit_id = 2").await;
        }
        office.sql("delete from visits").await;
    }
}
on_both_databases!(an_unbound_visit_may_overlap_any_other_but_no_bound_visit_may_overlap_it);

async fn a_bound_visit_under_an_overlap_can_still_be_changed(office: Office) {
    write(&office, true, 1, (1001, 1, "101"), "10:00").await.unwrap();
    write(&office, false, 2, (1001, 1, "101"), "10:15").await.unwrap();
    for columns in [
        "status = 'Confirmed'",
        "visit_notes = 'overbooked'",
        "status = 'Arrived'",
        "visit_date = '2026-03-10'",
    ] {
        change(&office, 1, columns).await.unwrap();
    }
    // It cannot move onto the other one, or return to where that one is now.
    assert_eq!(change(&office, 1, "visit_time = '10:05'").await, Err(Constraint::ProviderFree));
    change(&office, 1, "status = 'Cancelled'").await.unwrap();
    assert_eq!(change(&office, 1, "status = 'Scheduled'").await, Err(Constraint::ProviderFree));
    change(&office, 2, "status = 'NoShow'").await.unwrap();
    change(&office, 1, "status = 'Scheduled'").await.unwrap();
    // It does not restrict the other one either, which is unbound.
    change(&office, 2, "status = 'Scheduled'").await.unwrap();
    change(&office, 2, "visit_time = '10:00', visit_duration = 60").await.unwrap();
}
on_both_databases!(a_bound_visit_under_an_overlap_can_still_be_changed);

async fn the_api_never_books_the_time_of_overlapping_visits(office: Office) {
    write(&office, true, 1, (1001, 1, "101"), "10:00").await.unwrap();
    write(&office, false, 2, (1002, 1, "101"), "10:15").await.unwrap();
    write(&office, false, 3, (1002, 1, "101"), "13:00").await.unwrap();
    assert_eq!(reason(&office, "10:00").await, "BOOKED");
    assert_eq!(reason(&office, "10:30").await, "BOOKED", "the second takes until 10:45");
    assert_eq!(reason(&office, "10:45").await, Value::Null);
    assert_eq!(reason(&office, "13:15").await, "BOOKED");
    let slots = office.get(&format!("{PROVIDER}/slots?date=2026-03-10&duration=30")).await;
    let slots = slots.expect(200)["data"].to_string();
    for (time, is_free) in
        [("09:30", true), ("10:30", false), ("10:45", true), ("13:00", false), ("13:30", true)]
    {
        assert_eq!(slots.contains(time), is_free, "{time}: {slots}");
    }
    let schedule = office
        .get("/v1/DemoOffice/availability/providers/1/schedule?startDate=2026-03-10&endDate=2026-03-10")
        .await;
    let schedule = schedule.expect(200)["data"].to_string();
    assert_eq!(schedule.matches("\"VisitID\"").count(), 3, "{schedule}");

    assert_eq!(book(&office, 1003, 1, "13:15").await, (409, "PROVIDER_CONFLICT".to_owned()));
    assert_eq!(book(&office, 1002, 2, "13:15").await, (409, "PATIENT_CONFLICT".to_owned()));
    // Both rooms are occupied by unbound visits.
    write(&office, false, 4, (1001, 1, "102"), "13:00").await.unwrap();
    assert_eq!(book(&office, 1003, 2, "13:15").await, (409, "RESOURCE_CONFLICT".to_owned()));
    assert_eq!(book(&office, 1003, 2, "13:30").await.0, 201);
}
on_both_databases!(the_api_never_books_the_time_of_overlapping_visits);

async fn a_visit_that_the_api_moves_overlaps_nothing_and_becomes_bound(office: Office) {
    write(&office, true, 1, (1001, 1, "101"), "10:00").await.unwrap();
    write(&office, false, 2, (1002, 1, "102"), "10:00").await.unwrap();
    let reschedule = async |time: &str| {
        let to = json!({ "VisitDate": "2026-03-10", "VisitTime": time });
        office.post("/v1/DemoOffice/visits/2/reschedule", &to).await.status.as_u16()
    };
    assert_eq!(reschedule("10:15").await, 409);
    assert_eq!(reschedule("11:00").await, 200);
    assert_eq!(write(&office, true, 3, (1003, 1, "101"), "11:15").await, Err(Constraint::ProviderFree));
    // A visit that the API cancels frees its time even if another one overlaps it.
    write(&office, false, 3, (1003, 1, "101"), "11:00").await.unwrap();
    let cancelled = office.post("/v1/DemoOffice/visits/3/cancel", &json!({})).await;
    assert_eq!(cancelled.status.as_u16(), 200);
    assert_eq!(change(&office, 2, "visit_time = '11:01'").await, Ok(()));
}
on_both_databases!(a_visit_that_the_api_moves_overlaps_nothing_and_becomes_bound);

async fn visits_are_bound_by_default(office: Office) {
    office
        .sql(
            "insert into visits (visit_id, patient_id, provider_id, visit_type, visit_date, visit_time, \
        visit_duration)
        values (1, 1001, 1, 'FOLLOWUP', '2026-03-10', '10:00', 30)",
        )
        .await;
    let bound = office.integer("select count(*) from visits where bound").await;
    assert_eq!(bound, 1);
    assert_eq!(write(&office, true, 2, (1002, 1, "101"), "10:00").await, Err(Constraint::ProviderFree));
}
on_both_databases!(visits_are_bound_by_default);
