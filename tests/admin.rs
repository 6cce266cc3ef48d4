//! Administrators: how they are authenticated, and that all their actions are audited.

use serde_json::{Value, json};

use crate::office::{ADMIN_SECRET, Engine, OLD_ADMIN_SECRET, Office};

/// Returns the rows of the audit log, newest first.
async fn audit_log(office: &Office) -> Vec<Value> {
    let reply = office.admin("GET", "/v1/admin/audit?limit=100", None).await;
    reply.expect(200)["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn two_admin_secrets_are_accepted_during_a_rotation() {
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
async fn every_admin_read_is_audited_before_the_reply() {
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
async fn pages_of_the_audit_log_have_no_gaps() {
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
async fn an_admin_call_is_recorded_without_a_partner() {
    let office = Office::open(Engine::Sqlite).await;
    office.admin("GET", "/v1/admin/audit", None).await.expect(200);
    office.app.flush().await;
    let records = office.app.control.calls_of_hour("2026-03-09T12").await.unwrap();
    let record = records.iter().find(|it| it.endpoint == "/v1/admin/audit").unwrap();
    assert_eq!((record.key_name.as_deref(), record.partner.as_deref()), (Some("admin"), None));
}

#[tokio::test]
async fn the_audit_log_records_reads_and_attempted_changes() {
    let office = Office::open(Engine::Sqlite).await;
    office.admin("GET", "/v1/admin/partners/prt_acme", None).await.expect(200);
    office.admin("POST", "/v1/admin/access-requests/arq_none/deny", Some(&json!({}))).await.expect(404);
    office.admin("GET", "/v1/admin/webhooks/deliveries/101", None).await.expect(404);
    office
        .admin("PATCH", "/v1/admin/partners/prt_acme", Some(&json!({ "phone": "212-555-0123" })))
        .await
        .expect(200);
    let headers = [
        ("x-admin-secret", ADMIN_SECRET),
        ("content-type", "application/json"),
        ("idempotency-key", "again"),
    ];
    let partner = json!({ "company": "Nova" }).to_string();
    let made = office.call("POST", "/v1/admin/partners", &headers, Some(&partner)).await;
    let id = made.expect(201)["data"]["id"].clone();
    office.call("POST", "/v1/admin/partners", &headers, Some(&partner)).await.expect(201);
    let rows = audit_log(&office).await;
    let mut seen: Vec<(String, Value, Value)> = rows
        .iter()
        .map(|row| (row["action"].as_str().unwrap().to_owned(), row["target"].clone(), row["status"].clone()))
        .collect();
    seen.sort_by_key(|it| it.0.clone());
    let row = |action: &str, target: Value, status: i64| (action.to_owned(), target, json!(status));
    let expected = [
        row("GET /v1/admin/partners/{id}", json!("prt_acme"), 200),
        row("GET /v1/admin/webhooks/deliveries/{id}", json!("101"), 404),
        row("POST /v1/admin/access-requests/{id}/deny", json!("arq_none"), 404),
        row("POST /v1/admin/partners", id.clone(), 201),
        row("partners.create", id, 201),
        row("partners.update", json!("prt_acme"), 200),
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_wrong_admin_secret_is_audited_but_a_missing_one_is_not() {
    let office = Office::open(Engine::Sqlite).await;
    office.call("GET", "/v1/admin/audit", &[], None).await.expect_problem(401, "INVALID_ADMIN_SECRET");
    for _ in 0..15 {
        office.call("GET", "/v1/admin/audit", &[("x-admin-secret", "wrong")], None).await;
    }
    office.set_time("2026-03-09T12:02:00Z");
    let rows = audit_log(&office).await;
    assert_eq!(rows.len(), 1, "once for the address and minute");
    for row in &rows {
        assert_eq!((&row["action"], &row["credential"]), (&json!("admin-secret.refused"), &json!("wrong")));
        assert_eq!((&row["status"], &row["ip"]), (&json!(401), &json!("198.51.100.7")));
    }
    office.app.flush().await;
    let records = office.app.control.calls_of_hour("2026-03-09T12").await.unwrap();
    assert!(records.iter().filter(|it| it.status == 401).all(|it| it.key_name.is_none()));
}

#[tokio::test]
async fn the_admin_lists_are_paged_by_cursor() {
    let office = Office::open(Engine::Sqlite).await;
    for number in 0..7 {
        let partner = json!({ "company": format!("Nova {number}") });
        let made = office.admin("POST", "/v1/admin/partners", Some(&partner)).await;
        let id = made.expect(201)["data"]["id"].clone();
        office.set_time(&format!("2026-03-09T12:01:0{number}Z"));
        let key = json!({ "partnerId": id, "name": "k", "practicepass": "DemoOffice", "scopes": ["KB"] });
        office.admin("POST", "/v1/admin/keys", Some(&key)).await.expect(201);
        let request_body = json!({
            "company": "Nova", "practice": "DemoOffice", "contact": format!("Nia {number}"),
            "email": "nia@nova.example",
        });
        let content = [("content-type", "application/json")];
        office
            .call("POST", "/v1/access-requests", &content, Some(&request_body.to_string()))
            .await
            .expect(202);
    }
    for list in ["/v1/admin/partners", "/v1/admin/keys"] {
        let all = office.admin("GET", &format!("{list}?limit=100"), None).await;
        let all = all.expect(200)["data"].as_array().unwrap().clone();
        let total = all.len();
        assert!(total >= 7, "{list}");
        let (mut by_cursor, mut cursor) = (Vec::new(), String::new());
        for page in 1..=total.div_ceil(3) {
            let turned = office.admin("GET", &format!("{list}?limit=3{cursor}"), None).await;
            by_cursor.extend(turned.expect(200)["data"].as_array().unwrap().clone());
            let place = &turned.body["pagination"];
            assert_eq!(place["limit"], 3);
            assert_eq!(place["hasMore"], page * 3 < total, "{list} {page}");
            cursor = format!("&cursor={}", place["nextCursor"].as_str().unwrap_or_default());
        }
        assert_eq!(by_cursor, all, "{list}");
        let numbered = office.admin("GET", &format!("{list}?page=1"), None).await;
        numbered.expect_problem(400, "INVALID_QUERY");
        assert_eq!(numbered.wrong_fields(), ["query.page"], "{list}");
    }
}
