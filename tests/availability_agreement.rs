//! check, slots, next-slot and book agree.

use serde_json::{Value, json};

use crate::office::{Office, on_both_databases};

const PROVIDER: &str = "/v1/DemoOffice/availability/providers/1";

/// Buffers, one room less, an overnight window, time off, custom hours, and visits in the room.
const ROWS: &str = "
update visit_types set buffer_before = 5, buffer_after = 10 where visit_type = 'Consult';
delete from visit_type_resources where resource_id = 101;
insert into working_hours (provider_id, weekday, start_time, end_time) values (1, 2, '20:00:00', '02:30:00');
insert into schedule_exceptions (provider_id, exception_date, kind, start_time, end_time) values
    (1, '2026-03-10', 'off', '23:15:00', '00:45:00'),
    (null, '2026-03-11', 'custom', '10:00:00', '15:00:00');
";

async fn starts(office: &Office, date: &str) -> Vec<String> {
    let reply = office.get(&format!("{PROVIDER}/slots?date={date}&duration=25&visitType=Consult")).await;
    let answer = &reply.expect(200)["data"];
    assert_eq!(answer["Count"], answer["Slots"].as_array().unwrap().len());
    serde_json::from_value(answer["Slots"].clone()).unwrap()
}

async fn book(office: &Office, provider: i64, patient: i64, date: &str, time: &str) -> u16 {
    let body = json!({
        "PatientID": patient, "ProviderID": provider, "VisitType": "Consult", "VisitDate": date,
        "VisitTime": time, "VisitDuration": 25 });
    office.post("/v1/DemoOffice/visits/book", &body).await.status.as_u16()
}

async fn a_start_is_bookable_if_and_only_if_it_is_offered(office: Office) {
    let office: Office = office;
    office.sql(ROWS).await;
    let patients: Vec<String> = (5000..5400)
        .map(|patient| {
            format!(
                "insert into patients (patient_id, first_name, last_name, full_name, created_at, updated_at)
         values ({patient}, 'A', 'B', 'A B', '2026-01-02T10:00:00Z', '2026-01-02T10:00:00Z');"
            )
        })
        .collect();
    office.sql(&patients.join(" ")).await;
    assert_eq!(book(&office, 2, 1001, "2026-03-10", "10:10").await, 201);
    assert_eq!(book(&office, 2, 1002, "2026-03-11", "11:00").await, 201);

    let (mut patient, mut booked) = (5000, 0);
    for date in ["2026-03-10", "2026-03-11"] {
        for quarter in 0..96 {
            let time = format!("{:02}:{:02}:00", quarter / 4, quarter % 4 * 15);
            let offered = starts(&office, date).await.contains(&time);
            let reply = office
                .get(&format!("{PROVIDER}/check?date={date}&time={time}&duration=25&visitType=Consult"))
                .await;
            let available = reply.expect(200)["data"]["Available"] == true;
            assert_eq!(offered, available, "{date} {time}: {}", reply.body);
            // Book every other free start, so that some starts have booked neighbors and some
            // free ones.
            if offered && quarter % 2 == 1 {
                let reply = office.get(&format!("{PROVIDER}/next-slot?duration=25&visitType=Consult")).await;
                let next = &reply.expect(200)["data"]["TheNextSlot"];
                let found = (next["Date"].as_str().unwrap(), next["Time"].as_str().unwrap());
                assert!(found <= (date, time.as_str()), "{next} comes after {date} {time}");
                let first = starts(&office, found.0).await;
                assert_eq!(first.first().map(String::as_str), Some(found.1));
            }
            if !offered || quarter % 2 == 1 {
                patient += 1;
                let status = book(&office, 1, patient, date, &time).await;
                assert_eq!(status, if offered { 201 } else { 409 }, "{date} {time}: {}", reply.body);
                booked += i64::from(offered);
            }
        }
    }
    assert!(booked > 12, "only {booked} were booked");
    let stored = office.integer("select count(*) from visits where provider_id = 1").await;
    assert_eq!(stored, booked);
    let last: Value =
        office.get(&format!("{PROVIDER}/schedule?startDate=2026-03-10&endDate=2026-03-11")).await.body;
    assert_eq!(last["data"]["totalVisits"], booked);
}
on_both_databases!(a_start_is_bookable_if_and_only_if_it_is_offered);
