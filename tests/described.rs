//! The description of the API as tests read it: each shared parameter and response in its place.

use std::sync::LazyLock;

use serde_json::Value;

use crate::office::all_routes;

/// What `shared::api::describe` returns.
pub(crate) fn published() -> Value {
    let (_, openapi) = all_routes().split_for_parts();
    shared::api::describe(openapi)
}

/// The published description, with copies in place of references to parameters, responses, headers
/// and examples. References to schemas stay.
pub(crate) fn described() -> Value {
    static DESCRIBED: LazyLock<Value> = LazyLock::new(|| {
        let document = published();
        let mut paths = document["paths"].clone();
        expand(&document, &mut paths);
        let mut described = document;
        described["paths"] = paths;
        described
    });
    DESCRIBED.clone()
}

fn expand(document: &Value, value: &mut Value) {
    if let Some(reference) = value["$ref"].as_str()
        && !reference.starts_with("#/components/schemas/")
    {
        *value = document.pointer(&reference[1..]).unwrap_or_else(|| panic!("no {reference}")).clone();
    }
    match value {
        Value::Array(items) => items.iter_mut().for_each(|it| expand(document, it)),
        Value::Object(members) => members.values_mut().for_each(|it| expand(document, it)),
        _ => (),
    }
}
