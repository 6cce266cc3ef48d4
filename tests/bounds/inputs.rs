//! Tests the worst inputs.

use serde_json::{Map, Value, json};

use super::{LARGEST, call, fault};
use crate::{
    access_matrix::{Operation, operations},
    office::{Engine, Office},
    reference::examples,
};

/// Returns a body's schema with its references resolved.
pub(crate) fn schema(description: &Value, operation: &Operation) -> Value {
    let documented = &description["paths"][&operation.path][operation.method.to_lowercase()];
    resolved(description, &documented["requestBody"]["content"]["application/json"]["schema"], 6)
}

fn resolved(description: &Value, schema: &Value, depth: usize) -> Value {
    if depth == 0 {
        return schema.clone();
    }
    match schema {
        Value::Object(members) => match members.get("$ref").and_then(Value::as_str) {
            Some(reference) => {
                resolved(description, description.pointer(&reference[1..]).unwrap(), depth - 1)
            }
            None => Value::Object(
                members
                    .iter()
                    .map(|(name, it)| (name.clone(), resolved(description, it, depth - 1)))
                    .collect(),
            ),
        },
        Value::Array(items) => items.iter().map(|it| resolved(description, it, depth - 1)).collect(),
        other => other.clone(),
    }
}

pub(crate) fn of_kind<'a>(schema: &'a Value, kind: &str) -> Option<&'a Value> {
    let is = schema["type"] == kind || schema["type"].as_array().is_some_and(|it| it.contains(&json!(kind)));
    let unions = ["oneOf", "anyOf", "allOf"].into_iter().filter_map(|it| schema[it].as_array()).flatten();
    if is { Some(schema) } else { unions.into_iter().find_map(|it| of_kind(it, kind)) }
}

fn many(count: usize, name: impl Fn(usize) -> String) -> String {
    let fields: Vec<String> = (0..count).map(|number| format!("\"{}\":0", name(number))).collect();
    format!("{{{}}}", fields.join(","))
}

/// Returns a body with every field at its maximum length, and every list full of the worst items.
fn longest(schema: &Value, example: &Value) -> (Value, Value) {
    let properties = schema["properties"].as_object().cloned().unwrap_or_default();
    let (mut legal, mut wrong) = (example.as_object().cloned().unwrap_or_default(), Map::new());
    let share = 900_000 / properties.len().max(1);
    for (name, property) in &properties {
        if let Some(text) = of_kind(property, "string") {
            let free = text["pattern"].as_str().is_none_or(|it| it.contains("[^\\x00"));
            if let (Some(most), true) = (text["maxLength"].as_u64(), free && text["format"].is_null()) {
                legal.insert(name.clone(), json!("😀".repeat(usize::try_from(most).unwrap())));
            }
        }
        let item = of_kind(property, "array").map(|it| {
            let most =
                it["maxItems"].as_u64().map_or(1_000, |most| usize::try_from(most).unwrap().min(1_000));
            let item: Map<String, Value> =
                (0..40).map(|number| (format!("{number}{}", "u".repeat(8)), json!(0))).collect();
            json!(vec![item; most.min(share / 600).max(1)])
        });
        wrong.insert(name.clone(), item.unwrap_or_else(|| json!("\u{1}".repeat(share / 6))));
    }
    (Value::Object(legal), Value::Object(wrong))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_request_gets_at_most_a_mebibyte_and_never_a_500() {
    let office = Office::open(Engine::Sqlite).await;
    let token = office.token("all").await;
    let description = crate::described::described();
    let examples = examples();
    let mut faults = Vec::new();
    let mut bodies = 0;
    for operation in operations().iter().filter(|it| it.body) {
        let example = examples.iter().find(|it| it.operation == operation.name());
        let example = example.and_then(|it| it.request.clone());
        let example = example.unwrap_or_else(|| panic!("{} has no example", operation.name()));
        let (legal, wrong) = longest(&schema(&description, operation), &example);
        let worst = [
            ("unknown fields", many(80_000, |number| format!("x{number:05}"))),
            ("repeated fields", many(80_000, |number| format!("x{:05}", number / 2))),
            ("a long name", format!("{{\"{}\":0}}", "\\u0001".repeat(170_000))),
            ("nested", format!("{{\"x\":{}{}}}", "[".repeat(100), "]".repeat(100))),
            ("nested too deeply", format!("{{\"x\":{}", "[".repeat(900_000))),
            ("longest texts", legal.to_string()),
            ("wrong values", wrong.to_string()),
        ];
        for (what, body) in &worst {
            assert!(body.len() <= LARGEST, "{what} {}", body.len());
            let path = operation.filled().replace("/prospects/1", "/prospects/1001");
            let reply = call(&office, &token, operation, &path, Some(body)).await;
            faults.extend(fault(&reply).map(|it| format!("{} {what}: {it}", operation.name())));
            if *what == "unknown fields" && reply.status == 422 {
                let omitted = reply.body["errorsOmitted"].as_u64().unwrap_or_default();
                assert!(omitted >= 79_980, "{}: {omitted}", operation.name());
            }
            bodies += 1;
        }
    }
    assert!(bodies >= 7 * 20, "{bodies}");
    assert_eq!(faults, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_longest_query_gets_at_most_a_mebibyte_and_never_a_500() {
    let office = Office::open(Engine::Sqlite).await;
    let token = office.token("all").await;
    let description = crate::described::described();
    let mut faults = Vec::new();
    for operation in operations() {
        let documented =
            &description["paths"][&operation.path][operation.method.to_lowercase()]["parameters"];
        let names = documented.as_array().into_iter().flatten().filter(|it| it["in"] == "query");
        let names: Vec<&str> = names.map(|it| it["name"].as_str().unwrap()).collect();
        let unknown: Vec<String> = (0..1_100).map(|number| format!("a{number:x}=")).collect();
        let mut queries =
            vec![unknown.join("&"), format!("{}=1", "%01".repeat(2_400)), format!("a={}", "b".repeat(7_000))];
        queries.extend(names.iter().map(|name| format!("{name}={}", "%F0%9F%98%80".repeat(550))));
        queries.extend(names.iter().map(|name| format!("{name}={}", "9".repeat(7_000))));
        for query in queries {
            let path = format!("{}?{query}", operation.filled());
            let body = operation.body.then_some("{}");
            let reply = call(&office, &token, &operation, &path, body).await;
            faults.extend(
                fault(&reply)
                    .map(|it| format!("{} {}: {it}", operation.name(), &query[..20.min(query.len())])),
            );
        }
    }
    assert_eq!(faults, Vec::<String>::new());
}

#[tokio::test]
async fn an_entirely_invalid_product_batch_gets_a_result_per_item() {
    let office = Office::open(Engine::Sqlite).await;
    let unknown: Vec<String> = (0..150).map(|number| format!("\"😀😀😀{number:03}\":0,")).collect();
    let unknown = unknown.concat();
    let item = format!("{{{unknown}\"VendorCode\":1}}");
    let body = format!("{{\"products\":[{}]}}", vec![item; 1_000].join(","));
    let headers = [("authorization", format!("Bearer {}", office.token("all").await))];
    let headers = [("authorization", headers[0].1.as_str()), ("content-type", "application/json")];
    let reply = office.call("POST", "/v1/products", &headers, Some(&body)).await;
    let results = reply.expect(200)["data"]["results"].as_array().unwrap().clone();
    assert!(reply.bytes <= LARGEST, "{}", reply.bytes);
    assert_eq!((results.len(), &reply.body["data"]["failed"]), (1_000, &json!(1_000)));
    // VendorCode, ProductCode and 150 unknown fields.
    assert_eq!(results[0]["errors"].as_array().unwrap().len(), 20);
    assert_eq!((&results[0]["errorsOmitted"], &results[999]["errorsOmitted"]), (&json!(132), &json!(152)));
    assert_eq!(results[999]["errors"], json!([]));
}
