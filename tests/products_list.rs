//! Tests of listing and searching products.

use serde_json::json;

use crate::office::{Engine, Office, on_both_databases};

async fn fill(office: &Office) {
    let item = |vendor: &str, code: &str, name: &str| {
        json!({
            "VendorCode": vendor, "ProductCode": code, "Product": name,
        })
    };
    let mut products = vec![
        item("GLOW", "B-2", "Vitamin C Serum 50%"),
        item("GLOW", "B-10", "Vitamin C Mask"),
        item("glow", "A_1", "Évêque Balm"),
        item("ACME", "SER-1", "Cream"),
    ];
    products.push(json!({ "VendorCode": "ACME", "ProductCode": "OLD", "Product": "Serum", "Active": false }));
    office.post("/v1/products", &json!({ "products": products })).await.expect(200);
}

async fn found(office: &Office, query: &str) -> Vec<String> {
    let reply = office.get(&format!("/v1/products?{query}")).await;
    let body = reply.expect(200);
    let codes: Vec<String> = body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["ProductCode"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(body["count"], codes.len());
    codes
}

async fn available_products_are_listed_by_vendor_and_code(office: Office) {
    fill(&office).await;
    assert_eq!(found(&office, "").await, ["SER-1", "B-10", "B-2", "A_1"]);
    assert_eq!(found(&office, "includeInactive=true").await, ["OLD", "SER-1", "B-10", "B-2", "A_1"]);
    assert_eq!(found(&office, "page=2&limit=3").await, ["A_1"]);
    assert_eq!(found(&office, "page=3&limit=3").await, [""; 0]);
    let reply = office.get("/v1/products?limit=3").await;
    assert_eq!(
        reply.expect(200)["pagination"],
        json!({ "page": 1, "limit": 3, "total": 4, "hasMore": true })
    );
    let mut keys: Vec<_> = reply.body.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["count", "data", "pagination"]);
}
on_both_databases!(available_products_are_listed_by_vendor_and_code);

async fn every_search_word_must_match_a_code_or_the_name(office: Office) {
    fill(&office).await;
    for (search, codes) in [
        ("vitamin", vec!["B-10", "B-2"]),
        ("VITAMIN+ser", vec!["B-2"]),
        ("ser", vec!["SER-1", "B-2"]),
        ("glow", vec!["B-10", "B-2", "A_1"]),
        ("acme+cream", vec!["SER-1"]),
        ("b-1", vec!["B-10"]),
        ("%C3%A9v%C3%AAque", vec!["A_1"]),
        ("%C3%89V%C3%8AQUE", vec!["A_1"]),
        ("e%CC%81ve%CC%82que", vec!["A_1"]),
        ("eveque", vec!["A_1"]),
        ("%20", vec!["SER-1", "B-10", "B-2", "A_1"]),
        // Wildcards are matched literally.
        ("%25", vec!["B-2"]),
        ("_", vec!["A_1"]),
        ("!", vec![]),
        ("b%251", vec![]),
        ("b_2", vec![]),
        ("mask+serum", vec![]),
        ("'+or+1=1", vec![]),
    ] {
        assert_eq!(found(&office, &format!("search={search}")).await, codes, "{search}");
    }
}
on_both_databases!(every_search_word_must_match_a_code_or_the_name);

async fn the_vendor_filter_is_exact_and_combines_with_a_search(office: Office) {
    fill(&office).await;
    assert_eq!(found(&office, "vendorCode=GLOW").await, ["B-10", "B-2"]);
    assert_eq!(found(&office, "vendorCode=glow").await, ["A_1"]);
    assert_eq!(found(&office, "vendorCode=GLO").await, [""; 0]);
    assert_eq!(found(&office, "vendorCode=GLO%25").await, [""; 0]);
    assert_eq!(found(&office, "vendorCode=GLOW&search=mask").await, ["B-10"]);
    assert_eq!(found(&office, "vendorCode=ACME&search=mask").await, [""; 0]);
}
on_both_databases!(the_vendor_filter_is_exact_and_combines_with_a_search);

#[tokio::test]
async fn a_malformed_query_returns_400_and_names_every_parameter() {
    let office = Office::open(Engine::Sqlite).await;
    let reply = office
        .get("/v1/products?page=0&limit=101&includeInactive=maybe&vendorCode=&search=a+b+c+d+e+f+g+h+i")
        .await;
    reply.expect_problem(400, "INVALID_QUERY");
    let wrong = ["query.search", "query.vendorCode", "query.includeInactive", "query.page", "query.limit"];
    assert_eq!(reply.wrong_fields(), wrong);
}
