//! `kill -9` of functions and of the whole stack loses nothing that was acknowledged.

use std::collections::HashSet;

use serde_json::json;
use tokio::sync::watch;

use crate::{
    main_job::{booking, free_slots},
    partner::Endpoint,
    running::{Stack, kill},
};

/// Functions are killed once per this many bookings.
const KILL_WITH: usize = 6;

/// Books slots one after the other; returns the acknowledged visits. `begun` counts the bookings
/// started.
async fn book_all(
    stack: &Stack,
    token: &str,
    slots: &[(String, String)],
    patients: &[i64],
    begun: &watch::Sender<usize>,
) -> Vec<i64> {
    let mut booked = Vec::new();
    for (slot, patient) in slots.iter().zip(patients.iter().cycle()) {
        begun.send_modify(|begun| *begun += 1);
        let reply =
            stack.send(token, "POST", "/v1/DemoOffice/visits/book", Some(&booking(*patient, slot))).await;
        // No response, or a 5xx from a killed function: not acknowledged.
        if let Some(reply) = reply.filter(|it| it.status == 201) {
            booked.push(reply.body["data"]["VisitID"].as_i64().unwrap());
        }
    }
    booked
}

/// Kills the processes of these functions; returns their number.
fn kill_all(stack: &Stack, functions: &[&str]) -> usize {
    let running: Vec<u32> = functions.iter().flat_map(|function| stack.processes_of(function)).collect();
    running.iter().copied().for_each(kill);
    running.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_of_functions_and_the_stack_lose_no_booking_and_no_event() {
    let folder = tempfile::tempdir().unwrap();
    // With a short lease, the practices of a killed poller are soon polled again.
    let options = ["--every", "1", "--set", "POLL_LEASE_SECONDS=3"];
    let mut stack = Stack::start(folder.path(), &options).await;
    let token = stack.token().await;
    let endpoint = Endpoint::open().await;
    let signup = json!({ "hookUrl": endpoint.url, "scopes": ["Encounters", "Payments"] });
    stack.expect(&token, "POST", "/v1/webhooks/signup", Some(&signup), 201).await;
    let patients: Vec<i64> =
        stack.expect(&token, "GET", "/v1/DemoOffice/prospects?limit=50", None, 200).await["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["PatientID"].as_i64().unwrap())
            .collect();
    let slots = free_slots(&stack, &token).await;
    let half = slots.len().min(80) / 2;
    assert!(half >= 20, "the demo practice has too few free slots");

    // Kill functions during bookings.
    let begun = watch::Sender::new(0);
    let mut acknowledged = {
        let killer = async {
            let (mut progress, mut processes) = (begun.subscribe(), 0);
            for round in 1..=half / KILL_WITH {
                progress.wait_for(|begun| *begun >= round * KILL_WITH).await.unwrap();
                processes += kill_all(&stack, &["visits", "log-poller", "webhook-fanout"]);
            }
            processes
        };
        let bookings = book_all(&stack, &token, &slots[..half], &patients, &begun);
        let (processes, acknowledged) = tokio::join!(killer, bookings);
        assert!(processes >= 3, "only {processes} processes were killed");
        acknowledged
    };
    // Kill functions during deliveries.
    stack.emit("Payments", 50).await;
    endpoint.receives(1, |it| it["event"] == "Payments").await;
    kill_all(&stack, &["log-poller", "webhook-fanout"]);

    // Kill the whole stack during bookings, and restart it.
    stack.emit("Payments", 50).await;
    {
        begun.send_replace(0);
        let killer = async {
            begun.subscribe().wait_for(|begun| *begun > KILL_WITH).await.unwrap();
            kill(stack.pid());
        };
        let bookings = book_all(&stack, &token, &slots[half..2 * half], &patients, &begun);
        let ((), booked) = tokio::join!(killer, bookings);
        assert!(booked.len() < half, "the stack was killed too late to prove anything");
        acknowledged.extend(booked);
    }
    stack.kill();
    drop(stack);
    let stack = Stack::start(folder.path(), &options).await;
    let token = stack.token().await;

    assert!(acknowledged.len() >= 10, "too few bookings went through to prove anything");
    for visit in &acknowledged {
        let path = format!("/v1/DemoOffice/visits/{visit}");
        stack.expect(&token, "GET", &path, None, 200).await;
    }
    let wanted: HashSet<i64> = acknowledged.iter().copied().collect();
    let of_booking = |it: &serde_json::Value| {
        it["event"] == "Encounters" && it["recordId"].as_i64().is_some_and(|id| wanted.contains(&id))
    };
    endpoint.receives(wanted.len(), of_booking).await;
    endpoint.receives(100, |it| it["event"] == "Payments").await;
}
