//! Administrators: how they are known, and that all they do is audited.

use serde_json::{Value, json};

use crate::office::{ADMIN_SECRET, Engine, OLD_ADMIN_SECRET, Office};

/// The rows of the audit log, the newest first.
async fn audit_log(office: &Office) -> Vec<Value> {
    let reply = office.admin("GET", "/v1/admin/audit?limit=100", None).await;
    reply.expect(200)["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn two_admin_secrets_are_accepted_while_one_is_changed() {
    let office = Office::open(Engine::Sqlite).await;
    for secret in [ADMIN_SECRET, OLD_ADMIN_SECRET] {
        office.call("GET", "/v1/admin/audit", &[("x-admin-secret", secret)], None).await.expect(200);
    }
    let used: Vec<Value> =
        audit_log(&office).await.into_iter().map(|row| row["credential"].clone()).collect();
    assert_eq!(used.len(), 2);
    assert!(used.contains(&json!("current")) && used.contains(&json!("previous")), "{used:?}");
}

#[tokio::test]
async fn every_read_of_an_administrator_is_audited_before_it_is_answered() {
    let office = Office::open(Engine::Sqlite).await;
    let headers = [("x-admin-secret", ADMIN_SECRET), ("x-request-id", "the-read-0001")];
    office.call("GET", "/v1/admin/audit?limit=0", &headers, None).await.expect_problem(400, "INVALID_QUERY");
    let rows = audit_log(&office).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["action"], "GET /v1/admin/audit");
    assert_eq!((&rows[0]["status"], &rows[0]["requestId"]), (&json!(400), &json!("the-read-0001")));
    assert_eq!(rows[0]["ip"], "198.51.100.7");
}

#[tokio::test]
async fn the_audit_log_is_read_page_by_page_without_a_gap() {
    let office = Office::open(Engine::Sqlite).await;
    for second in 0..7 {
        office.set_time(&format!("2026-03-09T12:00:0{second}Z"));
        office.admin("GET", "/v1/admin/audit", None).await.expect(200);
    }
    office.set_time("2026-03-09T12:00:00Z");
    let (mut times, mut cursor) = (Vec::new(), String::new());
    loop {
        let reply = office.admin("GET", &format!("/v1/admin/audit?limit=3{cursor}"), None).await;
        let body = reply.expect(200);
        let page = body["data"].as_array().unwrap();
        assert_eq!(body["count"], page.len());
        times.extend(page.iter().map(|row| row["time"].as_str().unwrap().to_owned()));
        match body["pagination"]["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    times.retain(|time| time != "2026-03-09T12:00:00Z");
    let expected: Vec<String> = (1..7).rev().map(|second| format!("2026-03-09T12:00:0{second}Z")).collect();
    assert_eq!(times, expected);
}

#[tokio::test]
async fn an_administrators_call_is_recorded_without_a_partner() {
    let office = Office::open(Engine::Sqlite).await;
    office.admin("GET", "/v1/admin/audit", None).await.expect(200);
    office.app.flush().await;
    let records = office.app.control.calls_of_hour("2026-03-09T12").await.unwrap();
    let record = records.iter().find(|it| it.endpoint == "/v1/admin/audit").unwrap();
    assert_eq!((record.key_name.as_deref(), record.partner.as_deref()), (Some("admin"), None));
}
