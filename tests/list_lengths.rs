//! The length of a list is exact up to 10,000, and counting costs no more in a larger practice.

use serde_json::{Value, json};
use shared::auth::{CatalogGrant, PracticeGrant};

use crate::office::{
    Engine, Office,
    statements::{Observed, count_steps, observe},
};

const PROSPECTS: &str = "/v1/DemoOffice/prospects";

async fn pagination(office: &Office, path: &str) -> Value {
    office.get(path).await.expect(200)["pagination"].clone()
}

/// The large office has 10,003 patients, 10,000 tickets and products, and 10,003 active articles.
async fn lengths(engine: Engine) {
    let office = Office::open_large(engine).await;
    let at = |page: i64, total: i64, at_least: bool, more: bool| {
        let mut position = json!({ "page": page, "limit": 25, "total": total, "hasMore": more });
        if at_least {
            position["totalIsAtLeast"] = json!(true);
        }
        position
    };
    for (path, expected) in [
        (PROSPECTS, at(1, 10_000, true, true)),
        // A client that reads on while there is more than it has seen reads everything.
        ("/v1/DemoOffice/prospects?page=400", at(400, 10_001, true, true)),
        ("/v1/DemoOffice/prospects?page=401", at(401, 10_003, false, false)),
        ("/v1/DemoOffice/prospects?page=402", at(402, 10_000, true, false)),
        ("/v1/DemoOffice/prospects?prospect=true", at(1, 5_000, false, true)),
        ("/v1/DemoOffice/prospects?prospect=false", at(1, 5_003, false, true)),
        ("/v1/DemoOffice/prospects?search=first", at(1, 10_000, false, true)),
        ("/v1/DemoOffice/prospects?search=last7", at(1, 220, false, true)),
        ("/v1/DemoOffice/prospects?search=nobody", at(1, 0, false, false)),
        ("/v1/DemoOffice/tickets", at(1, 10_000, false, true)),
        ("/v1/DemoOffice/tickets?status=Closed", at(1, 3_334, false, true)),
        ("/v1/products", at(1, 10_000, false, true)),
        ("/v1/products?vendorCode=W7", at(1, 200, false, true)),
        ("/v1/kb", at(1, 10_000, true, true)),
        ("/v1/kb?search=insurance&page=1", at(1, 2, false, false)),
    ] {
        assert_eq!(pagination(&office, path).await, expected, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_length_is_exact_or_says_that_it_is_a_lower_bound_on_sqlite() {
    Box::pin(lengths(Engine::Sqlite)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_length_is_exact_or_says_that_it_is_a_lower_bound_on_postgres() {
    Box::pin(lengths(Engine::Postgres)).await;
}

/// How much a call read: `SQLite`'s instructions, or `PostgreSQL`'s rows.
fn work(seen: &Observed) -> u64 {
    let rows = seen.plans.iter().map(|plan| rows(&plan["Plan"])).sum::<f64>();
    seen.statements.iter().map(|it| it.steps).sum::<u64>() + rows as u64
}

fn rows(node: &Value) -> f64 {
    let number = |name: &str| node[name].as_f64().unwrap_or_default();
    let own = if node["Relation Name"].is_null() {
        0.0
    } else {
        (number("Actual Rows") + number("Rows Removed by Filter")) * number("Actual Loops")
    };
    own + node["Plans"].as_array().into_iter().flatten().map(rows).sum::<f64>()
}

async fn growth(engine: Engine) {
    let office = Office::open_large(engine).await;
    let practice = office.db.practicepass().clone();
    count_steps(&office.app.open(&PracticeGrant::for_operations(practice)).await.unwrap(), 8).await;
    count_steps(&office.app.open_catalog(&CatalogGrant::for_operations()).await.unwrap(), 8).await;
    let paths = [
        "/v1/DemoOffice/prospects?limit=1",
        "/v1/DemoOffice/prospects?limit=1&prospect=true",
        "/v1/DemoOffice/tickets?limit=1",
        "/v1/products?limit=1",
    ];
    let mut before = Vec::new();
    for path in paths {
        let (_, seen) = observe(office.get(path)).await;
        before.push(work(&seen));
    }
    assert!(before.iter().all(|work| *work > 1_000), "{before:?}");
    let more = "with recursive n (n) as (select 1 union all select n + 1 from n where n < 30000)";
    let at = "'2026-01-02T10:00:00Z', '2026-01-02T10:00:00Z'";
    office
        .sql(&format!(
            "insert into patients (patient_id, first_name, last_name, full_name, prospect, created_at, \
                updated_at) {more} select 300000 + n, 'A', 'B', 'A B', {}, {at} from n;
             delete from unindexed_patients;
             insert into tickets (ticket_id, subject, search_text, created_at, updated_at) {more}
                 select 300000 + n, 'A', 'a', {at} from n;",
            if engine == Engine::Sqlite { "1" } else { "true" }
        ))
        .await;
    let products = format!(
        "insert into products (product_id, vendor_code, product_code, product, search_text, created_at, \
            updated_at) {more} select 300000 + n, 'X', 'X' || n, 'Gel', 'x x gel', {at} from n"
    );
    crate::office::run_sql(&office.catalog, &products).await;
    for (path, before) in paths.into_iter().zip(before) {
        let (_, seen) = observe(office.get(path)).await;
        let after = work(&seen);
        // The list of prospects only was half as long.
        let most = if path.contains("prospect=true") { 5 * before / 2 } else { before * 11 / 10 };
        assert!(after <= most, "{path}: {before} before, {after} with four times the rows");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_reads_no_more_in_a_larger_practice_on_sqlite() {
    Box::pin(growth(Engine::Sqlite)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_reads_no_more_in_a_larger_practice_on_postgres() {
    Box::pin(growth(Engine::Postgres)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_ends_on_its_page_is_not_counted() {
    let office = Office::open_large(Engine::Sqlite).await;
    let counts = async |path: &str| {
        let (reply, seen) = observe(office.get(path)).await;
        reply.expect(200);
        seen.statements.iter().filter(|it| it.text.starts_with("select count(*)")).count()
    };
    for path in ["/v1/DemoOffice/prospects", "/v1/DemoOffice/tickets", "/v1/products", "/v1/kb"] {
        assert_eq!(counts(path).await, 1, "{path}");
        assert_eq!(counts(&format!("{path}?search=nothing")).await, 0, "{path}");
    }
    assert_eq!(counts("/v1/DemoOffice/prospects?page=401").await, 0);
}
