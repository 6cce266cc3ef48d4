//! Tests of creating and updating products in bulk.

use serde_json::{Value, json};
use shared::domain::Scope;

use crate::office::{Engine, Office, Reply, on_both_databases, statements::noted};

const PRODUCTS: &str = "/v1/products";

async fn upsert(office: &Office, products: Value) -> Reply {
    office.post(PRODUCTS, &json!({ "products": products })).await
}

/// Sends the body exactly as written, so that numbers keep their form.
async fn upsert_text(office: &Office, body: &str, more: &[(&str, &str)]) -> Reply {
    let authorization = format!("Bearer {}", office.token("all").await);
    let mut headers = vec![("authorization", authorization.as_str()), ("content-type", "application/json")];
    headers.extend(more);
    office.call("POST", PRODUCTS, &headers, Some(body)).await
}

fn statuses(reply: &Reply) -> Vec<&str> {
    let results = reply.expect(200)["data"]["results"].as_array().unwrap();
    for (index, result) in results.iter().enumerate() {
        assert_eq!(result["index"], index);
        assert_eq!(result["status"] == "failed", result["errors"] != json!([]));
    }
    results.iter().map(|it| it["status"].as_str().unwrap()).collect()
}

/// Returns the only product.
async fn product(office: &Office) -> Value {
    let reply = office.get("/v1/products?includeInactive=true").await;
    assert_eq!(reply.expect(200)["count"], 1);
    reply.body["data"][0].clone()
}

async fn the_documented_example_creates_a_product(office: Office) {
    let example = json!([
        { "VendorCode": "V001", "ProductCode": "P001", "Product": "Example Product", "RetailPrice": 99.99 },
    ]);
    let reply = upsert(&office, example).await;
    assert!(reply.expect(200)["message"].is_string());
    assert_eq!(
        reply.body["data"],
        json!({
            "created": 1, "updated": 0, "unchanged": 0, "failed": 0,
            "results": [{ "index": 0, "status": "created",
                "errors": [] }],
        })
    );
    assert_eq!(
        product(&office).await,
        json!({
            "VendorCode": "V001", "ProductCode": "P001", "Product": "Example Product", "RetailPrice": 99.99,
                "Cost": null,
            "Category": null, "Description": null, "UPC": null, "Active": true,
            "UpdatedAt": "2026-03-09T12:00:00Z",
        })
    );
}
on_both_databases!(the_documented_example_creates_a_product);

async fn an_update_keeps_absent_fields_and_clears_null_fields(office: Office) {
    upsert(
        &office,
        json!([{
            "VendorCode": "V1", "ProductCode": "P1", "Product": "Gel", "RetailPrice": 12.5, "Cost": 0.07,
                "Category": "Skin", "Description": "a\nb",
            "UPC": "036000291452", "Active": false,
        }]),
    )
    .await
    .expect(200);
    office.set_time("2026-03-09T13:00:00Z");
    let reply = upsert(
        &office,
        json!([{ "VendorCode": "V1", "ProductCode": "P1", "Cost": 0.07, "Category": "Skin" }]),
    )
    .await;
    assert_eq!(statuses(&reply), ["unchanged"]);
    assert_eq!(product(&office).await["UpdatedAt"], "2026-03-09T12:00:00Z");
    let reply = upsert(
        &office,
        json!([{
            "VendorCode": "V1", "ProductCode": "P1", "RetailPrice": 13, "Cost": null, "Category": null,
                "Description": null, "UPC": null, "Active": true,
        }]),
    )
    .await;
    assert_eq!(statuses(&reply), ["updated"]);
    assert_eq!(
        product(&office).await,
        json!({
            "VendorCode": "V1", "ProductCode": "P1", "Product": "Gel", "RetailPrice": 13, "Cost": null,
                "Category": null, "Description": null,
            "UPC": null, "Active": true, "UpdatedAt": "2026-03-09T13:00:00Z",
        })
    );
}
on_both_databases!(an_update_keeps_absent_fields_and_clears_null_fields);

async fn valid_items_are_stored_and_all_errors_of_the_others_reported(office: Office) {
    let reply = upsert(
        &office,
        json!([
            { "VendorCode": "V1", "ProductCode": "P1", "Product": "Gel" },
            { "VendorCode": "", "ProductCode": 7, "Product": null, "RetailPrice": -1, "Cost": "9.99",
                "Category": "x".repeat(101), "UPC": "12-34",
              "Active": null, "Colour": "red" },
            "no object",
            { "VendorCode": "V1", "ProductCode": "P2", "RetailPrice": 5 },
            { "VendorCode": "V1", "ProductCode": "P3", "Product": "Cream" },
        ]),
    )
    .await;
    assert_eq!(statuses(&reply), ["created", "failed", "failed", "failed", "created"]);
    let data = &reply.body["data"];
    assert_eq!((&data["created"], &data["failed"]), (&json!(2), &json!(3)));
    let wrong = |index: usize| -> Vec<&str> {
        data["results"][index]["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["location"].as_str().unwrap())
            .collect()
    };
    assert_eq!(
        wrong(1),
        [
            "VendorCode",
            "ProductCode",
            "Product",
            "RetailPrice",
            "Cost",
            "Category",
            "UPC",
            "Active",
            "Colour"
        ]
        .map(|name| format!("body.products[1].{name}"))
    );
    assert_eq!(wrong(2), ["body.products[2]"]);
    assert_eq!(wrong(3), ["body.products[3].Product"]);
    assert_eq!(data["results"][3]["errors"][0]["code"], "REQUIRED");
    assert_eq!(office.catalog_integer("select count(*) from products").await, 2);
}
on_both_databases!(valid_items_are_stored_and_all_errors_of_the_others_reported);

async fn several_items_of_one_product_apply_in_order(office: Office) {
    let item = |price: i64| {
        json!({
            "VendorCode": "V1", "ProductCode": "P1", "Product": "Gel", "RetailPrice": price,
        })
    };
    let nameless = json!({ "VendorCode": "V1", "ProductCode": "P1", "Cost": 1 });
    let reply = upsert(&office, json!([nameless, item(1), item(2), item(2), nameless, item(3)])).await;
    assert_eq!(statuses(&reply), ["failed", "created", "updated", "unchanged", "updated", "updated"]);
    let product = product(&office).await;
    assert_eq!((&product["RetailPrice"], &product["Cost"]), (&json!(3), &json!(1)));
}
on_both_databases!(several_items_of_one_product_apply_in_order);

async fn prices_are_exact_to_the_cent(office: Office) {
    let with = async |price: &str| {
        let body = format!(
            r#"{{"products":[{{"VendorCode":"V","ProductCode":"P","Product":"Gel","RetailPrice":{price}}}]}}"#
        );
        upsert_text(&office, &body, &[]).await
    };
    for (price, cents) in [
        ("99.99", 9999),
        ("0", 0),
        ("0.07", 7),
        ("4.350", 435),
        ("1e2", 10_000),
        ("99999999.99", 9_999_999_999),
    ] {
        assert_ne!(statuses(&with(price).await), ["failed"], "{price}");
        assert_eq!(office.catalog_integer("select retail_price_cents from products").await, cents);
        let read = product(&office).await["RetailPrice"].clone();
        assert_eq!(read.as_f64(), price.parse().ok(), "{price}");
    }
    for price in [
        "0.001",
        "99.9900000000000000000001",
        "-0.01",
        "100000000",
        "1e400",
        "\"1.00\"",
        "true",
        "[1]",
        &"[".repeat(200),
    ] {
        let closed = format!("{price}{}", "]".repeat(price.len() - price.trim_start_matches('[').len()));
        let price = if price.len() == 200 { &closed } else { price };
        let reply = with(price).await;
        assert_eq!(statuses(&reply), ["failed"], "{price}");
        assert_eq!(reply.body["data"]["results"][0]["errors"][0]["location"], "body.products[0].RetailPrice");
    }
}
on_both_databases!(prices_are_exact_to_the_cent);

async fn a_call_accepts_1_to_1000_products_at_a_constant_statement_count(office: Office) {
    for (body, code) in [
        (json!({}), "REQUIRED"),
        (json!({ "products": {} }), "INVALID_TYPE"),
        (json!({ "products": [] }), "TOO_SHORT"),
        (json!({ "products": vec![json!({}); 1001] }), "TOO_LONG"),
    ] {
        let reply = office.post(PRODUCTS, &body).await;
        reply.expect_problem(422, "INVALID_FIELDS");
        assert_eq!(
            (reply.wrong_fields(), &reply.body["errors"][0]["code"]),
            (vec!["body.products"], &json!(code))
        );
    }
    let reply = office.post(PRODUCTS, &json!({ "products": [{}], "items": [] })).await;
    assert_eq!(reply.wrong_fields(), ["body.items"]);
    upsert_text(&office, "[]", &[]).await.expect_problem(400, "MALFORMED_JSON");
    upsert_text(&office, r#"{"products":[{"VendorCode":}]}"#, &[])
        .await
        .expect_problem(400, "MALFORMED_JSON");

    let products = |code: &str, count: usize, price: usize| -> Value {
        (0..count)
            .map(|number| {
                json!({
                    "VendorCode": format!("V{}", number % 7), "ProductCode": format!("{code}{number}"),
                    "Product": format!("Product \
                        {number}"),
                    "RetailPrice": price, "Cost": 1.5, "Category": "Skin", "Description": "d".repeat(300),
                    "UPC": "036000291452",
                })
            })
            .collect()
    };
    for (price, counted) in [(1, "created"), (2, "updated"), (2, "unchanged")] {
        let (one, few) = Box::pin(noted(upsert(&office, products("S", 1, price)))).await;
        let (thousand, many) = Box::pin(noted(upsert(&office, products("P", 1000, price)))).await;
        assert_eq!(
            (&one.expect(200)["data"][counted], &thousand.expect(200)["data"][counted]),
            (&json!(1), &json!(1000))
        );
        assert!(!few.is_empty());
        // SQLite inserts one row per statement. Stored products are read 200 at a time, so that a
        // statement's result is bounded in bytes.
        if office.is_postgres().await || counted != "created" {
            assert!(many.len() <= few.len() + 4, "{counted}: {many:#?}");
        }
    }
    assert_eq!(office.catalog_integer("select count(*) from products").await, 1001);
}
on_both_databases!(a_call_accepts_1_to_1000_products_at_a_constant_statement_count);

#[tokio::test]
async fn a_body_may_be_five_mebibytes() {
    let office = Office::open(Engine::Sqlite).await;
    let body = |length: usize| {
        let frame = r#"{"products":[{"VendorCode":"V","ProductCode":"P","Product":"Gel","Description":""}]}"#;
        frame.replace(r#""""#, &format!("\"{}\"", "x".repeat(length - frame.len())))
    };
    let reply = upsert_text(&office, &body(5 << 20), &[]).await;
    assert_eq!(statuses(&reply), ["failed"], "the text is too long, the body is not");
    upsert_text(&office, &body((5 << 20) + 1), &[]).await.expect_problem(413, "PAYLOAD_TOO_LARGE");
}

#[tokio::test]
async fn a_reply_does_not_grow_with_the_errors_of_one_product() {
    let office = Office::open(Engine::Sqlite).await;
    let unknown: serde_json::Map<String, Value> =
        (0..1000).map(|number| (format!("x{number:04}"), Value::Null)).collect();
    let reply = upsert(&office, json!([unknown])).await;
    assert_eq!(statuses(&reply), ["failed"]);
    let errors = reply.body["data"]["results"][0]["errors"].as_array().unwrap();
    assert_eq!((errors.len(), &reply.body["data"]["results"][0]["errorsOmitted"]), (20, &json!(982)));
    let missing = ["body.products[0].VendorCode", "body.products[0].ProductCode"];
    assert_eq!([&errors[0]["location"], &errors[1]["location"]], missing);
}

async fn a_repeated_request_has_one_effect_and_the_same_reply(office: Office) {
    let body = |price: i64| {
        json!({
            "products": [{ "VendorCode": "V", "ProductCode": "P", "Product": "Gel", "RetailPrice": price }],
        })
        .to_string()
    };
    let key = [("idempotency-key", "k-1")];
    let first = upsert_text(&office, &body(1), &key).await;
    upsert_text(&office, &body(2), &[]).await.expect(200);
    let second = upsert_text(&office, &body(1), &key).await;
    assert_eq!(first.expect(200), second.expect(200));
    assert_eq!((first.header("idempotent-replayed"), second.header("idempotent-replayed")), ("", "true"));
    assert_eq!(product(&office).await["RetailPrice"], 2);
    upsert_text(&office, &body(3), &key).await.expect_problem(422, "IDEMPOTENCY_KEY_REUSED");
    // A rejected request leaves its key unused.
    let key = [("idempotency-key", "k-2")];
    upsert_text(&office, r#"{"products":[]}"#, &key).await.expect_problem(422, "INVALID_FIELDS");
    upsert_text(&office, &body(4), &key).await.expect(200);
    office.set_time("2026-03-10T12:00:01Z");
    let later = upsert_text(&office, &body(4), &[("idempotency-key", "k-1")]).await;
    assert_eq!(statuses(&later), ["unchanged"], "a key is free again after a day");
}
on_both_databases!(a_repeated_request_has_one_effect_and_the_same_reply);

async fn products_and_their_audit_row_are_stored_atomically(office: Office) {
    let item = json!([
        { "VendorCode": "V", "ProductCode": "P", "Product": "Gel" }, { "VendorCode": "V", "ProductCode": "Q",
            "Product": "Gel" },
    ]);
    upsert(&office, item.clone()).await.expect(200);
    upsert(&office, item).await.expect(200);
    let written = "select count(*) from audit_log where action = 'products.upsert' and entity = 'product' \
        and partner_id = 'prt_acme'
                   and entity_ids = (select min(product_id) || ',' || max(product_id) from products)";
    assert_eq!(office.catalog_integer(written).await, 1, "a call without changes is not audited");
    crate::office::run_sql(&office.catalog, "drop table audit_log").await;
    let reply = upsert(&office, json!([{ "VendorCode": "V", "ProductCode": "R", "Product": "Gel" }])).await;
    assert_eq!(reply.status, 500);
    assert_eq!(office.catalog_integer("select count(*) from products").await, 2);
}
on_both_databases!(products_and_their_audit_row_are_stored_atomically);

#[tokio::test]
async fn products_require_their_scope() {
    let office = Office::open(Engine::Sqlite).await;
    let token = office.token_with(&[Scope::Kb, Scope::Prospects]).await;
    for method in ["GET", "POST"] {
        let reply = office.send(&token, method, PRODUCTS, Some(&json!({}))).await;
        reply.expect_problem(403, "INSUFFICIENT_SCOPE");
        assert!(reply.header("www-authenticate").contains("scope=\"ProductPro.Products\""));
    }
    let token = office.token_with(&[Scope::Products]).await;
    office.send(&token, "GET", PRODUCTS, None).await.expect(200);
}

async fn a_listed_product_may_be_sent_back(office: Office) {
    crate::office::run_sql(
        &office.catalog,
        "insert into products (vendor_code, product_code, product, retail_price_cents,
            category, upc, created_at, updated_at) values
        ('EMR', ' lead', 'Gel', 1050, '', 'a', '2026-03-01T10:00:00.123456Z', '2026-03-01T10:00:00Z'),
        ('EMR', 'dear', 'Laser', 99999999999, 'c', null, '2026-03-01T10:00:00Z', '2026-03-01T10:00:00Z')",
    )
    .await;
    let listed = office.get("/v1/products?vendorCode=EMR&includeInactive=true").await;
    let mut rows = listed.expect(200)["data"].as_array().unwrap().clone();
    assert_eq!(rows.len(), 2);
    assert_eq!(statuses(&upsert(&office, Value::from(rows.clone())).await), ["unchanged", "unchanged"]);
    for row in &mut rows {
        row["Product"] = json!("Other");
    }
    assert_eq!(statuses(&upsert(&office, Value::from(rows.clone())).await), ["updated", "updated"]);
    let kept = "select count(*) from products where vendor_code = 'EMR' and product = 'Other' and (category \
        = '' or category = 'c')";
    assert_eq!(office.catalog_integer(kept).await, 2);
    rows[0]["UpdatedAt"] = json!("2020-01-01T00:00:00Z");
    let reply = upsert(&office, json!([rows[0]])).await;
    let errors = &reply.expect(200)["data"]["results"][0]["errors"];
    assert_eq!(
        (&errors[0]["location"], &errors[0]["code"]),
        (&json!("body.products[0].UpdatedAt"), &json!("READ_ONLY_FIELD"))
    );
}
on_both_databases!(a_listed_product_may_be_sent_back);
