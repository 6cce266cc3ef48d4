//! Tests of the knowledge base.

use serde_json::{Value, json};
use shared::domain::Scope;

use crate::office::{Engine, Office, Reply, on_both_databases, run_sql};

const ARTICLE: &str = "/v1/kb/12";

async fn found(office: &Office, query: &str) -> Vec<i64> {
    let reply = office.get(&format!("/v1/kb?{query}")).await;
    let body = reply.expect(200);
    let ids: Vec<i64> =
        body["data"].as_array().unwrap().iter().map(|it| it["KBID"].as_i64().unwrap()).collect();
    assert_eq!(body["count"], ids.len());
    ids
}

async fn put_if(office: &Office, etag: &str, body: &Value) -> Reply {
    let authorization = format!("Bearer {}", office.token("all").await);
    let headers =
        [("authorization", authorization.as_str()), ("content-type", "application/json"), ("if-match", etag)];
    office.call("PUT", ARTICLE, &headers, Some(&body.to_string())).await
}

async fn the_documented_example_is_returned_exactly(office: Office) {
    let reply = office.get(ARTICLE).await;
    assert_eq!(
        reply.expect(200),
        &json!({
            "data": {
                "KBID": 12,
                "Title": "Insurance Verification Workflow",
                "Article": "Step-by-step process...",
                "Category": "Billing",
                "Type": "HowTo",
                "Tags": "insurance, verification",
                "Active": true,
            }
        })
    );
    assert!(reply.header("etag").starts_with('"'));
    assert_eq!(
        office.get("/v1/kb?search=verification").await.expect(200)["data"],
        json!([reply.body["data"]])
    );
}
on_both_databases!(the_documented_example_is_returned_exactly);

async fn active_articles_are_listed_by_id(office: Office) {
    assert_eq!(found(&office, "").await, [11, 12, 13]);
    assert_eq!(found(&office, "includeInactive=true").await, [11, 12, 13, 14]);
    assert_eq!(found(&office, "includeInactive=false").await, [11, 12, 13]);
    assert_eq!(found(&office, "page=2&limit=2").await, [13]);
    let reply = office.get("/v1/kb?page=2&limit=2").await;
    assert_eq!(
        reply.expect(200)["pagination"],
        json!({ "page": 2, "limit": 2, "total": 3, "hasMore": false })
    );
}
on_both_databases!(active_articles_are_listed_by_id);

async fn an_article_is_found_by_the_current_text_from_the_emr(office: Office) {
    assert_eq!(found(&office, "search=weissbuch").await, [0i64; 0]);
    run_sql(&office.catalog, "update kb_articles set title = 'Weißbuch für Kliniken' where kb_id = 13").await;
    for word in ["weissbuch", "WEISSBUCH", "fur", "f%C3%BCr", "fu%CC%88r"] {
        assert_eq!(found(&office, &format!("search={word}")).await, [13], "{word}");
    }
    run_sql(&office.catalog, "update kb_articles set title = 'Blaubuch' where kb_id = 13").await;
    assert_eq!(found(&office, "search=weissbuch").await, [0i64; 0]);
    run_sql(
        &office.catalog,
        "insert into kb_articles (kb_id, title, article, created_at, updated_at)
        values (20, 'Δίκτυο', 'text', '2026-03-01T10:00:00Z', '2026-03-01T10:00:00Z')",
    )
    .await;
    assert_eq!(found(&office, "search=%CE%94%CE%99%CE%9A%CE%A4%CE%A5%CE%9F").await, [20]);
}
on_both_databases!(an_article_is_found_by_the_current_text_from_the_emr);

async fn filters_combine(office: Office) {
    assert_eq!(found(&office, "search=insurance").await, [12, 13]);
    assert_eq!(found(&office, "search=INSURANCE+step").await, [12]);
    assert_eq!(found(&office, "search=verif").await, [12]);
    assert_eq!(found(&office, "category=billing").await, [11, 12]);
    assert_eq!(found(&office, "type=HowTo").await, [12, 13]);
    assert_eq!(found(&office, "type=howto&category=Billing").await, [12]);
    assert_eq!(found(&office, "type=HowTo&category=Clinical&search=insurance").await, [13]);
    assert_eq!(found(&office, "type=HowTo&category=Clinical&search=month").await, [0i64; 0]);
    assert_eq!(found(&office, "category=bill").await, [0i64; 0]);
    assert_eq!(found(&office, "category=Front+Desk").await, [0i64; 0]);
    assert_eq!(found(&office, "category=Front+Desk&includeInactive=true").await, [14]);
    // Wildcards are matched literally.
    assert_eq!(found(&office, "search=%25").await, [11]);
    assert_eq!(found(&office, "search=_").await, [0i64; 0]);
    assert_eq!(found(&office, "category=%25").await, [0i64; 0]);
}
on_both_databases!(filters_combine);

async fn a_long_text_is_omitted_from_lists_only(office: Office) {
    let text = "é".repeat(2000);
    office.put(ARTICLE, &json!({ "Article": text })).await.expect(200);
    assert_eq!(office.get("/v1/kb?search=workflow").await.expect(200)["data"][0]["Article"], text);
    let text = "é".repeat(2001);
    office.put(ARTICLE, &json!({ "Article": text })).await.expect(200);
    assert_eq!(office.get("/v1/kb?search=workflow").await.expect(200)["data"][0].get("Article"), None);
    assert_eq!(office.get(ARTICLE).await.expect(200)["data"]["Article"], text);
}
on_both_databases!(a_long_text_is_omitted_from_lists_only);

async fn an_update_keeps_absent_fields_and_clears_null_fields(office: Office) {
    let reply =
        office.put(ARTICLE, &json!({ "Title": "Verifying Insurance", "Category": null, "Tags": null })).await;
    let data = json!({
        "KBID": 12, "Title": "Verifying Insurance", "Article": "Step-by-step process...", "Category": null,
            "Type": "HowTo", "Tags": null,
        "Active": true,
    });
    assert!(reply.expect(200)["message"].is_string());
    assert_eq!(reply.body["data"], data);
    let read = office.get(ARTICLE).await;
    assert_eq!((&read.expect(200)["data"], read.header("etag")), (&data, reply.header("etag")));
    let reply = office
        .put(
            ARTICLE,
            &json!({
        "Article": "1.\n2.", "Category": "Claims", "Type": null, "Tags": "a, \
        b", "Active": false }),
        )
        .await;
    assert_eq!(
        reply.expect(200)["data"],
        json!({
            "KBID": 12, "Title": "Verifying Insurance", "Article": "1.\n2.", "Category": "Claims",
            "Type": null,
                "Tags": "a, b", "Active": false,
        })
    );
    assert_eq!(found(&office, "").await, [11, 13]);
    assert_eq!(office.get(ARTICLE).await.expect(200)["data"]["Active"], false);
    assert_eq!(
        office.get("/v1/kb/11").await.expect(200)["data"]["Title"],
        "Closing the Month",
        "another article is untouched"
    );
    office.put(ARTICLE, &json!({})).await.expect(200);
}
on_both_databases!(an_update_keeps_absent_fields_and_clears_null_fields);

async fn an_invalid_update_changes_nothing_and_names_every_bad_field(office: Office) {
    let before = office.get(ARTICLE).await.body;
    let reply = office.put(ARTICLE, &json!({
        "Title": null, "Article": "x".repeat(100_001), "Category": "", "Type": 5, "Tags": "x".repeat(501),
            "Active": "yes", "KBID": 13,
    })).await;
    reply.expect_problem(422, "INVALID_FIELDS");
    assert_eq!(
        reply.wrong_fields(),
        ["body.Title", "body.Article", "body.Category", "body.Type", "body.Tags", "body.Active", "body.KBID"]
    );
    let reply = office.put(ARTICLE, &json!({ "Article": null, "Active": null })).await;
    assert_eq!(reply.wrong_fields(), ["body.Article", "body.Active"]);
    assert_eq!(office.get(ARTICLE).await.body, before);
}
on_both_databases!(an_invalid_update_changes_nothing_and_names_every_bad_field);

async fn an_update_with_a_stale_etag_is_rejected(office: Office) {
    let etag = office.get(ARTICLE).await.header("etag").to_owned();
    let newer = put_if(&office, &etag, &json!({ "Title": "One" })).await;
    newer.expect(200);
    put_if(&office, &etag, &json!({ "Title": "Two" })).await.expect_problem(412, "PRECONDITION_FAILED");
    assert_eq!(office.get(ARTICLE).await.expect(200)["data"]["Title"], "One");
    put_if(&office, &format!("\"other\", {}", newer.header("etag")), &json!({ "Title": "Three" }))
        .await
        .expect(200);
    put_if(&office, "*", &json!({ "Title": "Four" })).await.expect(200);
}
on_both_databases!(an_update_with_a_stale_etag_is_rejected);

async fn one_of_two_concurrent_updates_with_the_same_etag_is_rejected(office: Office) {
    let etag = office.get(ARTICLE).await.header("etag").to_owned();
    let (one, two) = (json!({ "Title": "One" }), json!({ "Title": "Two" }));
    let replies = tokio::join!(put_if(&office, &etag, &one), put_if(&office, &etag, &two));
    let mut statuses = [replies.0.status.as_u16(), replies.1.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
}
on_both_databases!(one_of_two_concurrent_updates_with_the_same_etag_is_rejected);

async fn an_article_and_its_audit_row_change_atomically(office: Office) {
    office.put(ARTICLE, &json!({ "Title": "One" })).await.expect(200);
    let written = "select count(*) from audit_log where action = 'kb.update' and entity = 'article' and \
        entity_ids = '12' and partner_id = 'prt_acme'";
    assert_eq!(office.catalog_integer(written).await, 1);
    crate::office::run_sql(&office.catalog, "drop table audit_log").await;
    assert_eq!(office.put(ARTICLE, &json!({ "Title": "Two" })).await.status, 500);
    assert_eq!(office.get(ARTICLE).await.expect(200)["data"]["Title"], "One");
}
on_both_databases!(an_article_and_its_audit_row_change_atomically);

#[tokio::test]
async fn a_missing_article_returns_404_and_a_malformed_query_400() {
    let office = Office::open(Engine::Sqlite).await;
    office.get("/v1/kb/999").await.expect_problem(404, "NOT_FOUND");
    office.put("/v1/kb/999", &json!({ "Title": "x" })).await.expect_problem(404, "NOT_FOUND");
    office.get("/v1/kb/abc").await.expect_problem(400, "INVALID_PATH");
    let reply = office.get("/v1/kb?page=0&category=&type=&includeInactive=2").await;
    reply.expect_problem(400, "INVALID_QUERY");
    assert_eq!(reply.wrong_fields(), ["query.category", "query.type", "query.includeInactive", "query.page"]);
}

#[tokio::test]
async fn the_knowledge_base_requires_its_scope() {
    let office = Office::open(Engine::Sqlite).await;
    let token = office.token_with(&[Scope::Products, Scope::Prospects]).await;
    for (method, path) in [("GET", "/v1/kb"), ("GET", ARTICLE), ("PUT", ARTICLE)] {
        let reply = office.send(&token, method, path, Some(&json!({}))).await;
        reply.expect_problem(403, "INSUFFICIENT_SCOPE");
        assert!(reply.header("www-authenticate").contains("scope=\"KB\""));
    }
    let token = office.token_with(&[Scope::Kb]).await;
    office.send(&token, "GET", "/v1/kb", None).await.expect(200);
}
