//! kill -9 of functions and of the whole stack loses nothing that was acknowledged.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::json;

use crate::{
    main_job::{booking, free_slots},
    partner::Endpoint,
    running::{MACHINE, Stack, kill},
};

/// Books slots one after the other until told to stop or out of slots; the visits that were acknowledged.
async fn book_all(stack: &Stack, token: &str, slots: &[(String, String)], patients: &[i64]) -> Vec<i64> {
    let mut booked = Vec::new();
    for (slot, patient) in slots.iter().zip(patients.iter().cycle()) {
        let reply =
            stack.send(token, "POST", "/v1/DemoOffice/visits/book", Some(&booking(*patient, slot))).await;
        // No answer, or a 5xx of a killed function: nothing was acknowledged.
        if let Some(reply) = reply.filter(|it| it.status == 201) {
            booked.push(reply.body["data"]["VisitID"].as_i64().unwrap());
        }
    }
    booked
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_functions_and_the_stack_loses_no_booking_and_no_event() {
    let _machine = MACHINE.read().await;
    let folder = tempfile::tempdir().unwrap();
    let mut stack = Stack::start(folder.path(), &[]).await;
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

    // Functions are killed while bookings and deliveries go on.
    let done = Arc::new(AtomicBool::new(false));
    let mut acknowledged = {
        let stack = &stack;
        let killer = async {
            let mut killed = 0;
            while !done.load(Ordering::Relaxed) {
                for function in ["visits", "log-poller", "webhook-fanout"] {
                    for pid in stack.processes_of(function) {
                        kill(pid);
                        killed += 1;
                    }
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
            }
            killed
        };
        let bookings = async {
            let acknowledged = book_all(stack, &token, &slots[..half], &patients).await;
            stack.emit("Payments", 50).await;
            tokio::time::sleep(Duration::from_secs(3)).await;
            done.store(true, Ordering::Relaxed);
            acknowledged
        };
        let (kills, acknowledged) = tokio::join!(killer, bookings);
        assert!(kills >= 3, "only {kills} processes were killed");
        acknowledged
    };

    // The whole stack is killed while bookings go on, and started again.
    stack.emit("Payments", 50).await;
    {
        let killer = async {
            tokio::time::sleep(Duration::from_millis(400)).await;
            kill(stack.pid());
        };
        let bookings = book_all(&stack, &token, &slots[half..2 * half], &patients);
        let ((), booked) = tokio::join!(killer, bookings);
        assert!(booked.len() < half, "the stack was killed too late to prove anything");
        acknowledged.extend(booked);
    }
    stack.kill();
    drop(stack);
    let stack = Stack::start(folder.path(), &[]).await;
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
    endpoint.wait_for(wanted.len(), Duration::from_mins(2), of_booking).await;
    endpoint.wait_for(100, Duration::from_mins(2), |it| it["event"] == "Payments").await;
}
