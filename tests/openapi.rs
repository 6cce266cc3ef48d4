//! The API's description is generated from the code, and code, description and template name the
//! same endpoints.

use std::{collections::BTreeSet, fs};

use officepro_local::template::RouteKey;
use serde_json::Value;

use crate::office::{all_routes, template};

const SNAPSHOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/openapi.json");

fn description() -> Value {
    let (_, openapi) = all_routes().split_for_parts();
    serde_json::to_value(shared::api::describe(openapi)).unwrap()
}

/// `UPDATE_SNAPSHOTS=1` writes the file instead.
#[test]
fn the_committed_openapi_file_matches_the_code() {
    let text = format!("{}\n", serde_json::to_string_pretty(&description()).unwrap());
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(SNAPSHOT, &text).unwrap();
    }
    assert!(
        fs::read_to_string(SNAPSHOT).unwrap() == text,
        "run UPDATE_SNAPSHOTS=1 cargo test -p tests openapi"
    );
}

#[test]
fn the_template_routes_exactly_the_documented_endpoints_and_head() {
    let documented: BTreeSet<String> = description()["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    // An HTTP API does not route HEAD to a GET route, and `ANY` would hide which methods a path
    // has.
    let heads = documented.iter().filter_map(|it| it.strip_prefix("GET ").map(|path| format!("HEAD {path}")));
    let expected: BTreeSet<String> = documented.iter().cloned().chain(heads).collect();
    let routed: BTreeSet<String> = template()
        .functions
        .iter()
        .flat_map(|function| &function.routes)
        .filter_map(|route| match route {
            RouteKey::Default => None,
            RouteKey::Path { method, path } => Some(format!("{method} {path}")),
        })
        .collect();
    let none = Vec::<&String>::new();
    assert_eq!(routed.difference(&expected).collect::<Vec<_>>(), none, "routed, not documented");
    assert_eq!(expected.difference(&routed).collect::<Vec<_>>(), none, "documented, not routed");
}

#[test]
fn every_operation_documents_its_callers_and_responses() {
    for (path, item) in description()["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let what = format!("{method} {path}");
            assert!(operation["summary"].as_str().is_some_and(|it| !it.is_empty()), "{what} has no summary");
            assert!(operation["security"].is_array(), "{what} has no security");
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status.starts_with('2')), "{what} has no success");
            for (status, response) in responses.iter().filter(|(status, _)| status.starts_with(['4', '5'])) {
                let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
                assert_eq!(schema, "#/components/schemas/Problem", "{what} {status}");
                assert!(
                    response["description"].as_str().unwrap().contains('`'),
                    "{what} {status} names no code"
                );
            }
        }
    }
}

#[test]
fn every_reference_in_the_description_resolves() {
    fn follow(description: &Value, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| follow(description, item)),
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get("$ref") {
                    assert!(description.pointer(&reference[1..]).is_some(), "{reference}");
                }
                members.values().for_each(|member| follow(description, member));
            }
            _ => (),
        }
    }
    let description = description();
    follow(&description, &description);
}
