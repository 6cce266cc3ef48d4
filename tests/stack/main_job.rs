//! A partner's main workflow: token, patient, slot, booking, event.

use serde_json::{Value, json};

use crate::{
    partner::Endpoint,
    running::{EVERYDAY, Stack},
    wait::until_true,
};

/// Returns free slots of provider 1 on the days after its next free slot, as (date, time).
pub(crate) async fn free_slots(stack: &Stack, token: &str) -> Vec<(String, String)> {
    let next = stack
        .expect(
            token,
            "GET",
            "/v1/DemoOffice/availability/providers/1/next-slot?duration=30&maxDays=60",
            None,
            200,
        )
        .await;
    let first = next["data"]["TheNextSlot"]["Date"].as_str().unwrap().parse::<jiff::civil::Date>().unwrap();
    let mut slots = Vec::new();
    for days in 1..30 {
        let date = first.checked_add(jiff::Span::new().days(days)).unwrap();
        let path = format!("/v1/DemoOffice/availability/providers/1/slots?date={date}&duration=30");
        let answer = stack.expect(token, "GET", &path, None, 200).await;
        for slot in answer["data"]["Slots"].as_array().unwrap() {
            slots.push((date.to_string(), slot.as_str().unwrap().to_owned()));
        }
    }
    slots
}

pub(crate) fn booking(patient: i64, slot: &(String, String)) -> Value {
    json!({
        "PatientID": patient, "ProviderID": 1, "VisitType": "Consult",
        "VisitDate": slot.0, "VisitTime": slot.1, "VisitDuration": 30,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partner_finds_a_patient_books_a_slot_and_gets_the_event() {
    let stack = EVERYDAY.stack().await;
    let token = stack.token_of_new_partner("Main Job").await;
    let endpoint = Endpoint::open().await;

    let signup = json!({ "hookUrl": endpoint.url, "scopes": ["Encounters", "Payments"] });
    let subscription = stack.expect(&token, "POST", "/v1/webhooks/signup", Some(&signup), 201).await;
    assert_eq!(subscription["message"], "Webhook subscription created successfully");
    let secret = subscription["data"]["secret"].as_str().unwrap();

    let found = stack.expect(&token, "GET", "/v1/DemoOffice/prospects?limit=1", None, 200).await;
    let patient = found["data"][0]["PatientID"].as_i64().unwrap();
    let slot = free_slots(&stack, &token).await.remove(0);
    let booked =
        stack.expect(&token, "POST", "/v1/DemoOffice/visits/book", Some(&booking(patient, &slot)), 201).await;
    let visit = booked["data"]["VisitID"].as_i64().unwrap();
    let again =
        stack.expect(&token, "POST", "/v1/DemoOffice/visits/book", Some(&booking(patient, &slot)), 409).await;
    assert!(again["code"].as_str().unwrap().ends_with("_CONFLICT"));

    let of_visit = |it: &Value| it["event"] == "Encounters" && it["recordId"] == visit;
    let arrival = endpoint.receives(1, of_visit).await.remove(0);
    assert!(arrival.is_signed_with(secret));
    assert_eq!(arrival.header("x-officepro-event"), "Encounters");
    let event = arrival.json();
    assert_eq!(event["eventId"], arrival.header("x-officepro-event-id"));
    assert_eq!(event["action"], "created");
    assert_eq!(event["practicepass"], "DemoOffice");
    assert_eq!(event["eventId"], format!("DemoOffice-{}", event["logId"]));

    stack.emit("Payments", 3).await;
    let arrivals = endpoint.receives(3, |it| it["event"] == "Payments").await;
    assert!(arrivals.iter().all(|it| it.is_signed_with(secret)));

    until_true("the event among the deliveries", async || {
        let deliveries = stack.expect(&token, "GET", "/v1/webhooks/deliveries", None, 200).await;
        let deliveries = deliveries["data"].as_array().unwrap();
        deliveries.iter().any(|it| it["eventId"] == event["eventId"] && it["success"] == true)
    })
    .await;
}
