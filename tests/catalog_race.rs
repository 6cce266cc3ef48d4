//! Concurrent bulk requests. Only `PostgreSQL` runs them concurrently.

use serde_json::{Value, json};

use crate::office::{Office, on_both_databases};

const CALLS: usize = 8;
const PRODUCTS: usize = 200;

/// Each call sets one field of the same products, each in a different order.
fn body(call: usize) -> Value {
    let mut products: Vec<Value> = (0..PRODUCTS)
        .map(|number| {
            let mut item = json!({
                "VendorCode": "V", "ProductCode": format!("P{}", (number * 7 + call * 31) % PRODUCTS),
                    "Product": "Gel",
            });
            let (name, value) = [
                ("RetailPrice", json!(1)),
                ("Cost", json!(2)),
                ("Category", json!("c")),
                ("Description", json!("d")),
            ][call % 4]
                .clone();
            item[name] = value;
            item
        })
        .collect();
    if call % 2 == 1 {
        products.reverse();
    }
    json!({ "products": products })
}

async fn concurrent_upserts_of_the_same_products_all_succeed(office: Office) {
    let products = i64::try_from(PRODUCTS).unwrap();
    let token = office.token("all").await;
    let bodies: Vec<Value> = (0..CALLS).map(body).collect();
    let replies = futures::future::join_all(
        bodies.iter().map(|body| office.send(&token, "POST", "/v1/products", Some(body))),
    )
    .await;
    let total = |name: &str| -> u64 {
        replies.iter().map(|reply| reply.expect(200)["data"][name].as_u64().unwrap()).sum()
    };
    assert_eq!((total("created"), total("failed")), (PRODUCTS as u64, 0));
    assert_eq!(office.catalog_integer("select count(*) from products").await, products);
    let whole = "select count(*) from products where retail_price_cents = 100 and cost_cents = 200 and \
        category = 'c' and description = 'd'";
    assert_eq!(
        office.catalog_integer(whole).await,
        products,
        "a call overwrote what another had just written"
    );
}
on_both_databases!(concurrent_upserts_of_the_same_products_all_succeed);
