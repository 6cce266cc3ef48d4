//! What an operator finds in the functions' logs.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    main_job::{booking, free_slots},
    partner::Endpoint,
    running::{MACHINE, Stack},
};

const OWN: &str = "booking-from-the-front-desk";

/// The lines of a function's log, each of which must be a JSON object.
fn lines(stack: &Stack, function: &str) -> Vec<Value> {
    let log = std::fs::read_to_string(stack.folder.join(format!("data/logs/{function}.log"))).unwrap();
    let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    log.lines().map(read).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_booking_is_followed_through_the_logs_to_the_partners_endpoint() {
    let _machine = MACHINE.read().await;
    let folder = tempfile::tempdir().unwrap();
    let stack = Stack::start(folder.path(), &[]).await;
    let token = stack.token().await;
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

    let arrival = endpoint.wait_for(1, Duration::from_secs(30), |_| true).await.remove(0);
    assert_eq!(arrival.header("x-request-id"), OWN);
    let delivery_id: i64 = arrival.header("x-officepro-delivery-id").parse().unwrap();
    let delivery = format!("/v1/webhooks/deliveries/{delivery_id}");
    assert_eq!(stack.expect(&token, "GET", &delivery, None, 200).await["data"]["requestId"], OWN);

    let visits = lines(&stack, "visits");
    let call = visits.iter().find(|line| line["requestId"] == OWN && line["message"] == "call").unwrap();
    assert_eq!((&call["Route"], &call["status"]), (&json!("POST /v1/{PPass}/visits/book"), &json!(201)));
    assert!(call["traceId"].as_str().unwrap().starts_with("1-"), "X-Ray's id as it is looked up: {call}");
    assert_eq!(call["lambdaRequestId"].as_str().unwrap().len(), 36);
    let fanout = lines(&stack, "webhook-fanout");
    let attempt = fanout.iter().find(|line| line["message"] == "delivery attempted").unwrap();
    assert_eq!((&attempt["requestId"], &attempt["deliveryId"]), (&json!(OWN), &json!(delivery_id)));
    assert_eq!((&attempt["Lane"], &attempt["status"]), (&json!("fast"), &json!(200)));

    // What the EMR writes is followed from the poll that found it.
    stack.emit("Claims", 1).await;
    let claim = endpoint.wait_for(1, Duration::from_secs(30), |it| it["event"] == "Claims").await.remove(0);
    let poll = claim.header("x-request-id").to_owned();
    let poller = lines(&stack, "log-poller");
    assert!(poller.iter().any(|line| line["lambdaRequestId"] == poll && line["message"] == "due"), "{poll}");

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
