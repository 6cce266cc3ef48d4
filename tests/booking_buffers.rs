//! Between two visits of a provider the larger buffer stays free, whichever was booked first.

use std::{fmt::Write as _, sync::Arc};

use serde_json::json;

use crate::office::{Office, on_both_databases};

const PROVIDER: &str = "/v1/DemoOffice/availability/providers/1";

/// Provider 1 works around the clock from Monday to Wednesday.
///
/// `Long` needs 20 minutes before and 30 after, `Short` none.
async fn prepare(office: &Office) {
    let mut sql = String::from(
        "insert into visit_types (visit_type, buffer_before, buffer_after) values ('Long', 20, 30), \
            ('Short', 0, 0), ('Before', 45, 0);
         insert into visit_type_providers (visit_type, provider_id) values ('Long', 1), ('Short', 1), \
         ('Before', 1);
         insert into working_hours (provider_id, weekday, start_time, end_time) values
            (1, 1, '00:00:00', '00:00:00'), (1, 2, '00:00:00', '00:00:00'), (1, 3, '00:00:00', '00:00:00');",
    );
    for patient in 5000..5100 {
        let _ = write!(
            sql,
            "insert into patients (patient_id, first_name, last_name, full_name, created_at, updated_at)
             values ({patient}, 'A', 'B', 'A B', '2026-01-02T10:00:00Z', '2026-01-02T10:00:00Z');"
        );
    }
    office.sql(&sql).await;
}

async fn book(office: &Office, patient: i64, kind: &str, date: &str, time: &str) -> u16 {
    let token = office.token("all").await;
    let body = json!({
        "PatientID": patient, "ProviderID": 1, "VisitType": kind, "VisitDate": date, "VisitTime": time,
        "VisitDuration": 30 });
    office.send(&token, "POST", "/v1/DemoOffice/visits/book", Some(&body)).await.status.as_u16()
}

async fn the_larger_buffer_of_two_neighbors_applies_on_both_sides(office: Office) {
    let office: Office = office;
    prepare(&office).await;
    // 10:00 to 10:30; including its buffers, 09:40 to 11:00.
    assert_eq!(book(&office, 5000, "Long", "2026-03-10", "10:00").await, 201);
    for (kind, time, free) in [
        ("Short", "09:11", false),
        ("Short", "09:10", true),
        ("Short", "10:59", false),
        ("Short", "11:00", true),
        ("Long", "09:01", false),
        ("Long", "09:00", true),
        ("Long", "10:59", false),
        ("Long", "11:00", true),
        ("Before", "09:11", false),
        ("Before", "09:10", true),
        ("Before", "11:14", false),
        ("Before", "11:15", true),
    ] {
        let query = format!("date=2026-03-10&time={time}&duration=30&visitType={kind}");
        let reply = office.get(&format!("{PROVIDER}/check?{query}")).await;
        assert_eq!(reply.expect(200)["data"]["Available"], free, "{kind} {time}");
        assert_eq!(
            book(&office, 5001, kind, "2026-03-10", time).await,
            if free { 201 } else { 409 },
            "{kind} {time}"
        );
        let next =
            office.get(&format!("{PROVIDER}/slots?date=2026-03-10&duration=30&visitType={kind}")).await;
        let slots = next.expect(200)["data"]["Slots"].as_array().unwrap().clone();
        assert!(!slots.contains(&json!("10:45:00")), "{kind}");
        office.sql("delete from visits where patient_id = 5001").await;
    }
    // Without a visit type, the existing visit's buffers still count.
    let reply = office.get(&format!("{PROVIDER}/check?date=2026-03-10&time=10:45&duration=15")).await;
    assert_eq!(reply.expect(200)["data"]["Reason"], "BOOKED");
    // Rescheduling respects buffers, too.
    assert_eq!(book(&office, 5002, "Short", "2026-03-10", "14:00").await, 201);
    let id = office.integer("select visit_id from visits where patient_id = 5002").await;
    for (time, status) in [("10:59", 409), ("11:00", 200)] {
        let to = json!({ "VisitDate": "2026-03-10", "VisitTime": time });
        let reply = office.post(&format!("/v1/DemoOffice/visits/{id}/reschedule"), &to).await;
        assert_eq!(reply.status.as_u16(), status, "{time}: {}", reply.body);
    }
}
on_both_databases!(the_larger_buffer_of_two_neighbors_applies_on_both_sides);

async fn concurrent_bookings_respect_the_buffers_of_each_other(office: Office) {
    let office = Arc::new(office);
    prepare(&office).await;
    // Around midnight, so that neighbors are on different days.
    let starts: Vec<i64> = (0..48).map(|number| (number * 29 % 48) * 5 - 120).collect();
    let bookings: Vec<_> = starts
        .iter()
        .enumerate()
        .map(|(number, minute)| {
            let office = office.clone();
            let (date, clock) =
                if *minute < 0 { ("2026-03-09", 1440 + minute) } else { ("2026-03-10", *minute) };
            let time = format!("{:02}:{:02}", clock / 60, clock % 60);
            let kind = ["Long", "Short", "Before"][number % 3];
            let patient = 5000 + i64::try_from(number).unwrap();
            tokio::spawn(async move { book(&office, patient, kind, date, &time).await })
        })
        .collect();
    let mut booked = 0;
    for booking in bookings {
        let status = booking.await.unwrap();
        assert!(status == 201 || status == 409, "{status}");
        booked += i64::from(status == 201);
    }
    assert_eq!(office.integer("select count(*) from visits").await, booked);
    assert!(booked > 1, "{booked}");
    let too_close =
        "select count(*) from visits a join visits b on a.visit_id <> b.visit_id and a.starts_at \
        < b.starts_at
        join visit_types k on k.visit_type = a.visit_type join visit_types l on l.visit_type = b.visit_type
        where b.starts_at - a.ends_at < 60 * (case when k.buffer_after > l.buffer_before then k.buffer_after \
        else l.buffer_before end)";
    assert_eq!(office.integer(too_close).await, 0, "within each other's buffers");
    // Every rejected start is still unavailable.
    for (number, minute) in starts.iter().enumerate() {
        let (date, clock) = if *minute < 0 { ("2026-03-09", 1440 + minute) } else { ("2026-03-10", *minute) };
        let kind = ["Long", "Short", "Before"][number % 3];
        let query =
            format!("date={date}&time={:02}:{:02}&duration=30&visitType={kind}", clock / 60, clock % 60);
        let reply = office.get(&format!("{PROVIDER}/check?{query}")).await;
        assert_eq!(reply.expect(200)["data"]["Reason"], "BOOKED", "{query}");
    }
}
on_both_databases!(concurrent_bookings_respect_the_buffers_of_each_other);
