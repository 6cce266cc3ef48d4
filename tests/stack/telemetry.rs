//! The functions' logs, as operators use them.

use serde_json::{Value, json};

use crate::{
    main_job::{booking, free_slots},
    partner::Endpoint,
    running::{EVERYDAY, Stack},
    wait::until,
};

const OWN: &str = "booking-from-the-front-desk";

/// Returns the complete lines of a function's log, each of which must be JSON.
pub(crate) fn lines(stack: &Stack, function: &str) -> Vec<Value> {
    let log = std::fs::read_to_string(stack.folder.join(format!("data/logs/{function}.log"))).unwrap();
    let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(read).collect()
}

/// Waits for the first line that `wanted` accepts.
async fn line_of(stack: &Stack, function: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    until(&format!("a line of {function}"), async || {
        lines(stack, function).into_iter().find(&wanted).ok_or_else(String::new)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_booking_can_be_traced_through_the_logs_to_the_endpoint() {
    let stack = EVERYDAY.stack().await;
    let token = stack.token_of_new_partner("Telemetry").await;
    let endpoint = Endpoint::open().await;
    let signup = json!({ "hookUrl": endpoint.url, "scopes": ["Encounters", "Claims"] });
    stack.expect(&token, "POST", "/v1/webhooks/signup", Some(&signup), 201).await;
    let found = stack.expect(&token, "GET", "/v1/DemoOffice/prospects?limit=1", None, 200).await;
    let patient = found["data"][0]["PatientID"].as_i64().unwrap();
    let slot = free_slots(&stack, &token).await.remove(0);
    let authorization = format!("Bearer {token}");
    let headers = [("authorization", authorization.as_str()), ("x-request-id", OWN)];
    let url = format!("{}/v1/DemoOffice/visits/book", stack.base);
    let booked =
        stack.http.send_with("POST", &url, &headers, booking(patient, &slot).to_string()).await.unwrap();
    assert_eq!(booked.status, 201, "{}", booked.body);

    let visit = booked.body["data"]["VisitID"].clone();
    let of_visit = |it: &Value| it["event"] == "Encounters" && it["recordId"] == visit;
    let arrival = endpoint.receives(1, of_visit).await.remove(0);
    assert_eq!(arrival.header("x-request-id"), OWN);
    let delivery_id: i64 = arrival.header("x-officepro-delivery-id").parse().unwrap();
    let delivery = format!("/v1/webhooks/deliveries/{delivery_id}");
    assert_eq!(stack.expect(&token, "GET", &delivery, None, 200).await["data"]["requestId"], OWN);

    let of_call = |line: &Value| line["requestId"] == OWN && line["message"] == "call";
    let call = line_of(&stack, "visits", of_call).await;
    assert_eq!((&call["Route"], &call["status"]), (&json!("POST /v1/{PPass}/visits/book"), &json!(201)));
    assert!(call["traceId"].as_str().unwrap().starts_with("1-"), "X-Ray's id as it is looked up: {call}");
    assert_eq!(call["lambdaRequestId"].as_str().unwrap().len(), 36);
    // The outcome is logged after the arrival.
    let attempt = line_of(&stack, "webhook-fanout", |line| {
        line["message"] == "delivery attempted" && line["deliveryId"] == delivery_id
    });
    let attempt = attempt.await;
    assert_eq!(attempt["requestId"], OWN);
    assert_eq!((&attempt["Lane"], &attempt["status"]), (&json!("fast"), &json!(200)));

    // An event of the EMR is traced from the poll that found it.
    stack.emit("Claims", 1).await;
    let claim = endpoint.receives(1, |it| it["event"] == "Claims").await.remove(0);
    let poll = claim.header("x-request-id").to_owned();
    line_of(&stack, "log-poller", |line| line["lambdaRequestId"] == poll && line["message"] == "due").await;

    for function in ["visits", "availability", "webhooks", "log-poller", "webhook-fanout"] {
        let lines = lines(&stack, function);
        let mut processes = lines.iter().filter(|line| line["message"] == "cold start").peekable();
        assert!(processes.peek().is_some(), "{function} never began");
        assert!(processes.all(|it| it["initMs"].is_f64() && it["coldStart"] == true), "{function}");
        for line in &lines {
            assert_eq!(line["function"], function);
            assert!(line["lambdaRequestId"].is_string(), "a line that belongs to no invocation: {line}");
        }
    }
}
