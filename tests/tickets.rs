//! Tests of tickets and their comments.

use serde_json::{Value, json};

use crate::office::{Office, Reply, on_both_databases};

const TICKETS: &str = "/v1/DemoOffice/tickets";

async fn create(office: &Office, subject: &str) -> i64 {
    let reply = office.post(TICKETS, &json!({ "Subject": subject })).await;
    reply.expect(201)["data"]["TicketID"].as_i64().unwrap()
}

async fn read(office: &Office, id: i64) -> Reply {
    office.get(&format!("/v1/DemoOffice/ticket/{id}")).await
}

async fn put(office: &Office, id: i64, body: Value) -> Reply {
    office.put(&format!("/v1/DemoOffice/ticket/{id}"), &body).await
}

async fn found(office: &Office, query: &str) -> Vec<i64> {
    let reply = office.get(&format!("{TICKETS}?{query}")).await;
    let body = reply.expect(200);
    body["data"].as_array().unwrap().iter().map(|it| it["TicketID"].as_i64().unwrap()).collect()
}

async fn a_ticket_has_the_documented_shape_with_comments_in_order(office: Office) {
    let body = json!({
        "Subject": "Fax is down", "Description": "Since noon", "Priority": "High", "Assignee": "Kim",
    });
    let reply = office.post(TICKETS, &body).await;
    let data = reply.expect(201)["data"].clone();
    let id = data["TicketID"].as_i64().unwrap();
    assert_eq!(
        data,
        json!({
            "TicketID": id, "Subject": "Fax is down", "Description": "Since noon", "Status": "Open",
                "Priority": "High",
            "Assignee": "Kim", "CreatedAt": "2026-03-09T12:00:00Z", "UpdatedAt": "2026-03-09T12:00:00Z",
        })
    );
    assert_eq!(reply.header("location"), format!("/v1/DemoOffice/ticket/{id}"));
    let path = format!("{TICKETS}/{id}/comment");
    let example = json!({ "Comment": "This is a new comment", "Author": "Support Agent" });
    let first = office.post(&path, &example).await.expect(201)["data"].clone();
    assert_eq!((&first["Comment"], &first["Author"]), (&example["Comment"], &example["Author"]));
    let second = office.post(&path, &json!({ "Comment": "Another" })).await.expect(201)["data"].clone();
    assert_eq!(second["Author"], "Acme Health");
    let detail = read(&office, id).await;
    assert_eq!(detail.expect(200)["data"]["Comments"], json!([first, second]));
    assert_eq!(detail.body["data"]["History"], json!([]));
    office.post(&path, &json!({ "Author": "x" })).await.expect_problem(422, "INVALID_FIELDS");
    office.post(&format!("{TICKETS}/999/comment"), &example).await.expect_problem(404, "NOT_FOUND");
    read(&office, 999).await.expect_problem(404, "NOT_FOUND");
}
on_both_databases!(a_ticket_has_the_documented_shape_with_comments_in_order);

async fn tickets_are_listed_newest_first_and_filtered_by_status_and_words(office: Office) {
    let first = create(&office, "Printer 100% broken").await;
    office.set_time("2026-03-09T12:00:05Z");
    let second = create(&office, "Password reset").await;
    let third = create(&office, "Printer of room 2").await;
    put(&office, third, json!({ "Status": "Waiting" })).await.expect(200);
    office
        .post(&format!("{TICKETS}/{second}/comment"), &json!({ "Comment": "Not the PRINTER" }))
        .await
        .expect(201);
    assert_eq!(found(&office, "").await, [third, second, first]);
    assert_eq!(found(&office, "page=2&limit=2").await, [first]);
    assert_eq!(found(&office, "status=Waiting").await, [third]);
    assert_eq!(found(&office, "search=printer").await, [third, second, first]);
    assert_eq!(found(&office, "search=printer+ROOM").await, [third]);
    assert_eq!(found(&office, "search=100%25").await, [first]);
    assert_eq!(found(&office, "search=_&status=Open").await, [0i64; 0]);
    let reply = office.get(&format!("{TICKETS}?limit=2")).await;
    assert_eq!(
        reply.expect(200)["pagination"],
        json!({ "page": 1, "limit": 2, "total": 3, "hasMore": true })
    );
    office.get(&format!("{TICKETS}?status=open")).await.expect_problem(400, "INVALID_QUERY");
}
on_both_databases!(tickets_are_listed_newest_first_and_filtered_by_status_and_words);

async fn an_update_keeps_absent_fields_clears_null_fields_and_writes_history(office: Office) {
    let id = create(&office, "Slow").await;
    put(&office, id, json!({ "Assignee": "Kim", "Description": "Very" })).await.expect(200);
    let body = json!({ "Status": "InProgress", "Description": null });
    let data = put(&office, id, body).await.expect(200)["data"].clone();
    assert_eq!(
        (&data["Status"], &data["Assignee"], &data["Description"], &data["Subject"]),
        (&json!("InProgress"), &json!("Kim"), &Value::Null, &json!("Slow"))
    );
    put(&office, id, json!({ "Status": "InProgress" })).await.expect(200);
    office.set_time("2026-03-09T12:00:09Z");
    put(&office, id, json!({ "Status": "Closed" })).await.expect(200);
    let detail = read(&office, id).await;
    assert_eq!(
        detail.expect(200)["data"]["History"],
        json!([
            { "From": "Open", "To": "InProgress", "Author": "Acme \
                Health", "ChangedAt": "2026-03-09T12:00:00Z" },
            { "From": "InProgress", "To": "Closed", "Author": "Acme \
                Health", "ChangedAt": "2026-03-09T12:00:09Z" },
        ])
    );
    let wrong =
        put(&office, id, json!({ "Status": null, "Priority": "Huge", "Subject": "", "Nope": 1 })).await;
    wrong.expect_problem(422, "INVALID_FIELDS");
    assert_eq!(wrong.wrong_fields(), ["body.Status", "body.Priority", "body.Subject", "body.Nope"]);
    put(&office, 999, json!({ "Status": "Open" })).await.expect_problem(404, "NOT_FOUND");
}
on_both_databases!(an_update_keeps_absent_fields_clears_null_fields_and_writes_history);

async fn an_update_of_a_changed_ticket_is_rejected(office: Office) {
    let id = create(&office, "Race").await;
    let before = read(&office, id).await.header("etag").to_owned();
    let authorization = format!("Bearer {}", office.token("all").await);
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
        ("if-match", before.as_str()),
    ];
    let path = format!("/v1/DemoOffice/ticket/{id}");
    office.call("PUT", &path, &headers, Some(r#"{"Status":"Waiting"}"#)).await.expect(200);
    let late = office.call("PUT", &path, &headers, Some(r#"{"Status":"Closed"}"#)).await;
    late.expect_problem(412, "PRECONDITION_FAILED");
    assert_eq!(read(&office, id).await.body["data"]["Status"], "Waiting");
}
on_both_databases!(an_update_of_a_changed_ticket_is_rejected);

async fn a_repeated_comment_is_stored_once(office: Office) {
    let id = create(&office, "Twice").await;
    let authorization = format!("Bearer {}", office.token("all").await);
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
        ("idempotency-key", "c-1"),
    ];
    let path = format!("{TICKETS}/{id}/comment");
    let body = r#"{"Comment":"once"}"#;
    let first = office.call("POST", &path, &headers, Some(body)).await;
    let again = office.call("POST", &path, &headers, Some(body)).await;
    assert_eq!(first.expect(201), again.expect(201));
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(office.integer("select count(*) from ticket_comments").await, 1);
}
on_both_databases!(a_repeated_comment_is_stored_once);

async fn every_read_and_write_of_a_ticket_is_audited(office: Office) {
    let id = create(&office, "Audited").await;
    put(&office, id, json!({ "Priority": "Low" })).await.expect(200);
    office.post(&format!("{TICKETS}/{id}/comment"), &json!({ "Comment": "x" })).await.expect(201);
    read(&office, id).await.expect(200);
    found(&office, "").await;
    for action in ["create", "update", "comment", "read", "list"] {
        let query = format!(
            "select count(*) from audit_log where action = 'tickets.{action}' and entity = 'ticket' and \
                entity_ids = '{id}'"
        );
        assert_eq!(office.integer(&query).await, 1, "{action}");
    }
}
on_both_databases!(every_read_and_write_of_a_ticket_is_audited);

async fn an_update_without_changes_leaves_the_ticket_and_the_log_unchanged(office: Office) {
    let made = office.post("/v1/DemoOffice/tickets", &json!({ "Subject": "Fax is down" })).await;
    let path = format!("/v1/DemoOffice/ticket/{}", made.expect(201)["data"]["TicketID"]);
    let logged = office.integer("select count(*) from log").await;
    office.set_time("2026-03-09T13:00:00Z");
    for body in [json!({}), json!({ "Subject": "Fax is down", "Status": "Open", "Description": null })] {
        let reply = office.put(&path, &body).await;
        assert_eq!(
            (&reply.expect(200)["data"], reply.header("etag")),
            (&made.body["data"], made.header("etag"))
        );
    }
    assert_eq!(office.integer("select count(*) from log").await, logged);
}
on_both_databases!(an_update_without_changes_leaves_the_ticket_and_the_log_unchanged);
