//! The API's description is generated from the code, and code, description and template name the
//! same endpoints.

use std::{collections::BTreeSet, fs};

use officepro_local::template::RouteKey;
use serde_json::Value;
use shared::api::Code;

use crate::{
    described::{described, published},
    description::rust_files,
    office::template,
};

const SNAPSHOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/openapi.json");

/// `UPDATE_SNAPSHOTS=1` writes the file instead.
#[test]
fn the_committed_openapi_file_matches_the_code() {
    let text = format!("{}\n", serde_json::to_string_pretty(&published()).unwrap());
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(SNAPSHOT, &text).unwrap();
    }
    assert!(
        fs::read_to_string(SNAPSHOT).unwrap() == text,
        "run UPDATE_SNAPSHOTS=1 tests/postgres cargo test --workspace --test api -- openapi \
            reference::every_example"
    );
}

#[test]
fn the_template_routes_exactly_the_documented_endpoints_and_head() {
    let documented: BTreeSet<String> = described()["paths"]
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
    for (path, item) in described()["paths"].as_object().unwrap() {
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
    let description = published();
    follow(&description, &description);
}

#[test]
fn operation_ids_are_unique_and_in_camel_case() {
    let described = described();
    let items = described["paths"].as_object().unwrap().values();
    let operations = items.flat_map(|item| item.as_object().unwrap().values());
    let ids: Vec<&str> = operations.map(|it| it["operationId"].as_str().unwrap()).collect();
    for id in &ids {
        let alphabetic = id.chars().all(|it| it.is_ascii_alphabetic());
        assert!(alphabetic && id.starts_with(|first: char| first.is_ascii_lowercase()), "{id}");
    }
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
}

#[test]
fn each_error_code_of_a_response_has_an_example() {
    for (path, item) in described()["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                if !status.starts_with(['4', '5']) {
                    continue;
                }
                let codes: Vec<&str> = response["description"]
                    .as_str()
                    .unwrap()
                    .split('`')
                    .filter(|it| Code::ALL.iter().any(|code| code.as_str() == *it))
                    .collect();
                assert!(!codes.is_empty(), "{method} {path} {status}");
                let examples = &response["content"]["application/problem+json"]["examples"];
                for code in codes {
                    let example = &examples[code]["value"];
                    assert_eq!(example["code"], code, "{method} {path} {status}");
                    assert_eq!(example["status"].to_string(), *status, "{method} {path} {code}");
                }
            }
        }
    }
}

/// A member that is omitted instead of null must not be described as possibly null, and the other
/// way around: what can be null is always there, unless its description says when it is omitted.
#[test]
fn members_that_are_omitted_are_not_described_as_null() {
    let mut fields = 0;
    for file in ["shared/src", "functions"].iter().flat_map(|folder| rust_files(folder)) {
        let source = fs::read_to_string(&file).unwrap();
        for described in source.split("ToSchema)]").skip(1) {
            let fields_of = described.split("\n}\n").next().unwrap();
            for (at, _) in fields_of.match_indices("skip_serializing_if = \"Option::is_none\"") {
                let field = fields_of[at..].split(": Option<").next().unwrap();
                let before = fields_of[..at].rsplit(",\n").next().unwrap();
                let says = field.contains("nullable = false") || before.contains("nullable = false");
                assert!(says, "{}: {field}", file.display());
                fields += 1;
            }
        }
    }
    assert!(fields >= 14, "{fields}");
}
