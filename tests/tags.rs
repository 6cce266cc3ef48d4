//! Tests of prospects' tags.

use serde_json::{Value, json};

use crate::office::{Engine, Office, on_both_databases};

const ADA: &str = "/v1/DemoOffice/tags/prospects/1001";

fn ids(tags: &Value) -> Vec<i64> {
    tags.as_array().unwrap().iter().map(|tag| tag["id"].as_i64().unwrap()).collect()
}

async fn all_tags_are_listed_by_name_with_usage_counts(office: Office) {
    office.sql("insert into patient_tags (patient_id, tag_id) values (1001, 1), (1002, 1)").await;
    let reply = office.get("/v1/DemoOffice/tags").await;
    assert_eq!(
        *reply.expect(200),
        json!({
            "data": [
                { "id": 2, "name": "Recall", "colour": null, "count": 0 },
                { "id": 1, "name": "VIP", "colour": "#aa3377", "count": 2 },
            ],
            "count": 2,
        })
    );
    for path in ["/v1/DemoOffice/tags?prospectId=1002", "/v1/DemoOffice/tags/prospects/1002"] {
        let reply = office.get(path).await;
        assert_eq!((ids(&reply.expect(200)["data"]), &reply.body["count"]), (vec![1], &json!(1)), "{path}");
    }
    assert_eq!(
        office
            .integer("select count(*) from audit_log where action = 'tags.read' and entity_ids = '1002'")
            .await,
        2
    );
}
on_both_databases!(all_tags_are_listed_by_name_with_usage_counts);

async fn a_tag_assigned_twice_is_stored_once(office: Office) {
    let etag = office.get("/v1/DemoOffice/prospects/1001").await.header("etag").to_owned();
    let first = office.post(ADA, &json!({ "tagId": 1 })).await;
    assert_eq!(ids(&first.expect(201)["data"]["Tags"]), [1]);
    assert_eq!(first.body["data"]["PatientID"], 1001);
    assert!(first.body["message"].is_string());
    let second = office.post(ADA, &json!({ "tagId": 1 })).await;
    assert_eq!(second.expect(200)["data"], first.body["data"]);
    let updates =
        "select count(*) from log where table_name = 'patients' and action = 'update' and record_id = 1001";
    assert_eq!(office.integer(updates).await, 1);
    assert_eq!(
        office
            .integer("select count(*) from audit_log where action = 'tags.assign' and entity_ids = '1001'")
            .await,
        2
    );
    let prospect = office.get("/v1/DemoOffice/prospects/1001").await;
    assert_eq!(prospect.expect(200)["data"]["Tags"], json!([{ "id": 1, "name": "VIP" }]));
    assert_eq!(prospect.body["data"]["UpdatedAt"], "2026-03-09T12:00:00Z");
    assert_ne!(prospect.header("etag"), etag);
}
on_both_databases!(a_tag_assigned_twice_is_stored_once);

async fn one_of_many_concurrent_assignments_of_a_tag_is_new(office: Office) {
    let token = office.token("all").await;
    let body = json!({ "tagId": 2 });
    let send = || office.send(&token, "POST", ADA, Some(&body));
    let replies = tokio::join!(send(), send(), send(), send());
    let mut statuses =
        [replies.0.status, replies.1.status, replies.2.status, replies.3.status].map(|it| it.as_u16());
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 201]);
    assert_eq!(office.integer("select count(*) from patient_tags").await, 1);
}
on_both_databases!(one_of_many_concurrent_assignments_of_a_tag_is_new);

async fn one_tag_or_all_tags_can_be_removed(office: Office) {
    for tag in [1, 2] {
        office.post(ADA, &json!({ "tagId": tag })).await.expect(201);
    }
    office.sql("insert into patient_tags (patient_id, tag_id) values (1002, 1)").await;
    let reply = office.delete(&format!("{ADA}/1")).await;
    assert_eq!(ids(&reply.expect(200)["data"]["Tags"]), [2]);
    assert!(reply.body["message"].is_string());
    office.delete(&format!("{ADA}/1")).await.expect(200);
    let reply = office.delete(ADA).await;
    assert_eq!(ids(&reply.expect(200)["data"]["Tags"]), [0i64; 0]);
    office.delete(ADA).await.expect(200);
    assert_eq!(office.integer("select count(*) from patient_tags").await, 1);
    // Two assignments, two removals. Calls that change nothing create no event.
    assert_eq!(office.integer("select count(*) from log where record_id = 1001").await, 4);
    assert_eq!(
        office
            .integer("select count(*) from audit_log where action = 'tags.remove' and entity_ids = '1001'")
            .await,
        2
    );
    assert_eq!(
        office
            .integer(
                "select count(*) from audit_log where action = 'tags.remove-all' and entity_ids = '1001'"
            )
            .await,
        2
    );
}
on_both_databases!(one_tag_or_all_tags_can_be_removed);

async fn an_unknown_tag_or_prospect_returns_404_and_changes_nothing(office: Office) {
    office.post(ADA, &json!({ "tagId": 99 })).await.expect_problem(404, "NOT_FOUND");
    office
        .post("/v1/DemoOffice/tags/prospects/99", &json!({ "tagId": 1 }))
        .await
        .expect_problem(404, "NOT_FOUND");
    for path in [
        "/v1/DemoOffice/tags/prospects/1001/99",
        "/v1/DemoOffice/tags/prospects/99/1",
        "/v1/DemoOffice/tags/prospects/99",
    ] {
        office.delete(path).await.expect_problem(404, "NOT_FOUND");
    }
    for path in
        ["/v1/DemoOffice/tags?prospectId=99", "/v1/DemoOffice/tags/prospects/99", "/v1/OtherOffice/tags"]
    {
        office.get(path).await.expect_problem(404, "NOT_FOUND");
    }
    assert_eq!(
        office
            .integer(
                "select (select count(*) from patient_tags) + (select count(*) from log) + \
        (select count(*) from audit_log)"
            )
            .await,
        0
    );
}
on_both_databases!(an_unknown_tag_or_prospect_returns_404_and_changes_nothing);

#[tokio::test]
async fn an_assignment_requires_a_tag_id() {
    let office = Office::open(Engine::Sqlite).await;
    for body in [
        json!({}),
        json!({ "tagId": "1.0" }),
        json!({ "tagId": 1.5 }),
        json!({ "tagId": 9_007_199_254_740_994.0 }),
        json!({ "tagId": 1e300 }),
        json!({ "tagId": null }),
    ] {
        let reply = office.post(ADA, &body).await;
        reply.expect_problem(422, "INVALID_FIELDS");
        assert_eq!(reply.wrong_fields(), ["body.tagId"]);
    }
    // In JSON Schema a number without a fractional part is an integer, so this is an unknown tag.
    office.post(ADA, &json!({ "tagId": 99.0 })).await.expect_problem(404, "NOT_FOUND");
    office.get("/v1/DemoOffice/tags?prospectId=1.0").await.expect_problem(400, "INVALID_QUERY");
    office.get("/v1/DemoOffice/tags?prospectId=x").await.expect_problem(400, "INVALID_QUERY");
    office.delete(&format!("{ADA}/x")).await.expect_problem(400, "INVALID_PATH");
}
