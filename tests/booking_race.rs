//! Double booking is impossible under concurrency.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::office::{Office, on_both_databases};

const REQUESTS: i64 = 64;
/// Tuesday, 09:00 in New York.
const NINE: i64 = 1_773_147_600;

/// Books 64 overlapping visits concurrently; returns the statuses.
///
/// They last 30 minutes and start 5 minutes apart from 09:00 on, in a shuffled order.
async fn book_staggered(office: &Arc<Office>, with: impl Fn(i64) -> Value) -> Vec<u16> {
    let token: Arc<str> = office.token("all").await.into();
    let mut tasks = Vec::new();
    for number in 0..REQUESTS {
        // The step has no common factor with 64, so it covers every start once and separates
        // neighbors.
        let start = number * 29 % REQUESTS;
        let mut body = json!({
            "PatientID": 5000 + start, "ProviderID": 1, "VisitType": "Open", "VisitDate": "2026-03-10",
            "VisitTime": format!("{:02}:{:02}", 9 + start * 5 / 60, start * 5 % 60), "VisitDuration": 30,
        });
        for (name, value) in with(start).as_object().unwrap() {
            body[name] = value.clone();
        }
        let (office, token) = (office.clone(), token.clone());
        tasks.push(tokio::spawn(async move {
            let reply = office.send(&token, "POST", "/v1/DemoOffice/visits/book", Some(&body)).await;
            if reply.status.as_u16() == 409 {
                assert!(!reply.body["conflicts"].as_array().unwrap().is_empty(), "{}", reply.body);
            }
            reply.status.as_u16()
        }));
    }
    let mut statuses = Vec::new();
    for task in tasks {
        statuses.push(task.await.unwrap());
    }
    statuses
}

/// Adds providers 1001 to 1064 and patients 5000 to 5063.
///
/// Type `Open` is for all of them; type `OneRoom` needs room 103.
async fn prepare(office: &Office) {
    let mut sql = vec![String::from(
        "insert into visit_types (visit_type) values ('Open'), ('OneRoom');
         insert into resources (resource_id, name) values (103, 'Theatre');
         insert into visit_type_resources (visit_type, resource_id) values ('OneRoom', 103);
         insert into visit_type_providers (visit_type, provider_id) values ('Open', 1);
         insert into working_hours (provider_id, weekday, start_time, end_time) values (1, 2, '09:00', \
         '20:00');",
    )];
    for number in 0..REQUESTS {
        let provider = 1001 + number;
        sql.push(format!(
            "insert into providers (provider_id, name) values ({provider}, 'P');
             insert into visit_type_providers (visit_type, provider_id) values ('Open', {provider}), \
             ('OneRoom', {provider});
             insert into working_hours (provider_id, weekday, start_time, end_time) values ({provider}, 2, \
             '09:00', '20:00');
             insert into patients (patient_id, first_name, last_name, full_name, created_at, updated_at)
             values (5000 + {number}, 'A', 'B', 'A B', '2026-01-02T10:00:00Z', '2026-01-02T10:00:00Z');",
        ));
    }
    office.sql(&sql.join(" ")).await;
}

/// Asserts that exactly the possible visits were booked.
///
/// Every start was booked or overlaps one that was; no visits overlap; all other calls returned
/// 409; and the stored visits are the ones that were confirmed.
async fn assert_exact(office: &Office, statuses: &[u16]) {
    let booked = statuses.iter().filter(|status| **status == 201).count();
    let refused = statuses.iter().filter(|status| **status == 409).count();
    assert_eq!(booked + refused, statuses.len(), "{statuses:?}");
    let overlaps = "select count(*) from visits a join visits b on a.visit_id < b.visit_id
        where a.starts_at < b.ends_at and b.starts_at < a.ends_at";
    assert_eq!(office.integer(overlaps).await, 0, "visits overlap");
    assert_eq!(office.integer("select count(*) from visits").await, i64::try_from(booked).unwrap());
    assert_eq!(
        office.integer("select count(*) from log where table_name = 'visits'").await,
        i64::try_from(booked).unwrap()
    );
    for start in 0..REQUESTS {
        let (from, to) = (NINE + start * 300, NINE + start * 300 + 1800);
        let near = format!("select count(*) from visits where starts_at < {to} and ends_at > {from}");
        assert!(office.integer(&near).await > 0, "start {start} was refused though it was free");
    }
}

async fn a_provider_is_never_double_booked(office: Office) {
    let office = Arc::new(office);
    prepare(&office).await;
    let statuses = book_staggered(&office, |_| json!({})).await;
    assert_exact(&office, &statuses).await;
}
on_both_databases!(a_provider_is_never_double_booked);

async fn a_room_is_never_double_booked(office: Office) {
    let office = Arc::new(office);
    prepare(&office).await;
    let statuses =
        book_staggered(&office, |start| json!({ "ProviderID": 1001 + start, "VisitType": "OneRoom" })).await;
    assert_exact(&office, &statuses).await;
}
on_both_databases!(a_room_is_never_double_booked);

async fn a_patient_is_never_double_booked(office: Office) {
    let office = Arc::new(office);
    prepare(&office).await;
    let statuses =
        book_staggered(&office, |start| json!({ "ProviderID": 1001 + start, "PatientID": 5000 })).await;
    assert_exact(&office, &statuses).await;
}
on_both_databases!(a_patient_is_never_double_booked);

async fn only_one_of_several_visits_can_move_to_the_same_start(office: Office) {
    let office = Arc::new(office);
    prepare(&office).await;
    let token: Arc<str> = office.token("all").await.into();
    let mut tasks = Vec::new();
    for number in 0..8 {
        let body = json!({
            "PatientID": 5000 + number, "ProviderID": 1, "VisitType": "Open", "VisitDate": "2026-03-10",
            "VisitTime": format!("{:02}:00", 9 + number), "VisitDuration": 30 });
        let id =
            office.post("/v1/DemoOffice/visits/book", &body).await.expect(201)["data"]["VisitID"].clone();
        let (office, token) = (office.clone(), token.clone());
        tasks.push(async move {
            let body = json!({ "VisitDate": "2026-03-10", "VisitTime": format!("18:{:02}", number) });
            let path = format!("/v1/DemoOffice/visits/{id}/reschedule");
            office.send(&token, "POST", &path, Some(&body)).await.status.as_u16()
        });
    }
    let running: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
    let mut statuses = Vec::new();
    for task in running {
        statuses.push(task.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409, 409, 409, 409, 409]);
    assert_eq!(office.integer("select count(*) from visits where visit_time >= '18:00:00'").await, 1);
}
on_both_databases!(only_one_of_several_visits_can_move_to_the_same_start);
