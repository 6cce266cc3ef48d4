//! Every name in a list can be used in requests.

use std::fmt::Write;

use serde_json::{Value, json};

use shared::sql::Database;

use super::CATALOG_ROWS;
use crate::office::{Engine, Office, on_both_databases, run_sql};

/// Encodes every byte for a query.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        write!(encoded, "%{byte:02X}").unwrap();
        encoded
    })
}

fn texts<'a>(reply: &'a Value, field: &str) -> Vec<&'a str> {
    reply["data"].as_array().unwrap().iter().map(|it| it[field].as_str().unwrap()).collect()
}

/// Creates a visit type for every name, for provider 1 and without a room.
async fn name_types(office: &Office, names: &[&str]) {
    for name in names {
        let name = name.replace('\'', "''");
        office
            .sql(&format!(
                "insert into visit_types (visit_type) values ('{name}');
                 insert into visit_type_providers (visit_type, provider_id) values ('{name}', 1);"
            ))
            .await;
    }
}

async fn a_visit_type_with_any_name_can_be_queried_and_booked(office: Office) {
    let long = "x".repeat(2000);
    let names = [
        " Botox",
        "Botox ",
        "Botox",
        "\tTab\n",
        "In\u{1}ner",
        "\u{202e}RTL",
        "Größe 100% & +",
        "\u{a0}",
        &long,
    ];
    name_types(&office, &names).await;
    let listed = office.get("/v1/DemoOffice/visit-types").await;
    let listed = texts(listed.expect(200), "VisitType");
    for (index, name) in names.iter().enumerate() {
        assert!(listed.contains(name), "{name:?} is not listed");
        let query = encoded(name);
        let base = "/v1/DemoOffice/availability/providers/1";
        let time = format!("{:02}:{:02}", 13 + index / 4, index % 4 * 15);
        let check = format!("{base}/check?date=2026-03-12&time={time}&duration=15&visitType={query}");
        // A query with the longest name exceeds API Gateway's limit.
        if name.len() < 1000 {
            assert_eq!(office.get(&check).await.expect(200)["data"]["Available"], true, "{name:?}");
        }
        let body = json!({
            "PatientID": 1001, "ProviderID": 1, "VisitType": name,
            "VisitDate": "2026-03-12", "VisitTime": time, "VisitDuration": 15,
        });
        let booked = office.post("/v1/DemoOffice/visits/book", &body).await;
        assert_eq!(booked.expect(201)["data"]["VisitType"], *name);
        if name.len() < 1000 {
            let schedule =
                format!("{base}/schedule?startDate=2026-03-12&endDate=2026-03-12&visitType={query}");
            let schedule = office.get(&schedule).await;
            let day = &schedule.expect(200)["data"]["schedule"]["2026-03-12"];
            assert_eq!((day.as_array().unwrap().len(), &day[0]["type"]), (1, &json!(name)));
        }
    }
}
on_both_databases!(a_visit_type_with_any_name_can_be_queried_and_booked);

async fn a_visit_type_name_ignores_outer_spaces_and_must_exist(office: Office) {
    let base = "/v1/DemoOffice/availability/providers/1";
    for (name, status) in [(" Consult ", 200), ("Consult\t", 200), ("Con\0sult", 422), ("Nothing", 422)] {
        let check =
            format!("{base}/check?date=2026-03-12&time=10:00&duration=15&visitType={}", encoded(name));
        office.get(&check).await.expect(status);
        let body = json!({
            "PatientID": 1001, "ProviderID": 1, "VisitType": name,
            "VisitDate": "2026-03-12", "VisitTime": "13:00", "VisitDuration": 15,
        });
        let booked = office.post("/v1/DemoOffice/visits/book", &body).await;
        match status {
            200 => assert!(matches!(booked.status.as_u16(), 201 | 409), "{}", booked.body),
            status => booked.expect_problem(status, "VISIT_TYPE_UNKNOWN"),
        }
        let schedule = format!("{base}/schedule?startDate=2026-03-12&visitType={}", encoded(name));
        office.get(&schedule).await.expect(200);
    }
}
on_both_databases!(a_visit_type_name_ignores_outer_spaces_and_must_exist);

async fn a_visit_type_with_only_inactive_rooms_is_not_bookable(office: Office) {
    let bookable = async || {
        let reply = office.get("/v1/DemoOffice/visit-types?includeInactive=true").await;
        let types = reply.expect(200)["data"].as_array().unwrap().clone();
        types
            .iter()
            .map(|it| {
                (
                    it["VisitType"].as_str().unwrap().to_owned(),
                    it["Resources"].clone(),
                    it["Bookable"] == true,
                )
            })
            .collect::<Vec<_>>()
    };
    let row = |name: &str, rooms: Value, bookable| (name.to_owned(), rooms, bookable);
    let retired = row("Retired", json!([]), false);
    let followup = row("FOLLOWUP", json!([]), true);
    assert_eq!(
        bookable().await,
        [row("Consult", json!([101, 102]), true), followup.clone(), retired.clone()]
    );
    office.sql("update resources set active = false").await;
    assert_eq!(bookable().await, [row("Consult", json!([]), false), followup, retired.clone()]);
    office.sql("update resources set active = true where resource_id = 102").await;
    office.sql("update providers set active = false").await;
    assert_eq!(
        bookable().await,
        [row("Consult", json!([102]), false), row("FOLLOWUP", json!([]), false), retired]
    );
}
on_both_databases!(a_visit_type_with_only_inactive_rooms_is_not_bookable);

async fn products_and_articles_can_be_changed_by_their_listed_names(office: Office) {
    let long = "C".repeat(300);
    let names = [" V ", "V", "V\u{1}", long.as_str()];
    for name in names {
        run_sql(
            &office.catalog,
            &format!(
                "insert into products (vendor_code, product_code, product, retail_price_cents, created_at, \
                updated_at) values
                 ('{name}', '{name}', 'Gel', 500, '2026-03-01T10:00:00Z', '2026-03-01T10:00:00Z');
             insert into kb_articles (title, article, category, type, created_at, updated_at) values
                 ('T', 'A', '{name}', '{name}', '2026-03-01T10:00:00Z', '2026-03-01T10:00:00Z');"
            ),
        )
        .await;
    }
    let listed = office.get("/v1/products").await;
    assert_eq!(texts(listed.expect(200), "VendorCode").len(), names.len());
    for name in names {
        let query = encoded(name);
        let found = office.get(&format!("/v1/products?vendorCode={query}")).await;
        assert!(texts(found.expect(200), "VendorCode").contains(&name));
        let item = json!({ "VendorCode": name, "ProductCode": name, "Cost": 1.5 });
        let changed = office.post("/v1/products", &json!({ "products": [item] })).await;
        assert_eq!(changed.expect(200)["data"]["updated"], 1, "{name:?}");
        for filter in ["category", "type"] {
            let found = office.get(&format!("/v1/kb?{filter}={query}")).await;
            let field = if filter == "category" { "Category" } else { "Type" };
            assert!(texts(found.expect(200), field).contains(&name), "{name:?}");
        }
    }
    assert_eq!(office.catalog_integer("select count(*) from products").await, 4);
    assert_eq!(
        office
            .catalog_integer(
                "select count(*) from products where cost_cents = 150 and retail_price_cents = 500"
            )
            .await,
        4
    );
    for path in ["/v1/products?vendorCode=%00", "/v1/kb?category=%00", "/v1/kb?type=%00"] {
        assert_eq!(office.get(path).await.expect(200)["count"], 0);
    }
    let item = json!({ "VendorCode": "a\u{0}", "ProductCode": "b", "Product": "c" });
    let refused = office.post("/v1/products", &json!({ "products": [item] })).await;
    assert_eq!(
        refused.expect(200)["data"]["results"][0]["errors"][0]["location"],
        "body.products[0].VendorCode"
    );
}
on_both_databases!(products_and_articles_can_be_changed_by_their_listed_names);

async fn a_listed_id_of_any_size_can_be_requested(office: Office) {
    let ids = [i64::MIN, -1, 0, 9_007_199_254_740_993, i64::MAX];
    for id in ids {
        office
            .sql(&format!(
            "insert into patients (patient_id, first_name, last_name, full_name, created_at, updated_at) \
                values
                 ({id}, 'A', 'B', 'A B', '2026-01-02T10:00:00Z', '2026-01-02T10:00:00Z');
             insert into providers (provider_id, name) values ({id}, 'N');
             insert into tags (tag_id, name) values ({id}, 'tag {id}');
             insert into tickets (ticket_id, subject, created_at, updated_at) values ({id}, 'S', \
             '2026-01-02T10:00:00Z', '2026-01-02T10:00:00Z');"
        ))
            .await;
    }
    let reply = office.get("/v1/DemoOffice/prospects").await;
    let listed: Vec<i64> = reply.expect(200)["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["PatientID"].as_i64().unwrap())
        .collect();
    for id in ids {
        assert!(listed.contains(&id), "{id}");
        for path in ["prospects", "ticket", "availability/providers"] {
            office.get(&format!("/v1/DemoOffice/{path}/{id}")).await.expect(200);
        }
        office.get(&format!("/v1/DemoOffice/tags?prospectId={id}")).await.expect(200);
        let tag = json!({ "tagId": id });
        let assigned = office.post(&format!("/v1/DemoOffice/tags/prospects/{id}"), &tag).await;
        assert_eq!(assigned.expect(201)["data"]["Tags"][0]["id"].as_i64(), Some(id));
    }
}
on_both_databases!(a_listed_id_of_any_size_can_be_requested);

/// `SQLite` stores words for true, and lists interpret them as records do.
#[tokio::test]
async fn words_for_true_count_as_true_in_lists() {
    let office = Office::open(Engine::Sqlite).await;
    run_sql(&office.catalog, CATALOG_ROWS).await;
    let lists = [
        ("patients", "prospect", "/v1/DemoOffice/prospects?prospect=true&limit=100"),
        ("providers", "active", "/v1/DemoOffice/availability/providers"),
        ("visit_types", "active", "/v1/DemoOffice/visit-types"),
        ("products", "active", "/v1/products?limit=100"),
        ("kb_articles", "active", "/v1/kb?limit=100"),
    ];
    for (table, column, path) in lists {
        let database: &Database = if path.contains("DemoOffice") { &office.db } else { &office.catalog };
        let mut counts = Vec::new();
        for value in [
            "1",
            "'true'",
            "'Yes'",
            "' t '",
            "'on'",
            "2",
            "'1'",
            "0",
            "'false'",
            "'no'",
            "''",
            "'1abc'",
            "'inf'",
            "'t' || char(0)",
        ] {
            run_sql(database, &format!("update {table} set {column} = {value}")).await;
            counts.push(office.get(path).await.expect(200)["data"].as_array().unwrap().len());
        }
        let all = counts[0];
        assert!(all > 0, "{path}");
        assert_eq!(counts, [[all; 7].as_slice(), &[0; 7]].concat(), "{path}");
    }
}
