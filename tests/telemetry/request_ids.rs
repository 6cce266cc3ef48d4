//! A request id connects the call that booked with the partner's endpoint.

use futures::FutureExt;
use serde_json::{Value, json};
use shared::{
    control::deliveries::Delivery,
    domain::{
        RequestId,
        ids::{LogId, SubscriptionId},
    },
};
use tracing::instrument::WithSubscriber;
use webhook_fanout::Lane;

use crate::{
    office::{Answer, Logs, Office, Receiver, on_both_databases},
    pipeline::{self, deliver, event},
};

const OWN: &str = "booking-from-the-front-desk";
const POLL: &str = "7c5ad4f2-4a2e-4d4c-9a9c-5d2a7a3f6c11";

async fn poll(office: &Office) {
    let schedule = log_poller::Poll { shard: 0, of: 1, once: true };
    let deadline = office.app.clock.now() + std::time::Duration::from_mins(1);
    log_poller::run(&office.app, schedule, deadline, RequestId::parse(POLL).as_ref()).await.unwrap();
}

async fn sign_up(office: &Office) -> Receiver {
    let hook = Receiver::start().await;
    let signup = json!({ "hookUrl": hook.url, "scopes": ["Patients", "Encounters"] });
    office.post("/v1/webhooks/signup", &signup).await.expect(201);
    hook
}

async fn book(office: &Office) {
    let booking = json!({
        "PatientID": 1001, "ProviderID": 1, "VisitType": "Consult",
        "VisitDate": "2026-03-12", "VisitTime": "10:00", "VisitDuration": 30,
    });
    let authorization = format!("Bearer {}", office.token("all").await);
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
        ("x-request-id", OWN),
    ];
    let booking = booking.to_string();
    office.call("POST", "/v1/DemoOffice/visits/book", &headers, Some(&booking)).await.expect(201);
}

/// Returns the request ids of the messages that can be received now, ordered by their log ids.
async fn queued(office: &Office) -> Vec<Value> {
    let received = office.queue.receive().await;
    let mut bodies: Vec<Value> = received.iter().map(|it| serde_json::from_str(&it.body).unwrap()).collect();
    bodies.sort_by_key(|body| body["logId"].as_i64());
    bodies.into_iter().map(|body| body["requestId"].clone()).collect()
}

async fn a_booking_is_traced_by_its_request_id_to_the_endpoint(office: Office) {
    let hook = sign_up(&office).await;
    let logs = Logs::default();
    let journey = async {
        book(&office).await;
        poll(&office).await;
        hook.then(Answer::status(500));
        assert_eq!(deliver(&office).await, 0);
        office.set_time("2026-03-09T12:00:10Z");
        let waiting = pipeline::queued(&office).await;
        let [retry] = &waiting[..] else { panic!("{waiting:?}") };
        webhook_fanout::deliver(&office.app, Lane::Fast, event(&[retry])).await;
    };
    journey.boxed_local().with_subscriber(logs.subscriber()).await;

    let received = hook.received();
    let sent: Vec<&str> = received.iter().map(|it| it.header("x-request-id")).collect();
    assert_eq!(sent, [OWN, OWN], "the retry keeps it");
    let deliveries = office.get("/v1/webhooks/deliveries").await;
    assert_eq!(deliveries.expect(200)["data"][0]["requestId"], OWN);
    let id = deliveries.body["data"][0]["id"].as_i64().unwrap();
    let one = office.get(&format!("/v1/webhooks/deliveries/{id}")).await;
    assert_eq!(one.expect(200)["data"]["requestId"], OWN);
    let monitor = office.admin("GET", "/v1/admin/webhooks/monitor", None).await;
    assert!(monitor.expect(200).to_string().contains(OWN), "administrators see it, too");
    let lines = logs.lines();
    let told: Vec<&str> = lines
        .iter()
        .filter(|line| line["requestId"] == OWN)
        .map(|line| line["message"].as_str().unwrap())
        .collect();
    assert_eq!(told, ["call", "delivery attempted", "delivery attempted"]);
}
on_both_databases!(a_booking_is_traced_by_its_request_id_to_the_endpoint);

async fn an_emr_event_has_the_request_id_of_its_poll(office: Office) {
    let hook = sign_up(&office).await;
    office
        .sql(
            "insert into log (table_name, action, record_id, logged_at) values ('patients', 'insert', \
        1001, '2026-03-09T12:00:00Z')",
        )
        .await;
    poll(&office).await;
    deliver(&office).await;
    assert_eq!(hook.received()[0].header("x-request-id"), POLL);
}
on_both_databases!(an_emr_event_has_the_request_id_of_its_poll);

async fn only_a_valid_request_id_from_the_emr_is_passed_on(office: Office) {
    sign_up(&office).await;
    for id in ["'emr-request-1'", "'short'", "'John Doe, born 1987'", "''"] {
        office
            .sql(&format!(
                "insert into log (table_name, action, record_id, logged_at, request_id) values \
            ('patients', 'insert', 1001, '2026-03-09T12:00:00Z', {id})"
            ))
            .await;
    }
    poll(&office).await;
    assert_eq!(queued(&office).await, ["emr-request-1", POLL, POLL, POLL]);
}
on_both_databases!(only_a_valid_request_id_from_the_emr_is_passed_on);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_id_that_is_not_text_does_not_lose_the_event() {
    let office = Office::open(crate::office::Engine::Sqlite).await;
    sign_up(&office).await;
    office
        .sql(
            "insert into log (table_name, action, record_id, logged_at, request_id) values ('patients', \
        'insert', 1001, '2026-03-09T12:00:00Z', x'ff')",
        )
        .await;
    poll(&office).await;
    assert_eq!(queued(&office).await, [POLL]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_message_is_delivered_without_a_request_id() {
    let office = Office::open(crate::office::Engine::Sqlite).await;
    let hook = sign_up(&office).await;
    office
        .sql(
            "insert into log (table_name, action, record_id, logged_at) values ('patients', 'insert', \
        1001, '2026-03-09T12:00:00Z')",
        )
        .await;
    poll(&office).await;
    let message = office.queue.receive().await.remove(0);
    let mut old: Value = serde_json::from_str(&message.body).unwrap();
    assert_eq!(old.as_object_mut().unwrap().remove("requestId"), Some(json!(POLL)));
    webhook_fanout::deliver(&office.app, Lane::Fast, event(&[&old.to_string()])).await;
    let received = hook.received().remove(0);
    assert_eq!(received.header("x-request-id"), "");
    let log_id = LogId(received.json()["logId"].as_i64().unwrap());
    let key = Delivery::key_of(office.db.practicepass(), SubscriptionId(1), log_id);
    assert_eq!(office.app.control.delivery(&key).await.unwrap().unwrap().request_id, None);
}
