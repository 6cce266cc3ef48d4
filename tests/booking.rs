//! Tests of booking, canceling and rescheduling visits.

use serde_json::{Value, json};

use crate::office::{Engine, Office, Reply, on_both_databases, statements::noted};

const BOOK: &str = "/v1/DemoOffice/visits/book";

fn visit() -> Value {
    json!({
        "PatientID": 1001, "ProviderID": 2, "VisitType": "Consult", "VisitDate": "2026-03-12",
        "VisitTime": "10:00:00", "VisitDuration": 30,
    })
}

/// The visit with some fields changed.
fn visit_with(changes: &Value) -> Value {
    let mut body = visit();
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

async fn book(office: &Office, changes: &Value) -> Reply {
    office.post(BOOK, &visit_with(changes)).await
}

fn conflicts(reply: &Reply) -> Vec<&str> {
    reply.body["conflicts"].as_array().unwrap().iter().map(|it| it["code"].as_str().unwrap()).collect()
}

async fn the_example_of_the_reference_is_booked_with_its_log_and_audit_rows(office: Office) {
    let office: Office = office;
    let reply = book(
        &office,
        &json!({ "VisitComplaint": "Follow-up", "ProviderTime": "10:00:00",
        "ProviderDuration": 30, "VisitNotes": "Booked via API" }),
    )
    .await;
    let id = reply.expect(201)["data"]["VisitID"].clone();
    assert!(id.is_i64());
    assert_eq!(
        reply.body,
        json!({
            "message": "Visit booked successfully",
            "data": {
                "VisitID": id, "PatientID": 1001, "ProviderID": 2, "VisitType": "Consult",
                "VisitDate": "2026-03-12", "VisitTime": "10:00:00", "VisitDuration": 30,
                "ProviderTime": "10:00:00", "ProviderDuration": 30, "RoomID": 101,
            },
        })
    );
    assert_eq!(
        office
            .integer(&format!(
                "select count(*) from log where table_name = 'visits' and action = \
        'insert' and record_id = {id}"
            ))
            .await,
        1
    );
    assert_eq!(
        office
            .integer(&format!(
                "select count(*) from audit_log where action = 'visits.book' and entity_ids = '{id}'"
            ))
            .await,
        1
    );
    let reply = office.get(&format!("/v1/DemoOffice/visits/{id}")).await;
    let data = &reply.expect(200)["data"];
    assert_eq!(
        (&data["Status"], &data["VisitNotes"], &data["RoomID"]),
        (&json!("Scheduled"), &json!("Booked via API"), &json!(101))
    );
    assert_eq!(data["CreatedAt"], "2026-03-09T12:00:00Z");
    assert_eq!(
        office
            .integer(&format!(
                "select count(*) from audit_log where action = 'visits.read' and entity_ids = '{id}'"
            ))
            .await,
        1
    );
    let reply = office.get("/v1/DemoOffice/visits/987654").await;
    reply.expect_problem(404, "NOT_FOUND");
}
on_both_databases!(the_example_of_the_reference_is_booked_with_its_log_and_audit_rows);

async fn visit_types_are_listed_with_their_providers_and_rooms(office: Office) {
    office.sql("update resources set active = false where resource_id = 102").await;
    let reply = office.get("/v1/DemoOffice/visit-types").await;
    assert_eq!(
        reply.expect(200),
        &json!({ "count": 2, "data": [
        { "VisitType": "Consult", "Active": true, "Bookable": true, "Providers": [1, 2], "Resources": [101] },
        { "VisitType": "FOLLOWUP", "Active": true, "Bookable": true, "Providers": [1, 2], "Resources": [] },
    ] })
    );
    let reply = office.get("/v1/DemoOffice/visit-types?includeInactive=true").await;
    assert_eq!(reply.expect(200)["count"], 3);
    assert_eq!(
        reply.body["data"][2],
        json!({
            "VisitType": "Retired", "Active": false, "Bookable": false, "Providers": [1], "Resources": [],
        })
    );
    office.get("/v1/DemoOffice/visit-types?includeInactive=maybe").await.expect_problem(400, "INVALID_QUERY");
}
on_both_databases!(visit_types_are_listed_with_their_providers_and_rooms);

async fn a_conflict_names_every_obstacle_without_patient_data(office: Office) {
    let office: Office = office;
    book(&office, &json!({ "VisitComplaint": "private" })).await.expect(201);
    book(&office, &json!({ "PatientID": 1002, "ProviderID": 1, "VisitTime": "10:10" })).await.expect(201);
    let reply = book(&office, &json!({ "VisitTime": "10:20", "VisitDuration": 105 })).await;
    reply.expect_problem(409, "OUTSIDE_HOURS");
    assert_eq!(
        conflicts(&reply),
        ["OUTSIDE_HOURS", "PROVIDER_CONFLICT", "RESOURCE_CONFLICT", "PATIENT_CONFLICT"]
    );
    let times = json!([{ "from": "2026-03-12T10:00:00-04:00", "to": "2026-03-12T10:30:00-04:00" }]);
    assert_eq!(reply.body["conflicts"][1]["blocking"], times);
    assert_eq!(reply.body["conflicts"][3]["blocking"], times);
    assert_eq!(
        reply.body["conflicts"][2]["blocking"],
        json!([{ "from": "2026-03-12T10:00:00-04:00", "to": "2026-03-12T10:40:00-04:00" }])
    );
    let text = reply.body.to_string();
    assert!(!text.contains("private") && !text.contains("1002") && !text.contains("VisitID"), "{text}");
    let reply = book(&office, &json!({ "PatientID": 1003, "VisitTime": "10:29" })).await;
    assert_eq!(conflicts(&reply), ["PROVIDER_CONFLICT", "RESOURCE_CONFLICT"]);
    book(&office, &json!({ "PatientID": 1003, "VisitTime": "10:30" })).await.expect(201);
}
on_both_databases!(a_conflict_names_every_obstacle_without_patient_data);

async fn the_least_used_free_room_is_assigned(office: Office) {
    let office: Office = office;
    let mut rooms = Vec::new();
    for (provider, patient, time) in [
        (1, 1001, "09:00"), // both unused: the lower id
        (1, 1002, "09:30"), // 101 has one visit
        (2, 1003, "09:45"), // 102 is taken
        (2, 1001, "10:15"), // 102 has one, 101 two
        (1, 1002, "13:00"), // two each: the lower id
    ] {
        let reply =
            book(&office, &json!({ "ProviderID": provider, "PatientID": patient, "VisitTime": time })).await;
        rooms.push(reply.expect(201)["data"]["RoomID"].as_i64().unwrap());
    }
    assert_eq!(rooms, [101, 102, 101, 102, 101]);
}
on_both_databases!(the_least_used_free_room_is_assigned);

async fn a_cancelled_visit_frees_its_time_once(office: Office) {
    let office: Office = office;
    let id = book(&office, &json!({})).await.expect(201)["data"]["VisitID"].clone();
    book(&office, &json!({})).await.expect_problem(409, "PROVIDER_CONFLICT");
    let cancel = format!("/v1/DemoOffice/visits/{id}/cancel");
    let reply = office.post(&cancel, &json!({})).await;
    assert_eq!(reply.expect(200)["message"], "Visit cancelled successfully");
    assert_eq!(reply.body["data"]["Status"], "Cancelled");
    assert_eq!(
        office
            .integer(&format!("select count(*) from log where action = 'update' and record_id = {id}"))
            .await,
        1
    );
    office.post(&cancel, &json!({})).await.expect_problem(409, "VISIT_NOT_OPEN");
    book(&office, &json!({})).await.expect(201);
    office
        .post(
            &format!("/v1/DemoOffice/visits/{id}/reschedule"),
            &json!({ "VisitDate": "2026-03-13", "VisitTime": "10:00" }),
        )
        .await
        .expect_problem(409, "VISIT_NOT_OPEN");
    office.post("/v1/DemoOffice/visits/424242/cancel", &json!({})).await.expect_problem(404, "NOT_FOUND");
    office.sql(&format!("update visits set status = 'Deleted' where visit_id = {id}")).await;
    office.post(&cancel, &json!({})).await.expect_problem(404, "NOT_FOUND");
}
on_both_databases!(a_cancelled_visit_frees_its_time_once);

async fn a_visit_moves_atomically_and_does_not_conflict_with_itself(office: Office) {
    let office: Office = office;
    let id =
        book(&office, &json!({ "ProviderTime": "10:10", "ProviderDuration": 10 })).await.expect(201)["data"]
            ["VisitID"]
            .clone();
    let taken = book(&office, &json!({ "PatientID": 1002, "VisitTime": "13:00" })).await;
    taken.expect(201);
    let path = format!("/v1/DemoOffice/visits/{id}/reschedule");
    let reply = office.post(&path, &json!({ "VisitDate": "2026-03-12", "VisitTime": "10:15" })).await;
    let data = &reply.expect(200)["data"];
    assert_eq!(reply.body["message"], "Visit rescheduled successfully");
    assert_eq!(
        (&data["VisitTime"], &data["ProviderTime"], &data["ProviderDuration"]),
        (&json!("10:15:00"), &json!("10:25:00"), &json!(10))
    );
    let before = office.get(&format!("/v1/DemoOffice/visits/{id}")).await.body;
    let reply = office
        .post(&path, &json!({ "VisitDate": "2026-03-12", "VisitTime": "12:55", "ProviderTime": "13:10" }))
        .await;
    reply.expect_problem(422, "INVALID_FIELDS");
    let reply = office.post(&path, &json!({ "VisitDate": "2026-03-12", "VisitTime": "13:05" })).await;
    reply.expect_problem(409, "PROVIDER_CONFLICT");
    assert_eq!(office.get(&format!("/v1/DemoOffice/visits/{id}")).await.body, before);
    let reply = office
        .post(
            &path,
            &json!({ "VisitDate": "2026-03-12", "VisitTime": "13:05", "ProviderID": 1, "VisitDuration": 45 }),
        )
        .await;
    let data = &reply.expect(200)["data"];
    assert_eq!(
        (&data["ProviderID"], &data["VisitDuration"], &data["ProviderDuration"]),
        (&json!(1), &json!(45), &json!(45))
    );
    let reply = office
        .post(&path, &json!({ "VisitDate": "2026-03-12", "VisitTime": "14:00", "ProviderID": 3 }))
        .await;
    reply.expect_problem(404, "PROVIDER_NOT_FOUND");
}
on_both_databases!(a_visit_moves_atomically_and_does_not_conflict_with_itself);

async fn a_repeated_request_books_once(office: Office) {
    let office: Office = office;
    let authorization = format!("Bearer {}", office.token("all").await);
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
        ("idempotency-key", "k-1"),
    ];
    let body = visit().to_string();
    let first = office.call("POST", BOOK, &headers, Some(&body)).await;
    first.expect(201);
    office.set_time("2026-03-09T20:00:00Z");
    let again = office.call("POST", BOOK, &headers, Some(&body)).await;
    assert_eq!((again.expect(201), again.header("idempotent-replayed")), (&first.body, "true"));
    assert_eq!(office.integer("select count(*) from visits").await, 1);
    let other = visit_with(&json!({ "VisitTime": "11:00" })).to_string();
    office.call("POST", BOOK, &headers, Some(&other)).await.expect_problem(422, "IDEMPOTENCY_KEY_REUSED");
}
on_both_databases!(a_repeated_request_books_once);

async fn the_database_rejects_a_double_booking_by_another_program(office: Office) {
    let office: Office = office;
    book(&office, &json!({})).await.expect(201);
    let copy = |provider: i64, patient: i64, room: i64| {
        format!(
            "insert into visits (patient_id, provider_id, room_id, visit_type, visit_date, visit_time, \
            visit_duration,
            provider_time, provider_duration, starts_at, ends_at, provider_starts_at, provider_ends_at, \
            created_at, updated_at)
         select {patient}, {provider}, {room}, visit_type, visit_date, visit_time, visit_duration, \
         provider_time,
            provider_duration, starts_at + 60, ends_at + 60, provider_starts_at + 60, provider_ends_at + 60, \
            created_at, updated_at
         from visits"
        )
    };
    for (provider, patient, room) in [(2, 1002, 102), (1, 1001, 102), (1, 1002, 101)] {
        let error = office.try_sql(&copy(provider, patient, room)).await.unwrap_err();
        assert!(matches!(error, shared::sql::Error::Refused(_)), "{error:?}");
    }
    office.sql(&copy(1, 1002, 102)).await;
}
on_both_databases!(the_database_rejects_a_double_booking_by_another_program);

#[tokio::test]
async fn errors_are_reported_in_the_documented_order() {
    let office = Office::open(Engine::Sqlite).await;
    let reply = book(
        &office,
        &json!({
            "PatientID": "x", "VisitDuration": 0, "VisitDate": "2026-13-01", "Room": 5, "VisitType": null,
        }),
    )
    .await;
    reply.expect_problem(422, "INVALID_FIELDS");
    let mut wrong = reply.wrong_fields();
    wrong.sort_unstable();
    assert_eq!(
        wrong,
        ["body.PatientID", "body.Room", "body.VisitDate", "body.VisitDuration", "body.VisitType"]
    );
    let reply =
        book(&office, &json!({ "ProviderTime": "10:20", "ProviderDuration": 15, "PatientID": 5 })).await;
    reply.expect_problem(422, "INVALID_FIELDS");
    assert_eq!(reply.wrong_fields(), ["body.ProviderTime"]);

    let mut changes = json!({
        "PatientID": 5, "ProviderID": 3, "VisitType": "None", "VisitDate": "2026-03-08", "VisitTime": "02:30",
    });
    for (code, status, field, right) in [
        ("PATIENT_NOT_FOUND", 404, "PatientID", json!(1001)),
        ("PROVIDER_NOT_FOUND", 404, "ProviderID", json!(2)),
        ("VISIT_TYPE_UNKNOWN", 422, "VisitType", json!("Retired")),
        ("VISIT_TYPE_INACTIVE", 422, "VisitType", json!("Consult")),
        ("NONEXISTENT_LOCAL_TIME", 422, "VisitTime", json!("03:30")),
        ("IN_PAST", 422, "VisitDate", json!("2027-03-10")),
        ("BEYOND_HORIZON", 422, "VisitDate", json!("2026-03-12")),
        ("OUTSIDE_HOURS", 409, "VisitTime", json!("09:00")),
    ] {
        book(&office, &changes).await.expect_problem(status, code);
        changes[field] = right;
    }
    book(&office, &changes).await.expect(201);
    office.sql("delete from visit_type_providers where provider_id = 2").await;
    book(&office, &json!({ "VisitTime": "11:00" })).await.expect_problem(422, "PROVIDER_NOT_ALLOWED");
    assert_eq!(office.integer("select count(*) from visits").await, 1);
}

#[tokio::test]
async fn a_visit_type_may_need_no_room_and_the_provider_only_for_a_part() {
    let office = Office::open(Engine::Sqlite).await;
    let reply = book(
        &office,
        &json!({
            "VisitType": "FOLLOWUP", "VisitDuration": 60, "ProviderTime": "10:30", "ProviderDuration": 15,
        }),
    )
    .await;
    let data = &reply.expect(201)["data"];
    assert_eq!((&data["RoomID"], &data["ProviderTime"]), (&Value::Null, &json!("10:30:00")));
    // The provider is free before and after their part of the visit; the patient is not.
    book(&office, &json!({ "VisitType": "FOLLOWUP", "PatientID": 1002 })).await.expect(201);
    book(&office, &json!({ "VisitType": "FOLLOWUP", "PatientID": 1003, "VisitTime": "10:45" }))
        .await
        .expect(201);
    let reply = book(
        &office,
        &json!({ "VisitType": "FOLLOWUP", "ProviderID": 1, "VisitTime": "10:50", "VisitDuration": 5 }),
    )
    .await;
    assert_eq!(conflicts(&reply), ["PATIENT_CONFLICT"]);
}

#[tokio::test]
async fn a_cancellation_accepts_no_fields() {
    let office = Office::open(Engine::Sqlite).await;
    for (body, status) in [("{\"x\":1}", 422), ("{broken", 400)] {
        let authorization = format!("Bearer {}", office.token("all").await);
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        let reply = office.call("POST", "/v1/DemoOffice/visits/1/cancel", &headers, Some(body)).await;
        assert_eq!(reply.status.as_u16(), status, "{}", reply.body);
    }
}

/// The messages between us and the server decide what a booking costs there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_booking_reads_each_table_once_on_postgres() {
    let office = Office::open(Engine::Postgres).await;
    book(&office, &json!({})).await.expect(201);
    let again = json!({ "VisitTime": "13:00", "ProviderTime": "13:00", "PatientID": 1002 });
    let (reply, statements) = Box::pin(noted(book(&office, &again))).await;
    reply.expect(201);
    // Begin, locks, the checks, the room, the visit, its log and audit rows, commit.
    assert!(statements.len() <= 14, "{statements:#?}");
    for read in ["from patients where", "join providers", "from visit_types ", "from working_hours"] {
        let count = statements.iter().filter(|it| it.contains(read)).count();
        assert_eq!(count, 1, "{read}: {statements:#?}");
    }
}
