//! The overview of past calls.

use std::time::Duration;

use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use futures::future::join_all;
use serde_json::{Value, json};
use shared::{
    app::CallLog,
    control::{
        Store, TableNames,
        activity::{CallBatch, CallRecord},
    },
    domain::usage::Usage,
};

use crate::office::{Engine, Office, ends, records};

const OVERVIEW: &str = "/v1/admin/overview";

async fn overview(office: &Office, query: &str) -> Value {
    let reply = office.admin("GET", &format!("{OVERVIEW}{query}"), None).await;
    reply.expect(200)["data"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_overview_counts_five_hundred_calls_exactly() {
    let office = Office::open(Engine::Sqlite).await;
    let token = office.token("all").await;
    // Of five calls, one is rejected and one finds nothing.
    let call = async |number: usize| match number % 5 {
        0 => office.call("GET", "/v1/me", &[], None).await,
        1 => office.send(&token, "GET", "/v1/DemoOffice/prospects/999999", None).await,
        _ => office.send(&token, "GET", "/v1/me", None).await,
    };
    for round in 0..10 {
        let replies = join_all((0..50).map(|number| call(round * 50 + number))).await;
        assert!(replies.iter().all(|reply| [200, 401, 404].contains(&reply.status.as_u16())));
        // Environments flush by themselves, even during calls.
        tokio::join!(office.app.flush(), office.app.flush());
    }
    let mut expected = Usage::default();
    for record in office.app.control.calls_of_hour("2026-03-09T12").await.unwrap() {
        expected.note(record.status, record.duration_ms);
    }
    let data = overview(&office, "").await;
    assert_eq!(
        (&data["totalCalls"], &data["errorCount"], &data["successRate"]),
        (&json!(500), &json!(200), &json!(60.0))
    );
    assert_eq!(data["avgDurationMs"], json!(expected.average_ms()));
    assert_eq!(data["p95DurationMs"], json!(expected.p95_ms()));
    assert_eq!(data["multiTenant"], true);
    let days = data["days"].as_array().unwrap();
    assert_eq!(days.len(), 7);
    assert_eq!(days[0], json!({ "date": "2026-03-03", "calls": 0, "errors": 0 }));
    assert_eq!(days[6], json!({ "date": "2026-03-09", "calls": 500, "errors": 200 }));
    let top = data["topEndpoints"].as_array().unwrap();
    let counts: Vec<_> =
        top.iter().map(|it| (&it["method"], &it["endpoint"], &it["calls"], &it["errors"])).collect();
    assert_eq!(
        counts,
        [
            (&json!("GET"), &json!("/v1/me"), &json!(400), &json!(100)),
            (&json!("GET"), &json!("/v1/{PPass}/prospects/{id}"), &json!(100), &json!(100)),
        ]
    );
}

#[tokio::test]
async fn days_are_in_utc_and_limited_to_the_requested_range() {
    let office = Office::open(Engine::Sqlite).await;
    for time in
        ["2026-03-07T23:59:59Z", "2026-03-08T00:00:00Z", "2026-03-08T23:59:59Z", "2026-03-09T00:00:00Z"]
    {
        office.set_time(time);
        office.call("GET", "/v1/health", &[], None).await.expect(200);
    }
    office.app.flush().await;
    let calls = |data: &Value| -> Vec<u64> {
        data["days"].as_array().unwrap().iter().map(|day| day["calls"].as_u64().unwrap()).collect()
    };
    assert_eq!(calls(&overview(&office, "?days=2").await), [2, 1]);
    assert_eq!(calls(&overview(&office, "?days=3").await), [1, 2, 1]);
    assert_eq!(overview(&office, "?days=2").await["totalCalls"], 3);
    assert_eq!(calls(&overview(&office, "?days=90").await).len(), 90);
    for bad in ["0", "91", "x"] {
        let reply = office.admin("GET", &format!("{OVERVIEW}?days={bad}"), None).await;
        reply.expect_problem(400, "INVALID_QUERY");
    }
    office.get(OVERVIEW).await.expect_problem(401, "INVALID_ADMIN_SECRET");
}

#[tokio::test]
async fn every_figure_is_zero_without_calls() {
    let office = Office::open(Engine::Sqlite).await;
    let data = overview(&office, "?days=1").await;
    assert_eq!(data["days"], json!([{ "date": "2026-03-09", "calls": 0, "errors": 0 }]));
    for figure in ["totalCalls", "successRate", "avgDurationMs", "p95DurationMs", "errorCount"] {
        assert_eq!(data[figure].as_f64(), Some(0.0), "{figure}");
    }
    assert_eq!(data["topEndpoints"], json!([]));
}

/// Returns calls with these durations in milliseconds and counts, one per second from `first` on;
/// every tenth is rejected.
fn of_durations(durations: &[(usize, u64)], first: &str) -> Vec<CallRecord> {
    let each = durations.iter().flat_map(|(times, took)| std::iter::repeat_n(*took, *times));
    let each: Vec<u64> = each.collect();
    let mut calls = records(u32::try_from(each.len()).unwrap(), first);
    for (number, (call, took)) in calls.iter_mut().zip(each).enumerate() {
        call.duration_ms = took;
        if number % 10 == 9 {
            call.status = 404;
        }
    }
    calls
}

/// All figures were computed by hand.
#[tokio::test]
async fn average_p95_and_days_match_calls_of_known_durations() {
    let office = Office::open(Engine::Sqlite).await;
    let write = async |calls: Vec<CallRecord>| {
        for batch in CallBatch::seal(&calls) {
            office.app.control.record_calls(&batch).await.unwrap();
        }
    };
    // 95 of 100 took 5 ms, so that is the 95th percentile: (95 · 5 + 5 · 1000) / 100 = 54.75.
    write(of_durations(&[(95, 5), (5, 1000)], "2026-03-09T09:00:00Z")).await;
    let today = overview(&office, "?days=1").await;
    assert_eq!((&today["avgDurationMs"], &today["p95DurationMs"]), (&json!(54.8), &json!(5)));
    // Now the 190th of 200 took 1000 ms, which is counted in the bucket from 896 to 1023: (189 · 5
    // + 11 · 1000) / 200 = 59.725.
    write(of_durations(&[(94, 5), (6, 1000)], "2026-03-08T09:00:00Z")).await;
    let both = overview(&office, "?days=2").await;
    assert_eq!((&both["avgDurationMs"], &both["p95DurationMs"]), (&json!(59.7), &json!(1023)));
    assert_eq!(
        (&both["totalCalls"], &both["errorCount"], &both["successRate"]),
        (&json!(200), &json!(20), &json!(90.0))
    );
    let day = |date: &str| json!({ "date": date, "calls": 100, "errors": 10 });
    assert_eq!(both["days"], json!([day("2026-03-08"), day("2026-03-09")]));
}

#[tokio::test]
async fn a_batch_with_a_lost_reply_is_counted_once() {
    let office = Office::open(Engine::Sqlite).await;
    let batches = CallBatch::seal(&records(30, "2026-03-09T11:00:00Z"));
    assert_eq!(batches.len(), 2);
    for batch in batches.iter().chain(&batches) {
        office.app.control.record_calls(batch).await.unwrap();
    }
    assert_eq!(overview(&office, "?days=1").await["totalCalls"], 30);
    assert_eq!(office.app.control.calls_of_hour("2026-03-09T11").await.unwrap().len(), 30);
}

#[tokio::test]
async fn two_simultaneous_calls_with_one_request_id_are_both_counted() {
    let office = Office::open(Engine::Sqlite).await;
    for _ in 0..2 {
        office.call("GET", "/v1/health", &[("x-request-id", "the-same-0001")], None).await.expect(200);
    }
    office.app.flush().await;
    assert_eq!(overview(&office, "?days=1").await["totalCalls"], 2);
}

#[tokio::test]
async fn calls_rejected_by_the_store_are_written_by_the_next_flush() {
    let office = Office::open(Engine::Sqlite).await;
    let log = CallLog::default();
    for record in records(60, "2026-03-09T11:00:00Z") {
        log.push(record);
    }
    let timeout = office.app.config.timeouts.call_records;
    log.flush(&shared::control::Store::default(), timeout).await;
    assert_eq!(overview(&office, "?days=1").await["totalCalls"], 0);
    log.flush(&office.app.control, timeout).await;
    log.flush(&office.app.control, timeout).await;
    office.app.flush().await;
    assert_eq!(overview(&office, "?days=1").await["topEndpoints"][0]["calls"], 60);
}

/// The environment is occupied while calls are written; after the function's time-out, it would be
/// discarded with its calls.
#[tokio::test]
async fn a_hanging_store_times_out_and_no_call_is_lost() {
    let office = Office::open(Engine::Sqlite).await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let config = office.dynamodb.config().to_builder().endpoint_url(endpoint);
    let config = config.timeout_config(TimeoutConfig::disabled()).build();
    let name = |id: &str| office.tables.iter().find(|table| table.starts_with(id)).cloned();
    let names = TableNames {
        control: name("ControlTable"),
        activity: name("ActivityTable"),
        ..TableNames::default()
    };
    let store = Store::with_client(aws_sdk_dynamodb::Client::from_conf(config), names);
    let log = CallLog::default();
    for record in records(60, "2026-03-09T11:00:00Z") {
        log.push(record);
    }
    // Only the flush's own timeout ends it earlier.
    ends("the flush", log.flush(&store, Duration::from_millis(100))).await;
    assert_eq!(overview(&office, "?days=1").await["totalCalls"], 0);
    log.flush(&office.app.control, office.app.config.timeouts.call_records).await;
    assert_eq!(overview(&office, "?days=1").await["topEndpoints"][0]["calls"], 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_environments_lose_no_call() {
    let office = Office::open(Engine::Sqlite).await;
    let calls: Vec<CallRecord> = records(200, "2026-03-09T11:00:00Z");
    let batches: Vec<CallBatch> = calls.chunks(5).flat_map(CallBatch::seal).collect();
    let written = join_all(batches.iter().map(|batch| office.app.control.record_calls(batch))).await;
    assert!(written.iter().all(Result::is_ok), "{written:?}");
    assert_eq!(overview(&office, "?days=1").await["totalCalls"], 200);
}

#[tokio::test]
async fn a_partner_sees_only_its_own_usage() {
    let office = Office::open(Engine::Sqlite).await;
    let other = office.token("other").await;
    for _ in 0..3 {
        office.get("/v1/me").await.expect(200);
    }
    office.get("/v1/DemoOffice/prospects/999999").await.expect_problem(404, "NOT_FOUND");
    office.send(&other, "GET", "/v1/me", None).await.expect(200);
    office.app.flush().await;
    let reply = office.get("/v1/me/usage?days=2").await;
    let data = &reply.expect(200)["data"];
    assert_eq!((&data["totalCalls"], &data["errorCount"]), (&json!(4), &json!(1)));
    assert_eq!(
        data["days"],
        json!([
            { "date": "2026-03-08", "calls": 0, "errors": 0 },
            { "date": "2026-03-09", "calls": 4, "errors": 1 },
        ])
    );
    let reply = office.send(&other, "GET", "/v1/me/usage", None).await;
    assert_eq!(reply.expect(200)["data"]["totalCalls"], 1);
}
