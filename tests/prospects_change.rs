//! Tests of reading and updating prospects.

use serde_json::{Value, json};

use crate::office::{Engine, Office, on_both_databases};

const ADA: &str = "/v1/DemoOffice/prospects/1001";

async fn put_if(office: &Office, etag: &str, body: &Value) -> crate::office::Reply {
    let authorization = format!("Bearer {}", office.token("all").await);
    let headers =
        [("authorization", authorization.as_str()), ("content-type", "application/json"), ("if-match", etag)];
    office.call("PUT", ADA, &headers, Some(&body.to_string())).await
}

async fn an_update_keeps_absent_fields_and_clears_null_fields(office: Office) {
    office.put(ADA, &json!({
        "NickName": "Addie", "EMail": "ada@example.com", "DOB": "1985-12-10", "ProviderID": 1, "Prospect": 1,
    })).await.expect(200);
    office.set_time("2026-03-09T13:00:00Z");
    let reply = office
        .put(
            ADA,
            &json!({
                "NickName": null, "Phone": "212-555-0177", "ProviderID": null, "DOB": null, "Prospect": 0,
            }),
        )
        .await;
    let data = &reply.expect(200)["data"];
    assert!(reply.body["message"].is_string());
    assert_eq!(
        (&data["NickName"], &data["ProviderID"], &data["DOB"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!(
        (&data["EMail"], &data["Phone"], &data["Prospect"]),
        (&json!("ada@example.com"), &json!("212-555-0177"), &json!(0))
    );
    assert_eq!(data["CreatedAt"], "2026-01-02T10:00:00Z");
    assert_eq!(data["UpdatedAt"], "2026-03-09T13:00:00Z");
    let read = office.get(ADA).await;
    assert_eq!((&read.expect(200)["data"], read.header("etag")), (data, reply.header("etag")));
    assert_eq!(
        office
            .integer(
                "select count(*) from log where table_name = 'patients' and action = 'update' \
        and record_id = 1001"
            )
            .await,
        2
    );
    assert_eq!(
        office
            .integer(
                "select count(*) from audit_log where action = 'prospects.update' and entity_ids = '1001'"
            )
            .await,
        2
    );
}
on_both_databases!(an_update_keeps_absent_fields_and_clears_null_fields);

async fn a_derived_full_name_follows_its_parts_and_a_custom_one_stays(office: Office) {
    let full_name = async |body: Value| office.put(ADA, &body).await.expect(200)["data"]["FullName"].clone();
    assert_eq!(full_name(json!({ "LastName": "Byron", "MI": "K" })).await, "Ada K Byron");
    assert_eq!(full_name(json!({ "FullName": "Countess Lovelace" })).await, "Countess Lovelace");
    assert_eq!(full_name(json!({ "FirstName": "Augusta" })).await, "Countess Lovelace");
    assert_eq!(full_name(json!({ "FullName": null })).await, "Augusta K Byron");
}
on_both_databases!(a_derived_full_name_follows_its_parts_and_a_custom_one_stays);

async fn an_invalid_update_changes_nothing(office: Office) {
    let before = office.get(ADA).await.body;
    let reply = office
        .put(
            ADA,
            &json!({
                "FirstName": null, "LastName": null, "Prospect": null, "Gender": "x", "DOB": "2999-01-01",
                    "ProviderID": 3, "PatientID": 7, "City": "X",
            }),
        )
        .await;
    reply.expect_problem(422, "INVALID_FIELDS");
    let mut wrong = reply.wrong_fields();
    wrong.sort_unstable();
    assert_eq!(
        wrong,
        [
            "body.DOB",
            "body.FirstName",
            "body.Gender",
            "body.LastName",
            "body.PatientID",
            "body.Prospect",
            "body.ProviderID"
        ]
    );
    assert_eq!(office.get(ADA).await.body, before);
}
on_both_databases!(an_invalid_update_changes_nothing);

#[tokio::test]
async fn a_postal_code_is_validated_with_the_stored_country() {
    let office = Office::open(Engine::Sqlite).await;
    office.put(ADA, &json!({ "Zip": "SW1A 1AA" })).await.expect_problem(422, "INVALID_FIELDS");
    office.put(ADA, &json!({ "Country": "GB" })).await.expect(200);
    office.put(ADA, &json!({ "Zip": "SW1A 1AA" })).await.expect(200);
    let reply = office.put(ADA, &json!({ "Zip": "SW1A 1AA", "Country": null })).await;
    assert_eq!(reply.wrong_fields(), ["body.Zip"]);
}

async fn an_update_with_a_stale_etag_is_rejected(office: Office) {
    let etag = office.get(ADA).await.header("etag").to_owned();
    let reply = put_if(&office, &etag, &json!({ "NickName": "One" })).await;
    reply.expect(200);
    let newer = reply.header("etag").to_owned();
    assert_ne!(newer, etag);
    put_if(&office, &etag, &json!({ "NickName": "Two" })).await.expect_problem(412, "PRECONDITION_FAILED");
    put_if(&office, &format!("W/{newer}"), &json!({ "NickName": "Two" }))
        .await
        .expect_problem(412, "PRECONDITION_FAILED");
    assert_eq!(office.get(ADA).await.expect(200)["data"]["NickName"], "One");
    put_if(&office, &format!("\"other\", {newer}"), &json!({ "NickName": "Three" })).await.expect(200);
    put_if(&office, "*", &json!({ "NickName": "Four" })).await.expect(200);
    // The EMR's own programs do not update the version.
    let etag = office.get(ADA).await.header("etag").to_owned();
    office.sql("update patients set city = 'Boston' where patient_id = 1001").await;
    put_if(&office, &etag, &json!({ "NickName": "Five" })).await.expect_problem(412, "PRECONDITION_FAILED");
}
on_both_databases!(an_update_with_a_stale_etag_is_rejected);

async fn one_of_two_concurrent_updates_with_the_same_etag_is_rejected(office: Office) {
    let etag = office.get(ADA).await.header("etag").to_owned();
    let (one, two) = (json!({ "NickName": "One" }), json!({ "NickName": "Two" }));
    let replies = tokio::join!(put_if(&office, &etag, &one), put_if(&office, &etag, &two));
    let mut statuses = [replies.0.status.as_u16(), replies.1.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
}
on_both_databases!(one_of_two_concurrent_updates_with_the_same_etag_is_rejected);

async fn a_read_is_audited_before_the_reply(office: Office) {
    office.get(ADA).await.expect(200);
    let reads = "select count(*) from audit_log where action = 'prospects.read' and entity = 'patient' and \
        entity_ids = '1001'";
    assert_eq!(office.integer(reads).await, 1);
    office.sql("drop table audit_log").await;
    assert_ne!(office.get(ADA).await.status, 200);
}
on_both_databases!(a_read_is_audited_before_the_reply);

#[tokio::test]
async fn a_missing_prospect_and_another_practices_return_the_same_404() {
    let office = Office::open(Engine::Sqlite).await;
    office.get("/v1/DemoOffice/prospects/999999").await.expect_problem(404, "NOT_FOUND");
    office
        .put("/v1/DemoOffice/prospects/999999", &json!({ "City": "X" }))
        .await
        .expect_problem(404, "NOT_FOUND");
    let mut bodies = Vec::new();
    for path in
        ["/v1/DemoOffice/prospects/999999", "/v1/OtherOffice/prospects/1001", "/v1/Nowhere/prospects/1001"]
    {
        let mut body = office.get(path).await.body;
        body.as_object_mut().unwrap().retain(|name, _| name != "requestId" && name != "instance");
        bodies.push(body);
    }
    assert!(bodies[0] == bodies[1] && bodies[1] == bodies[2]);
    for id in ["abc", "1.5", "9223372036854775808"] {
        office.get(&format!("/v1/DemoOffice/prospects/{id}")).await.expect_problem(400, "INVALID_PATH");
    }
}

#[tokio::test]
async fn prospects_require_their_scope() {
    let office = Office::open(Engine::Sqlite).await;
    let token = office.token_with(&[shared::domain::Scope::Providers]).await;
    for (method, path) in [
        ("GET", "/v1/DemoOffice/prospects"),
        ("POST", "/v1/DemoOffice/prospects"),
        ("GET", ADA),
        ("PUT", ADA),
        ("GET", "/v1/DemoOffice/tags"),
        ("GET", "/v1/DemoOffice/tags/prospects/1001"),
        ("POST", "/v1/DemoOffice/tags/prospects/1001"),
        ("DELETE", "/v1/DemoOffice/tags/prospects/1001"),
        ("DELETE", "/v1/DemoOffice/tags/prospects/1001/1"),
    ] {
        let reply = office.send(&token, method, path, Some(&json!({}))).await;
        reply.expect_problem(403, "INSUFFICIENT_SCOPE");
        assert!(reply.header("www-authenticate").contains("insufficient_scope"));
    }
}

async fn an_update_without_changes_leaves_the_etag_and_the_log_unchanged(office: Office) {
    let before = office.get(ADA).await;
    let logged = office.integer("select count(*) from log").await;
    office.set_time("2026-03-09T13:00:00Z");
    let same = json!({
        "FirstName": before.expect(200)["data"]["FirstName"], "LastName": before.body["data"]["LastName"],
    });
    for body in [json!({}), same] {
        let reply = office.put(ADA, &body).await;
        assert_eq!(
            (&reply.expect(200)["data"], reply.header("etag")),
            (&before.body["data"], before.header("etag"))
        );
    }
    assert_eq!(office.integer("select count(*) from log").await, logged);
    assert_eq!(office.integer("select count(*) from audit_log where action = 'prospects.update'").await, 2);
}
on_both_databases!(an_update_without_changes_leaves_the_etag_and_the_log_unchanged);
