//! The cost of calls in DynamoDB, in callers' time and the operator's money.

use officepro_operator::access;
use serde_json::json;
use shared::{
    control::partners::PartnerStatus,
    domain::{EventScope, delivery::WithheldReason, ids::PartnerId},
};
use webhook_fanout::Lane;

use crate::{
    access_matrix::{Access, operations},
    office::{Engine, Office, Receiver},
    pipeline,
};

pub(crate) fn is_write(operation: &str) -> bool {
    !["GetItem", "BatchGetItem", "Query", "TransactGetItems"].contains(&operation)
}

#[tokio::test]
async fn a_warm_authenticated_call_makes_no_store_request() {
    let office = Office::open(Engine::Sqlite).await;
    let token = office.token("all").await;
    // Data of the control plane that a partner reads is read there, once.
    let of_the_control_plane = |path: &str| path.starts_with("/v1/me") || path.starts_with("/v1/webhooks");
    let mut free = 0;
    for operation in
        operations().iter().filter(|it| it.method == "GET" && matches!(it.access, Access::Partner(_)))
    {
        let path = operation.filled();
        office.send(&token, "GET", &path, None).await;
        office.store_calls.take();
        office.send(&token, "GET", &path, None).await;
        let asked = office.store_calls.take();
        if of_the_control_plane(&path) {
            assert!(asked.iter().all(|it| !is_write(it)), "{path}: {asked:?}");
        } else {
            assert_eq!(asked, Vec::<String>::new(), "{path}");
            free += 1;
        }
    }
    assert!(free >= 15, "{free}");
    assert_eq!(
        (office.send(&token, "GET", "/v1/me", None).await.status.as_u16(), office.store_calls.take()),
        (200, vec!["GetItem".to_owned()])
    );
}

#[tokio::test]
async fn a_warm_practice_write_makes_no_store_request() {
    let office = Office::open(Engine::Sqlite).await;
    let token = office.token("all").await;
    let person = |name| json!({ "FirstName": name, "LastName": "Warm", "Phone": "212-555-0190" });
    let path = "/v1/DemoOffice/prospects";
    office.send(&token, "POST", path, Some(&person("Ann"))).await.expect(201);
    office.store_calls.take();
    office.send(&token, "POST", path, Some(&person("Bea"))).await.expect(201);
    assert_eq!(office.store_calls.take(), Vec::<String>::new());
}

#[tokio::test]
async fn records_of_many_calls_are_written_in_one_batch() {
    let office = Office::open(Engine::Sqlite).await;
    let token = office.token("all").await;
    office.send(&token, "GET", "/v1/DemoOffice/tags", None).await.expect(200);
    office.app.flush().await;
    office.store_calls.take();
    for _ in 0..20 {
        office.send(&token, "GET", "/v1/DemoOffice/tags", None).await.expect(200);
    }
    office.app.flush().await;
    let asked = office.store_calls.take();
    assert!((1..=4).contains(&asked.len()), "{asked:?}");
}

#[tokio::test]
async fn a_delivery_costs_at_most_two_writes() {
    let office = Office::open(Engine::Sqlite).await;
    let hook = Receiver::start().await;
    let signup = json!({ "hookUrl": hook.url, "scopes": ["Patients"] });
    office.post("/v1/webhooks/signup", &signup).await.expect(201);
    let person = json!({ "FirstName": "Ann", "LastName": "Warm", "Phone": "212-555-0190" });
    // The first one also leases ids.
    for round in 0..3 {
        office.post("/v1/DemoOffice/prospects", &person).await.expect(201);
        pipeline::poll(&office).await;
        let queued = office.queue.receive().await;
        let bodies: Vec<&str> = queued.iter().map(|message| message.body.as_str()).collect();
        assert_eq!(bodies.len(), 1);
        office.store_calls.take();
        webhook_fanout::deliver(&office.app, Lane::Fast, pipeline::event(&bodies)).await;
        let writes: Vec<String> = office.store_calls.take().into_iter().filter(|it| is_write(it)).collect();
        if round > 0 {
            assert!(writes.len() <= 2, "{writes:?}");
        }
        assert_eq!(hook.received().len(), round + 1);
    }
}

#[tokio::test]
async fn a_partner_of_many_practices_is_read_once_for_all_of_them() {
    let office = Office::open(Engine::Sqlite).await;
    let partner = PartnerId("prt_acme".into());
    let mut reads = Vec::new();
    for practicepass in [office.db.practicepass(), office.other_db.practicepass()] {
        office.store_calls.take();
        office.app.partner_access(practicepass, &partner).await.unwrap();
        let calls = office.store_calls.take();
        reads.push(calls.iter().filter(|it| *it == "GetItem").count());
    }
    let keys = office.app.control.keys_in_practice(office.other_db.practicepass(), &partner).await.unwrap();
    assert_eq!(reads[1], keys.len(), "the partner itself is known: {reads:?}");
}

/// What is known of a partner and of its keys in a practice grows old at different times.
#[tokio::test]
async fn a_suspension_is_seen_within_forty_seconds_in_every_practice() {
    let office = Office::open(Engine::Sqlite).await;
    let partner = PartnerId("prt_acme".into());
    let process = office.another_app(|_| ());
    let is_suspended = async |second: i64, practicepass| {
        office.set_time(&format!("2026-03-09T12:00:{second:02}Z"));
        let access = process.partner_access(practicepass, &partner).await.unwrap();
        let refused = access.permit(EventScope::Claims, process.clock.now()).err();
        refused == Some(WithheldReason::PartnerSuspended)
    };
    let [one, other] = [office.db.practicepass(), office.other_db.practicepass()];
    assert!(!is_suspended(0, one).await);
    let (control, now) = (&office.app.control, office.app.clock.now());
    access::set_partner_status(control, &partner.0, PartnerStatus::Suspended, now).await.unwrap();
    assert!(!is_suspended(9, other).await, "the last moment at which what is known of the partner is used");
    assert!(is_suspended(30, one).await);
    assert!(is_suspended(39, other).await);
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_prolong_access() {
    let office = Office::open(Engine::Sqlite).await;
    let (partner, practicepass) = (PartnerId("prt_acme".into()), office.db.practicepass());
    let process = office.another_app(|_| ());
    office.set_time("2027-03-09T12:00:00Z");
    process.partner_access(practicepass, &partner).await.unwrap();
    let control = &office.app.control;
    access::set_partner_status(control, &partner.0, PartnerStatus::Suspended, office.app.clock.now())
        .await
        .unwrap();
    office.set_time("2026-03-09T12:00:00Z");
    let access = process.partner_access(practicepass, &partner).await.unwrap();
    let refused = access.permit(EventScope::Claims, process.clock.now()).err();
    assert_eq!(refused, Some(WithheldReason::PartnerSuspended), "it could be used for a year");
}
