//! Administrators see unreadable rows.

use serde_json::{Value, json};

use crate::office::{Engine, Office, on_both_databases, run_sql};

const MONITOR: &str = "/v1/admin/webhooks/monitor";

async fn problems(office: &Office, query: &str) -> Vec<Value> {
    office.app.flush().await;
    let reply = office.admin("GET", &format!("{MONITOR}{query}"), None).await;
    let listed = reply.expect(200)["dataProblems"].as_array().unwrap().clone();
    let shown = |it: &Value| json!([it["practicepass"], it["table"], it["count"], it["lastId"]]);
    listed.iter().map(shown).collect()
}

async fn an_unreadable_row_is_listed_with_practice_and_table_once(office: Office) {
    assert_eq!(problems(&office, "").await, [json!(null); 0]);
    // An infinite date of birth is unreadable, and each engine allows another unreadable value.
    office.sql("update patients set dob = 'infinity' where patient_id in (1001, 1002)").await;
    let prospect = office.get("/v1/DemoOffice/prospects/1002").await;
    assert_eq!(prospect.expect(200)["data"]["DOB"], Value::Null);
    assert_eq!(problems(&office, "").await, [json!(["DemoOffice", "patients", 1, "1002"])]);
    for _ in 0..2 {
        office.get("/v1/DemoOffice/prospects").await.expect(200);
    }
    let both = [json!(["DemoOffice", "patients", 2, "1001"])];
    assert_eq!(problems(&office, "").await, both);
    assert_eq!(problems(&office, "?practicepass=DemoOffice").await, both);
    assert_eq!(problems(&office, "?practicepass=OtherOffice").await, [json!(null); 0]);
}
on_both_databases!(an_unreadable_row_is_listed_with_practice_and_table_once);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_problem_is_counted_once_across_processes_and_expires() {
    let mut office = Office::open(Engine::Sqlite).await;
    office.sql("update tickets set subject = subject").await;
    office.sql("update patients set dob = 'soon' where patient_id = 1001").await;
    let other = office.another_app(|_| ());
    office.get("/v1/DemoOffice/prospects/1001").await.expect(200);
    office.app.flush().await;
    office.answer_with(other.clone());
    office.get("/v1/DemoOffice/prospects/1001").await.expect(200);
    other.flush().await;
    assert_eq!(problems(&office, "").await, [json!(["DemoOffice", "patients", 1, "1001"])]);
    office.sql("update patients set dob = null where patient_id = 1001").await;
    office.set_time("2026-03-10T12:00:00Z");
    assert_eq!(problems(&office, "").await.len(), 1, "rows found yesterday");
    office.set_time("2026-03-11T12:00:00Z");
    assert_eq!(problems(&office, "").await, [json!(null); 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_full_of_unreadable_rows_is_stored_in_a_bounded_item() {
    let mut office = Office::open(Engine::Sqlite).await;
    run_sql(
        &office.catalog,
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 1200)
         insert into products (vendor_code, product_code, product, retail_price_cents, created_at, updated_at)
         select 'V', printf('%05d', i), 'Gel', 'dear', '2026-03-01T10:00:00Z', '2026-03-01T10:00:00Z' from n",
    )
    .await;
    for page in 1..=12 {
        let products = office.get(&format!("/v1/products?limit=100&page={page}")).await;
        assert_eq!(products.expect(200)["data"][0]["RetailPrice"], Value::Null);
        office.app.flush().await;
    }
    assert_eq!(problems(&office, "").await, [json!([null, "products", 500, "500"])]);
    let other = office.another_app(|_| ());
    office.answer_with(other.clone());
    office.get("/v1/products?limit=1&page=700").await.expect(200);
    other.flush().await;
    assert_eq!(
        problems(&office, "").await,
        [json!([null, "products", 500, "700"])],
        "the last row is still reported"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_preserves_unreadable_emr_values() {
    let office = Office::open(Engine::Sqlite).await;
    office
        .sql(
            "update patients set dob = 'soon', notes = x'ff00', mi = cast(x'e9' as text) where patient_id \
        = 1001",
        )
        .await;
    office.put("/v1/DemoOffice/prospects/1001", &json!({ "NickName": "Addie" })).await.expect(200);
    let kept =
        "select count(*) from patients where dob = 'soon' and notes = x'ff00' and mi = cast(x'e9' as text)
                and nick_name = 'Addie'";
    assert_eq!(office.integer(kept).await, 1);
    office
        .sql(
            "insert into tickets (ticket_id, subject, description, created_at, updated_at) values (1, \
        x'ff', x'ff', 'soon', 'soon')",
        )
        .await;
    office.put("/v1/DemoOffice/ticket/1", &json!({ "Status": "Closed" })).await.expect(200);
    let kept =
        "select count(*) from tickets where subject = x'ff' and description = x'ff' and status = 'Closed'";
    assert_eq!(office.integer(kept).await, 1);
    run_sql(&office.catalog, "update kb_articles set article = x'ff', category = x'ff' where kb_id = 11")
        .await;
    office.put("/v1/kb/11", &json!({ "Title": "New" })).await.expect(200);
    let kept =
        "select count(*) from kb_articles where article = x'ff' and category = x'ff' and title = 'New'";
    assert_eq!(office.catalog_integer(kept).await, 1);
    run_sql(
        &office.catalog,
        "insert into products (vendor_code, product_code, product, retail_price_cents, description, \
            created_at, updated_at)
         values ('V', 'P', 'Gel', 'dear', x'ff', '2026-03-01T10:00:00Z', '2026-03-01T10:00:00Z')",
    )
    .await;
    let item = json!({ "VendorCode": "V", "ProductCode": "P", "Cost": 2 });
    office.post("/v1/products", &json!({ "products": [item] })).await.expect(200);
    let kept = "select count(*) from products where retail_price_cents = 'dear' and description = x'ff' and \
        cost_cents = 200";
    assert_eq!(office.catalog_integer(kept).await, 1);
}
