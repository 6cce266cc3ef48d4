//! The administrators' list of calls.

use serde_json::{Value, json};
use shared::control::activity::{CallBatch, CallRecord};

use crate::office::{Engine, Office, Reply, records};

const ACTIVITY: &str = "/v1/admin/activity";

async fn write(office: &Office, calls: &[CallRecord]) {
    for batch in CallBatch::seal(calls) {
        office.app.control.record_calls(&batch).await.unwrap();
    }
}

async fn activity(office: &Office, query: &str) -> Reply {
    office.admin("GET", &format!("{ACTIVITY}?{query}"), None).await
}

fn ids(body: &Value) -> Vec<String> {
    let rows = body["data"].as_array().unwrap();
    assert_eq!(body["count"], rows.len());
    rows.iter().map(|row| row["requestId"].as_str().unwrap().to_owned()).collect()
}

/// Returns the request ids of all pages.
async fn all(office: &Office, query: &str) -> Vec<String> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    for _ in 0..1000 {
        let reply = activity(office, &format!("{query}{cursor}")).await;
        let body = reply.expect(200);
        found.extend(ids(body));
        let next = &body["pagination"]["nextCursor"];
        assert_eq!(body["pagination"]["hasMore"], next.is_string());
        let Some(next) = next.as_str() else { return found };
        cursor = format!("&cursor={next}");
    }
    panic!("the list has no end");
}

#[tokio::test]
async fn a_call_is_returned_as_documented() {
    let office = Office::open(Engine::Sqlite).await;
    let token = office.token("all").await;
    let headers = [("authorization", format!("Bearer {token}")), ("x-request-id", "shown-0001".to_owned())];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    office.call("GET", "/v1/DemoOffice/prospects/1001?search=Ada", &headers, None).await.expect(200);
    office.app.flush().await;
    let reply = activity(&office, "limit=1").await;
    let mut row = reply.expect(200)["data"][0].clone();
    assert!(row["durationMs"].take().is_u64());
    assert!(row["partner"].take().is_string() && row["keyName"].take().is_string());
    assert_eq!(
        row,
        json!({
            "time": "2026-03-09T12:00:00.000Z", "method": "GET", "endpoint": "/v1/{PPass}/prospects/{id}",
            "status": 200, "durationMs": null, "partner": null, "keyName": null, "practicepass": "DemoOffice",
            "ip": "198.51.100.7", "requestId": "shown-0001", "attemptedKeyId": null,
        })
    );
    assert!(!reply.body.to_string().contains("Ada"));
    office.get(ACTIVITY).await.expect_problem(401, "INVALID_ADMIN_SECRET");
}

#[tokio::test]
async fn pages_of_calls_have_no_gaps_or_duplicates_even_at_equal_times() {
    let office = Office::open(Engine::Sqlite).await;
    let mut calls = records(90, "2026-03-09T10:59:20Z");
    for (number, call) in calls.iter_mut().enumerate() {
        // Thirty calls at one instant, at the boundary of an hour.
        if (30..60).contains(&number) {
            call.time = "2026-03-09T11:00:00Z".parse().unwrap();
        }
    }
    write(&office, &calls).await;
    let mut expected = calls.clone();
    expected.sort_by_key(|call| std::cmp::Reverse((call.time, call.id.clone())));
    let expected: Vec<String> = expected.into_iter().map(|call| call.request_id).collect();
    for limit in [1, 7, 30, 100] {
        assert_eq!(all(&office, &format!("limit={limit}")).await, expected, "limit {limit}");
    }
}

#[tokio::test]
async fn new_calls_do_not_shift_the_pages() {
    let office = Office::open(Engine::Sqlite).await;
    write(&office, &records(20, "2026-03-09T11:00:00Z")).await;
    let first = activity(&office, "limit=10&method=GET").await;
    let cursor = first.expect(200)["pagination"]["nextCursor"].as_str().unwrap().to_owned();
    let mut later = records(40, "2026-03-09T11:30:00Z").split_off(20);
    for call in &mut later {
        call.id.push('n');
    }
    write(&office, &later).await;
    let second = activity(&office, &format!("limit=10&method=GET&cursor={cursor}")).await;
    let mut seen = ids(first.expect(200));
    seen.extend(ids(second.expect(200)));
    let expected: Vec<String> = (0..20).rev().map(|number| format!("request-{number:05}")).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn filters_match_their_values_and_are_combined() {
    let office = Office::open(Engine::Sqlite).await;
    let mut calls = records(12, "2026-03-09T11:00:00Z");
    calls[0].method = "POST".into();
    calls[1].status = 404;
    calls[2].status = 422;
    calls[3].endpoint = "/v1/{PPass}/tags".into();
    calls[4].partner = Some("Other Health".into());
    calls[5].partner_id = Some("prt_other".into());
    calls[6].key_name = Some("Nightly".into());
    calls[7].key_id = Some("OtherKey".into());
    calls[8].practicepass = Some("OtherOffice".into());
    calls[9].ip = Some("2001:db8::1".into());
    calls[10].status = 503;
    write(&office, &calls).await;
    for (query, numbers) in [
        ("method=post", vec![0]),
        ("status=404", vec![1]),
        ("status=4xx", vec![2, 1]),
        ("status=5xx", vec![10]),
        ("status=errors", vec![10, 2, 1]),
        ("endpoint=/v1/%7BPPass%7D/tags", vec![3]),
        ("partner=Other%20Health", vec![4]),
        ("partner=prt_other", vec![5]),
        ("key=Nightly", vec![6]),
        ("key=OtherKey", vec![7]),
        ("practicepass=OtherOffice", vec![8]),
        ("ip=2001:db8:0::1", vec![9]),
        ("requestId=request-00011", vec![11]),
        ("from=2026-03-09T11:00:09Z&to=2026-03-09T11:00:11Z", vec![10, 9]),
        ("to=2026-03-09", vec![]),
        ("status=4xx&method=GET&from=2026-03-09T11:00:02Z", vec![2]),
        ("status=4xx&method=POST", vec![]),
    ] {
        let expected: Vec<String> = numbers.into_iter().map(|it: u32| format!("request-{it:05}")).collect();
        assert_eq!(all(&office, query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn a_filtered_search_finds_calls_of_any_age() {
    let office = Office::open(Engine::Sqlite).await;
    let mut calls = records(1, "2025-12-20T11:00:00Z");
    calls[0].status = 503;
    write(&office, &calls).await;
    assert_eq!(all(&office, "status=503").await, ["request-00000"]);
    assert_eq!(all(&office, "status=503&from=2026-02-01").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_generated_request_id_finds_its_call_directly() {
    let office = Office::open(Engine::Sqlite).await;
    office.set_time("2025-12-20T11:00:00.123Z");
    let reply = office.call("GET", "/v1/health", &[], None).await;
    let id = reply.header("x-request-id").to_owned();
    office.app.flush().await;
    office.set_time("2026-03-09T12:00:00Z");
    let found = activity(&office, &format!("requestId={id}")).await;
    assert_eq!(ids(found.expect(200)), [id]);
}

#[tokio::test]
async fn an_unsupported_parameter_of_the_list_is_named() {
    let office = Office::open(Engine::Sqlite).await;
    for (query, wrong) in [
        ("status=9xx", "status"),
        ("status=abc", "status"),
        ("method=FETCH", "method"),
        ("from=yesterday", "from"),
        ("from=2026-03-09&to=2026-03-09", "to"),
        ("ip=somewhere", "ip"),
        ("cursor=forged", "cursor"),
        ("limit=101", "limit"),
        ("limit=5001&format=csv", "limit"),
        ("format=xml", "format"),
    ] {
        let reply = activity(&office, query).await;
        reply.expect_problem(400, "INVALID_QUERY");
        assert_eq!(reply.wrong_fields(), [format!("query.{wrong}")], "{query}");
    }
}

#[tokio::test]
async fn calls_are_exported_as_a_series_of_csv_files() {
    let office = Office::open(Engine::Sqlite).await;
    let mut calls = records(3, "2026-03-09T11:00:00Z");
    calls[2].partner = Some("=HYPERLINK(\"http://x\")".into());
    calls[1].key_name = None;
    write(&office, &calls).await;
    let file = activity(&office, "format=csv&limit=2").await;
    assert_eq!(file.header("content-type"), "text/csv; charset=utf-8; header=present");
    assert_eq!(
        *file.expect(200),
        "time,method,endpoint,status,durationMs,partner,keyName,practicepass,ip,requestId,attemptedKeyId\r\n\
         2026-03-09T11:00:02.000Z,GET,/v1/me,200,2,\"'=HYPERLINK(\"\"http://x\"\")\",Integration,DemoOffice,203.0.113.8,request-00002,\r\n\
         2026-03-09T11:00:01.000Z,GET,/v1/me,200,1,Northwind \
         Health,,DemoOffice,203.0.113.8,request-00001,\r\n"
    );
    let cursor = file.header("x-next-cursor");
    let headers = [("x-admin-secret", crate::office::ADMIN_SECRET), ("accept", "text/csv, application/json")];
    let path = format!("{ACTIVITY}?cursor={cursor}");
    let last = office.call("GET", &path, &headers, None).await;
    let text = last.expect(200).as_str().unwrap();
    assert_eq!(text.lines().count(), 2);
    assert!(text.ends_with(",request-00000,\r\n"));
    assert_eq!(last.header("x-next-cursor"), "");
}

#[tokio::test]
async fn the_record_of_an_exchange_or_a_claim_names_the_key() {
    let office = Office::open(Engine::Sqlite).await;
    let send = async |path: &str, id: &str, body: Value| {
        let headers =
            [("content-type", "application/json"), ("x-request-id", id), ("host", "portal.example.com")];
        office.call("POST", path, &headers, Some(&body.to_string())).await
    };
    let key = json!({ "apiKey": office.api_key("all") });
    send("/v1/DemoOffice/auth/token", "exchange-0001", key.clone()).await.expect(200);
    send("/v1/OtherOffice/auth/token", "exchange-0002", key).await.expect(404);
    let mut wrong = office.api_key("all").to_owned();
    let last = if wrong.pop() == Some('A') { 'B' } else { 'A' };
    wrong.push(last);
    send("/v1/DemoOffice/auth/token", "exchange-0003", json!({ "apiKey": wrong })).await.expect(401);
    let request_body =
        json!({ "company": "Nova", "practice": "DemoOffice", "contact": "Nia", "email": "nia@nova.example" });
    send("/v1/access-requests", "ask-000001", request_body).await.expect(202);
    let requests = office.admin("GET", "/v1/admin/access-requests", None).await;
    let path =
        format!("/v1/admin/access-requests/{}/approve", requests.body["data"][0]["id"].as_str().unwrap());
    let headers = [
        ("content-type", "application/json"),
        ("x-admin-secret", crate::office::ADMIN_SECRET),
        ("host", "portal.example.com"),
    ];
    let approved = office.call("POST", &path, &headers, Some("{}")).await;
    let url = approved.expect(200)["data"]["claimUrl"].as_str().unwrap();
    let token = json!({ "token": url.rsplit_once('=').unwrap().1 });
    send("/v1/access-requests/claim", "claim-00001", token).await.expect(201);
    office.app.flush().await;
    let of = async |id: &str| activity(&office, &format!("requestId={id}")).await.body["data"][0].clone();
    for id in ["exchange-0001", "exchange-0002"] {
        let row = of(id).await;
        assert_eq!(
            (&row["partner"], &row["practicepass"]),
            (&json!("Acme Health"), &json!("DemoOffice")),
            "{id}"
        );
        assert!(row["keyName"].is_string(), "{id}");
    }
    assert_eq!(of("claim-00001").await["partner"], "Nova");
    assert_eq!(of("claim-00001").await["keyName"], "Nia (claimed)");
    assert_eq!(of("exchange-0003").await["partner"], Value::Null, "nothing was proved");
}

#[tokio::test]
async fn an_out_of_range_limit_is_rejected_with_one_message() {
    let office = Office::open(Engine::Sqlite).await;
    for limit in [-1, 0, 101, 5000, 5001] {
        let reply = activity(&office, &format!("limit={limit}")).await;
        reply.expect_problem(400, "INVALID_QUERY");
        assert_eq!(reply.body["errors"][0]["message"], "must be 1 to 100", "{limit}");
    }
}
