//! Tests of providers and their availability.

use serde_json::{Value, json};

use crate::office::{Engine, Office, on_both_databases};

const PROVIDER: &str = "/v1/DemoOffice/availability/providers/1";

/// Visit 101 of provider 1 and patient 1001: 2026-03-09 at 09:00 for 30 minutes.
const VISIT_101: &str = "insert into visits (visit_id, patient_id, provider_id, room_id, visit_type, \
    visit_date,
    visit_time, visit_duration, provider_time, provider_duration, status, starts_at, ends_at, \
    provider_starts_at,
    provider_ends_at, created_at, updated_at)
    values (101, 1001, 1, null, 'FOLLOWUP', '2026-03-09', '09:00:00', 30, '09:00:00', 30, 'Scheduled',
    1773061200, 1773063000, 1773061200, 1773063000, '2026-03-01T10:00:00Z', '2026-03-01T10:00:00Z')";

async fn slots(office: &Office, date: &str, duration: i64) -> Vec<String> {
    let reply = office.get(&format!("{PROVIDER}/slots?date={date}&duration={duration}")).await;
    serde_json::from_value(reply.expect(200)["data"]["Slots"].clone()).unwrap()
}

async fn reason(office: &Office, query: &str) -> Value {
    let reply = office.get(&format!("{PROVIDER}/check?{query}")).await;
    let data = &reply.expect(200)["data"];
    assert_eq!(data["Available"], data.get("Reason").is_none(), "{data}");
    data["Reason"].clone()
}

async fn every_response_has_the_shape_of_its_reference_example(office: Office) {
    let jane = json!({ "id": 1, "name": "Jane Smith", "title": "PA-C", "specialty": "Aesthetics" });
    let reply = office.get("/v1/DemoOffice/availability/providers").await;
    assert_eq!(reply.expect(200)["count"], 2);
    assert_eq!(reply.body["data"][0], jane);
    let reply = office.get(PROVIDER).await;
    assert_eq!(reply.expect(200), &json!({ "data": jane }));

    office.sql(VISIT_101).await;
    let reply = office.get(&format!("{PROVIDER}/schedule?startDate=2026-03-09&endDate=2026-03-15")).await;
    assert_eq!(
        reply.expect(200),
        &json!({ "data": {
        "provider": jane,
        "startDate": "2026-03-09",
        "endDate": "2026-03-15",
        "schedule": { "2026-03-09": [
            { "VisitID": 101, "time": "09:00:00", "duration": 30, "type": "FOLLOWUP", "booked": true },
        ] },
        "totalVisits": 1,
    } })
    );
    let reply = office.get(&format!("{PROVIDER}/check?date=2026-03-09&time=10:15:00&duration=30")).await;
    assert_eq!(
        reply.expect(200),
        &json!({ "data": {
        "ProviderID": 1, "Date": "2026-03-09", "Time": "10:15:00", "Duration": 30, "Available": true,
    } })
    );
    let reply = office.get(&format!("{PROVIDER}/slots?date=2026-03-09&duration=180")).await;
    assert_eq!(
        reply.expect(200),
        &json!({ "data": {
        "ProviderID": 1, "Date": "2026-03-09", "Duration": 180,
        "Slots": ["13:00:00", "13:15:00", "13:30:00", "13:45:00", "14:00:00"], "Count": 5,
    } })
    );
    let reply = office.get(&format!("{PROVIDER}/next-slot?duration=30&maxDays=30")).await;
    assert_eq!(
        reply.expect(200),
        &json!({ "data": {
        "ProviderID": 1, "Duration": 30, "SearchWindowDays": 30,
        "TheNextSlot": { "ProviderID": "1", "Date": "2026-03-09", "Time": "09:30:00" },
    } })
    );
}
on_both_databases!(every_response_has_the_shape_of_its_reference_example);

async fn the_schedule_lists_busy_times_without_patients(office: Office) {
    office.sql(VISIT_101).await;
    for (id, status, minutes) in
        [(102, "Cancelled", 0), (103, "NoShow", 30), (104, "Deleted", 60), (105, "Arrived", 90)]
    {
        let start = 1_773_061_200 + minutes * 60;
        office
            .sql(&format!(
                "insert into visits (visit_id, patient_id, provider_id, visit_type, visit_date, \
            visit_time,
            visit_duration, provider_time, provider_duration, status, starts_at, ends_at, provider_starts_at,
            provider_ends_at, created_at, updated_at) values ({id}, 1002, 1, 'Consult', '2026-03-09', \
            '{:02}:{:02}:00',
            30, '09:00:00', 30, '{status}', {start}, {start} + 1800, {start}, {start} + 1800,
            '2026-03-01T10:00:00Z', '2026-03-01T10:00:00Z')",
                9 + minutes / 60,
                minutes % 60
            ))
            .await;
    }
    let reply = office.get(&format!("{PROVIDER}/schedule")).await;
    let data = &reply.expect(200)["data"];
    assert_eq!((&data["startDate"], &data["endDate"]), (&json!("2026-03-09"), &json!("2026-03-15")));
    let ids: Vec<&Value> =
        data["schedule"]["2026-03-09"].as_array().unwrap().iter().map(|it| &it["VisitID"]).collect();
    assert_eq!(ids, [&json!(101), &json!(105)]);
    assert_eq!(data["totalVisits"], 2);
    assert!(!reply.body.to_string().contains("100"), "a patient's id is in the answer");
    let reply = office.get(&format!("{PROVIDER}/schedule?visitType=Consult")).await;
    assert_eq!(reply.expect(200)["data"]["totalVisits"], 1);
    let reply = office.get(&format!("{PROVIDER}/schedule?startDate=2026-03-10&endDate=2026-03-12")).await;
    assert_eq!(reply.expect(200)["data"]["schedule"], json!({}));
}
on_both_databases!(the_schedule_lists_busy_times_without_patients);

async fn an_exception_changes_a_day_and_is_given_as_the_reason(office: Office) {
    office
        .sql(
            "insert into schedule_exceptions (provider_id, exception_date, kind, start_time, end_time) values
        (1, '2026-03-10', 'off', '09:00:00', '11:40:00'),
        (null, '2026-03-11', 'off', null, null),
        (1, '2026-03-12', 'custom', '18:00:00', '19:00:00'),
        (2, '2026-03-13', 'off', null, null)",
        )
        .await;
    assert_eq!(slots(&office, "2026-03-10", 20).await[..2], ["11:40:00", "13:00:00"]);
    assert_eq!(slots(&office, "2026-03-11", 30).await, Vec::<String>::new());
    assert_eq!(slots(&office, "2026-03-12", 45).await, ["18:00:00", "18:15:00"]);
    assert_eq!(slots(&office, "2026-03-13", 180).await.len(), 6);
    assert_eq!(slots(&office, "2026-03-14", 30).await, Vec::<String>::new());
    assert_eq!(reason(&office, "date=2026-03-10&time=09:00&duration=30").await, "TIME_OFF");
    assert_eq!(reason(&office, "date=2026-03-11&time=09:00&duration=30").await, "TIME_OFF");
    assert_eq!(reason(&office, "date=2026-03-12&time=09:00&duration=30").await, "OUTSIDE_HOURS");
    assert_eq!(reason(&office, "date=2026-03-12&time=18:07&duration=30").await, Value::Null);
    assert_eq!(reason(&office, "date=2026-03-10&time=11:50&duration=20").await, "OUTSIDE_HOURS");
    assert_eq!(reason(&office, "date=2026-03-09&time=07:59&duration=30").await, "PAST");
    assert_eq!(reason(&office, "date=2027-03-10&time=09:00&duration=30").await, "BEYOND_HORIZON");
    assert_eq!(reason(&office, "date=2027-03-09&time=09:00&duration=30").await, Value::Null);
    assert_eq!(reason(&office, "date=2999-12-31&time=09:00&duration=1440").await, "BEYOND_HORIZON");
    assert_eq!(reason(&office, "date=1900-01-01&time=09:00&duration=1440").await, "PAST");
}
on_both_databases!(an_exception_changes_a_day_and_is_given_as_the_reason);

async fn a_visit_type_applies_its_buffers_providers_and_rooms(office: Office) {
    office
        .sql("update visit_types set buffer_before = 10, buffer_after = 20 where visit_type = 'Consult'")
        .await;
    let reply = office.get(&format!("{PROVIDER}/slots?date=2026-03-10&duration=30&visitType=Consult")).await;
    assert_eq!(reply.expect(200)["data"]["Slots"][0], "09:15:00");
    assert_eq!(
        reason(&office, "date=2026-03-10&time=09:10&duration=30&visitType=Consult").await,
        Value::Null
    );
    assert_eq!(
        reason(&office, "date=2026-03-10&time=09:09&duration=30&visitType=Consult").await,
        "OUTSIDE_HOURS"
    );
    assert_eq!(
        reason(&office, "date=2026-03-10&time=11:10&duration=30&visitType=Consult").await,
        Value::Null
    );
    assert_eq!(
        reason(&office, "date=2026-03-10&time=11:11&duration=30&visitType=Consult").await,
        "OUTSIDE_HOURS"
    );
    office.sql("update resources set active = false where resource_id = 101").await;
    let body = json!({ "PatientID": 1002, "ProviderID": 2, "VisitType": "Consult", "VisitDate": "2026-03-10",
        "VisitTime": "10:00", "VisitDuration": 30 });
    let reply = office.post("/v1/DemoOffice/visits/book", &body).await;
    assert_eq!(reply.expect(201)["data"]["RoomID"], 102);
    assert_eq!(
        reason(&office, "date=2026-03-10&time=10:29&duration=30&visitType=Consult").await,
        "NO_RESOURCE"
    );
    assert_eq!(
        reason(&office, "date=2026-03-10&time=10:30&duration=30&visitType=Consult").await,
        Value::Null
    );
    assert_eq!(
        reason(&office, "date=2026-03-10&time=10:29&duration=30&visitType=FOLLOWUP").await,
        Value::Null
    );
    office.sql("delete from visit_type_providers where provider_id = 1 and visit_type = 'Consult'").await;
    assert_eq!(
        reason(&office, "date=2026-03-10&time=10:30&duration=30&visitType=Consult").await,
        "PROVIDER_NOT_ALLOWED"
    );
    assert_eq!(
        reason(&office, "date=2026-03-10&time=10:30&duration=30&visitType=Retired").await,
        "VISIT_TYPE_INACTIVE"
    );
    let reply = office.get(&format!("{PROVIDER}/slots?date=2026-03-10&duration=30&visitType=Unheard")).await;
    reply.expect_problem(422, "VISIT_TYPE_UNKNOWN");
}
on_both_databases!(a_visit_type_applies_its_buffers_providers_and_rooms);

#[tokio::test]
async fn next_slot_searches_exactly_the_requested_days() {
    let office = Office::open(Engine::Sqlite).await;
    office.set_time("2026-03-13T20:46:00Z"); // Friday 16:46
    for (days, found) in [(1, json!(null)), (3, json!(null)), (4, json!("2026-03-16"))] {
        let reply = office.get(&format!("{PROVIDER}/next-slot?duration=15&maxDays={days}")).await;
        let data = &reply.expect(200)["data"];
        assert_eq!(data["TheNextSlot"].get("Date").unwrap_or(&Value::Null), &found, "{days} days");
        assert_eq!(data["SearchWindowDays"], days);
    }
    office.set_time("2026-03-13T20:45:00Z");
    let reply = office.get(&format!("{PROVIDER}/next-slot?duration=15&maxDays=1")).await;
    assert_eq!(reply.expect(200)["data"]["TheNextSlot"]["Time"], "16:45:00");
    let reply = office.get(&format!("{PROVIDER}/next-slot?duration=241")).await;
    assert_eq!(reply.expect(200)["data"]["TheNextSlot"], Value::Null);
    assert_eq!(reply.body["data"]["SearchWindowDays"], 365);
}

#[tokio::test]
async fn a_skipped_time_is_not_offered_and_a_repeated_one_is_offered_once() {
    let office = Office::open(Engine::Sqlite).await;
    office
        .sql(
            "insert into working_hours (provider_id, weekday, start_time, end_time) values (1, 7, \
        '00:30:00', '04:00:00')",
        )
        .await;
    office.set_time("2026-03-07T12:00:00Z");
    assert_eq!(
        slots(&office, "2026-03-08", 60).await,
        ["00:30:00", "00:45:00", "01:00:00", "01:15:00", "01:30:00", "01:45:00", "03:00:00"]
    );
    assert_eq!(reason(&office, "date=2026-03-08&time=02:30&duration=30").await, "DST_GAP");
    office.set_time("2026-10-31T12:00:00Z");
    let offered = slots(&office, "2026-11-01", 120).await;
    assert_eq!(offered, ["00:30:00", "00:45:00", "01:00:00", "01:15:00", "01:30:00", "01:45:00", "02:00:00"]);
}

#[tokio::test]
async fn a_malformed_query_returns_400_and_an_unknown_provider_404() {
    let office = Office::open(Engine::Sqlite).await;
    let reply = office.get(&format!("{PROVIDER}/check?date=2026-02-30&time=25:00&duration=0")).await;
    reply.expect_problem(400, "INVALID_QUERY");
    assert_eq!(reply.wrong_fields(), ["query.date", "query.time", "query.duration"]);
    for query in [
        "slots",
        "slots?date=2026-03-09&duration=1441",
        "next-slot?duration=30&maxDays=366",
        "next-slot?duration=30&maxDays=0",
        "schedule?startDate=2026-03-09&endDate=2026-06-09",
        "schedule?startDate=2026-03-09&endDate=2026-03-08",
        "check?date=2026-03-09&time=10:15:60&duration=30",
    ] {
        office.get(&format!("{PROVIDER}/{query}")).await.expect_problem(400, "INVALID_QUERY");
    }
    for id in [3, 999] {
        for path in [
            "",
            "/schedule",
            "/check?date=2026-03-10&time=10:00&duration=30",
            "/slots?date=2026-03-10&duration=30",
            "/next-slot?duration=30",
        ] {
            let reply = office.get(&format!("/v1/DemoOffice/availability/providers/{id}{path}")).await;
            reply.expect_problem(404, "NOT_FOUND");
        }
    }
    let reply = office.get("/v1/DemoOffice/availability/providers/x/slots?date=2026-03-10&duration=30").await;
    reply.expect_problem(400, "INVALID_PATH");
    let token = office.token("prospects").await;
    let reply = office.send(&token, "GET", "/v1/DemoOffice/availability/providers", None).await;
    reply.expect_problem(403, "INSUFFICIENT_SCOPE");
}
