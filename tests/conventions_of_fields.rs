//! Conventions for every body field, tested on every operation in the OpenAPI description.

use serde_json::{Map, Value, json};

use crate::{
    access_matrix::{Access, Operation, operations},
    bounds::inputs::{of_kind, schema},
    office::{ADMIN_SECRET, Engine, Office, Reply},
};

async fn send(office: &Office, token: &str, operation: &Operation, body: &Value) -> Reply {
    let authorization = format!("Bearer {token}");
    let mut headers = vec![("content-type", "application/json")];
    match operation.access {
        Access::Partner(_) => headers.push(("authorization", &authorization)),
        Access::Admin => headers.push(("x-admin-secret", ADMIN_SECRET)),
        Access::Open | Access::Session => (),
    }
    // Changes are validated together with the stored data, so the record must exist.
    let path = operation.filled().replace("/prospects/1", "/prospects/1001").replace("/kb/1", "/kb/12");
    office.call(&operation.method, &path, &headers, Some(&body.to_string())).await
}

/// Returns the fields of a body, or of a product item, and the names of the required ones.
fn fields(description: &Value, operation: &Operation) -> (Map<String, Value>, Vec<String>) {
    let mut schema = schema(description, operation);
    if operation.path == "/v1/products" {
        schema = schema["properties"]["products"]["items"].clone();
    }
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let required = required.iter().filter_map(|it| it.as_str().map(str::to_owned)).collect();
    (schema["properties"].as_object().cloned().unwrap_or_default(), required)
}

/// Returns the errors of one field, from a body that contains only this field.
async fn errors(
    office: &Office,
    token: &str,
    operation: &Operation,
    name: &str,
    value: Value,
) -> Vec<(String, String)> {
    let products = operation.path == "/v1/products";
    let body = if products { json!({ "products": [{ name: value }] }) } else { json!({ name: value }) };
    let reply = send(office, token, operation, &body).await;
    let errors = if products { &reply.body["data"]["results"][0]["errors"] } else { &reply.body["errors"] };
    let place = if products { format!("body.products[0].{name}") } else { format!("body.{name}") };
    let of_field = errors.as_array().into_iter().flatten().filter(|it| it["location"] == place);
    of_field
        .map(|it| (it["code"].as_str().unwrap().to_owned(), it["message"].as_str().unwrap().to_owned()))
        .collect()
}

#[tokio::test]
async fn an_empty_optional_field_is_rejected_with_what_to_send_instead() {
    let office = Office::open(Engine::Sqlite).await;
    let token = office.token("all").await;
    let description = crate::described::described();
    let (mut wrong, mut tried) = (Vec::new(), 0);
    for operation in operations().iter().filter(|it| it.body) {
        let (fields, required) = fields(&description, operation);
        for (name, field) in &fields {
            if required.contains(name) || of_kind(field, "string").is_none() {
                continue;
            }
            tried += 1;
            let found = errors(&office, &token, operation, name, json!("")).await;
            if !found.iter().any(|(code, message)| code == "EMPTY" && message.contains("leave")) {
                wrong.push(format!("{} {name}: {found:?}", operation.name()));
            }
        }
    }
    assert!(tried >= 60, "{tried}");
    assert_eq!(wrong, Vec::<String>::new());
}

#[tokio::test]
async fn an_id_may_be_a_string_of_digits() {
    let office = Office::open(Engine::Sqlite).await;
    let token = office.token("all").await;
    let description = crate::described::described();
    let (mut wrong, mut tried) = (Vec::new(), 0);
    for operation in operations().iter().filter(|it| it.body) {
        let (fields, _) = fields(&description, operation);
        for (name, field) in &fields {
            let is_id = name.ends_with("ID") || name.ends_with("Id") || name.ends_with("_id");
            if !is_id || of_kind(field, "integer").is_none() {
                continue;
            }
            tried += 1;
            let found = errors(&office, &token, operation, name, json!("2")).await;
            if found.iter().any(|(code, _)| code == "INVALID_TYPE") {
                wrong.push(format!("{} {name}: {found:?}", operation.name()));
            }
            let found = errors(&office, &token, operation, name, json!("2x")).await;
            if found.is_empty() {
                wrong.push(format!("{} {name}: 2x is taken", operation.name()));
            }
        }
    }
    assert!(tried >= 5, "{tried}");
    assert_eq!(wrong, Vec::<String>::new());
}
