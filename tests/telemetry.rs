//! Calls and deliveries as operators see them: log lines, metrics, and a request id that connects
//! them.

mod emf;
mod request_ids;

use std::collections::BTreeMap;

use futures::FutureExt;
use serde_json::{Value, json};
use tracing::instrument::WithSubscriber;

use crate::{
    office::{Answer, Engine, Logs, Office, Receiver},
    pipeline::{self, event},
};
use webhook_fanout::Lane;

/// Performs everything that has metrics, except a cold start, once with success and once with
/// failure.
async fn operate(office: &Office) {
    let hook = Receiver::start().await;
    let signup = json!({ "hookUrl": hook.url, "scopes": ["Patients"] });
    office.post("/v1/webhooks/signup", &signup).await.expect(201);
    office.get("/v1/DemoOffice/prospects/1001").await.expect(200);
    office.get("/v1/DemoOffice/Canary/1001?search=Canary").await.expect(404);
    office.post("/v1/health", &json!({})).await.expect(405);
    office
        .sql(
            "insert into log (table_name, action, record_id, logged_at) values ('patients', 'insert', \
        1001, '2026-03-09T11:59:58Z')",
        )
        .await;
    office
        .sql(
            "insert into log (table_name, action, record_id, logged_at) values ('patients', 'insert', \
        1002, '2026-03-09T11:59:57Z')",
        )
        .await;
    pipeline::poll(office).await;
    hook.then(Answer::status(500));
    for (message, lane) in office.queue.receive().await.iter().zip([Lane::Fast, Lane::Slow]) {
        webhook_fanout::deliver(&office.app, lane, event(&[&message.body])).await;
    }
    office.set_time("2026-03-09T12:00:20Z");
    pipeline::poll(office).await;
}

async fn watched(filter: &str, namespace: Option<&str>) -> Logs {
    let office = Office::open(Engine::Sqlite).await;
    let logs = Logs::default();
    operate(&office).boxed_local().with_subscriber(logs.filtered(filter, namespace)).await;
    logs
}

/// Returns the names and values of the metrics that CloudWatch extracts from a line.
fn metrics_of(line: &Value) -> Value {
    let named = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap();
    named
        .iter()
        .map(|it| it["Name"].as_str().unwrap())
        .map(|name| (name.to_owned(), line[name].clone()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_measured_by_route_and_never_by_path() {
    let logs = watched("info", Some("Tests")).await;
    let calls = logs.of("call");
    let routes: Vec<&str> = calls.iter().map(|it| it["Route"].as_str().unwrap()).collect();
    assert_eq!(
        routes,
        ["POST /v1/webhooks/signup", "GET /v1/{PPass}/prospects/{id}", "unmatched", "unmatched"],
        "a wrong method has no route"
    );
    let read = &calls[1];
    assert_eq!(read["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["Route"]]));
    assert_eq!(
        (&read["status"], &read["Faults"], &read["function"]),
        (&json!(200), &json!(0), &json!("tests"))
    );
    assert_eq!((&read["practice"], &read["partner"]), (&json!("DemoOffice"), &json!("prt_acme")));
    assert!(
        read["Duration"].as_f64().unwrap() > 0.0 && read["requestId"].as_str().unwrap().starts_with("req_")
    );
    assert_eq!(metrics_of(read).as_object().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_is_counted_and_its_cause_is_logged_with_the_request_id() {
    let office = Office::open(Engine::Sqlite).await;
    let logs = Logs::default();
    office.sql("drop table tickets").await;
    let call = office.get("/v1/DemoOffice/tickets");
    let reply = call.boxed_local().with_subscriber(logs.subscriber()).await;
    let request_id = reply.expect(500)["requestId"].clone();
    let (failed, call) = (logs.of("the call failed").remove(0), logs.of("call").remove(0));
    assert_eq!(call["Faults"], 1);
    for line in [failed, call] {
        assert_eq!(line["requestId"], request_id);
        assert_eq!(line["Route"], "GET /v1/{PPass}/tickets");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_are_measured_by_lane() {
    let logs = watched("info", Some("Tests")).await;
    let [failed, delivered] = &logs.of("delivery attempted")[..] else { panic!("{}", logs.text()) };
    assert_eq!(failed["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["Lane"]]));
    assert_eq!((&failed["Lane"], &failed["status"]), (&json!("fast"), &json!(500)));
    assert_eq!(metrics_of(failed), json!({ "Delivered": 0, "DeliveryFailures": 1 }));
    assert_eq!((&delivered["Lane"], &delivered["status"]), (&json!("slow"), &json!(200)));
    let lag = if delivered["eventId"] == "DemoOffice-1" { 2000 } else { 3000 };
    assert_eq!(metrics_of(delivered), json!({ "Delivered": 1, "DeliveryFailures": 0, "DeliveryLag": lag }));
    for line in [failed, delivered] {
        for name in ["deliveryId", "subscriptionId", "attempt", "durationMs"] {
            assert!(line[name].is_u64(), "{name}: {line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poll_reports_its_reads_and_the_due_retries() {
    let logs = watched("info", Some("Tests")).await;
    let polled: Vec<Value> = logs.of("polled").iter().map(metrics_of).collect();
    let read = |events: u64| json!({ "EventsRead": events, "PracticesFailed": 0 });
    assert_eq!(polled, [read(2), read(0)]);
    assert_eq!(logs.of("polled")[0]["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([[]]));
    let due: Vec<Value> = logs.of("due").iter().map(metrics_of).collect();
    assert_eq!(due[0], json!({ "DueRetries": 0, "OldestDueSeconds": 0 }));
    assert_eq!(due[1]["DueRetries"], 1, "the failed one waits since 5 s after its attempt");
    let oldest = due[1]["OldestDueSeconds"].as_i64().unwrap();
    assert!((14..=15).contains(&oldest), "{oldest} s: jitter makes the wait up to a tenth longer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unpolled_practice_is_counted() {
    let office = Office::open(Engine::Sqlite).await;
    let logs = Logs::default();
    let signup = json!({ "hookUrl": "https://partner.example.com/hook", "scopes": ["Patients"] });
    office.post("/v1/webhooks/signup", &signup).await.expect(201);
    office.sql("alter table log rename to gone").await;
    pipeline::poll(&office).boxed_local().with_subscriber(logs.subscriber()).await;
    assert_eq!(metrics_of(&logs.of("polled")[0]), json!({ "EventsRead": 0, "PracticesFailed": 1 }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_level_hides_no_metric_and_metrics_need_a_namespace() {
    let quiet = watched("error", Some("Tests")).await;
    assert_eq!(quiet.lines(), quiet.metrics());
    let messages = |logs: &Logs| -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        logs.metrics().iter().for_each(|it| *counts.entry(it["message"].to_string()).or_default() += 1);
        counts
    };
    assert_eq!(messages(&quiet), messages(&watched("info", Some("Tests")).await));
    assert_eq!(watched("error", None).await.text(), "");
    let unmeasured = watched("info", None).await;
    assert_eq!((unmeasured.of("call").len(), unmeasured.metrics().len()), (4, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_event_is_not_counted_in_a_lane() {
    let office = Office::open(Engine::Sqlite).await;
    let logs = Logs::default();
    let hook = Receiver::start().await;
    let signup = json!({ "hookUrl": hook.url, "scopes": ["Patients"] });
    office.post("/v1/webhooks/signup", &signup).await.expect(201);
    let nothing = json!({});
    let testing = office.post("/v1/webhooks/test", &nothing);
    testing.boxed_local().with_subscriber(logs.subscriber()).await.expect(200);
    let attempted = logs.of("delivery attempted").remove(0);
    assert!(attempted.get("_aws").is_none() && attempted.get("Lane").is_none(), "{attempted}");
    assert_eq!(attempted["Route"], "POST /v1/webhooks/test");
}
