//! Converts the description from OpenAPI 3.1 to 3.0.3.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::components;

/// Converts a document of version 3.1 to the same document of version 3.0.3.
///
/// What version 3.0 cannot express is removed: `webhooks`, and the scopes of credentials that are
/// not OAuth 2.0, which `x-scopes` of an operation lists instead.
pub(super) fn convert(document: &mut Value) {
    document["openapi"] = "3.0.3".into();
    if let Some(members) = document.as_object_mut() {
        members.remove("webhooks");
        members.remove("jsonSchemaDialect");
    }
    if let Some(license) = document["info"].get_mut("license").and_then(Value::as_object_mut)
        && let Some(Value::String(identifier)) = license.remove("identifier")
    {
        license.insert("url".to_owned(), format!("https://spdx.org/licenses/{identifier}.html").into());
    }
    components::operations(document).for_each(security);
    for (_, one) in
        document["components"].get_mut("schemas").and_then(Value::as_object_mut).into_iter().flatten()
    {
        schema(one);
    }
    each_schema(document);
    components::remove_unused(document);
}

/// Moves scopes, which version 3.0 permits for OAuth 2.0 only, to `x-scopes`.
fn security(operation: &mut Value) {
    let Some(accepted) = operation.get_mut("security").and_then(Value::as_array_mut) else { return };
    let mut scopes = BTreeSet::new();
    for credentials in &mut *accepted {
        for (_, needed) in credentials.as_object_mut().into_iter().flatten() {
            let named = needed.as_array_mut().map(std::mem::take).unwrap_or_default();
            scopes.extend(named.into_iter().filter_map(|it| it.as_str().map(str::to_owned)));
        }
    }
    // Alternatives that differed only in their scopes.
    accepted.dedup();
    if !scopes.is_empty() {
        operation["x-scopes"] = scopes.into_iter().collect();
    }
}

/// Converts all schemas outside of `components.schemas`.
fn each_schema(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(each_schema),
        Value::Object(members) => {
            if members.contains_key("$ref") {
                members.retain(|name, _| name == "$ref");
            }
            for (name, member) in members {
                match name.as_str() {
                    "schema" => schema(member),
                    // Named schemas are converted already, and examples are data.
                    "schemas" | "example" | "examples" => (),
                    _ => each_schema(member),
                }
            }
        }
        _ => (),
    }
}

/// Converts a schema and those in it.
fn schema(value: &mut Value) {
    // `additionalProperties` can be a boolean.
    let Some(members) = value.as_object_mut() else { return };
    let can_be_null = remove_null(members);
    for (_, property) in members.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        schema(property);
    }
    for name in ["items", "not", "additionalProperties"] {
        if let Some(part) = members.get_mut(name) {
            schema(part);
        }
    }
    for name in ["allOf", "anyOf", "oneOf"] {
        members.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten().for_each(schema);
    }
    members.remove("propertyNames");
    if let Some(only) = members.remove("const") {
        members.insert("enum".to_owned(), json!([only]));
    }
    if let Some(Value::Array(examples)) = members.remove("examples")
        && let Some(first) = examples.into_iter().next()
    {
        members.entry("example").or_insert(first);
    }
    for (exclusive, inclusive) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        if members.get(exclusive).is_some_and(Value::is_number)
            && let Some(bound) = members.insert(exclusive.to_owned(), true.into())
        {
            members.insert(inclusive.to_owned(), bound);
        }
    }
    if can_be_null {
        members.insert("nullable".to_owned(), true.into());
        if let Some(Value::Array(known)) = members.get_mut("enum")
            && !known.contains(&Value::Null)
        {
            known.push(Value::Null);
        }
    }
    // In version 3.0, what stands beside a reference is ignored.
    if members.len() > 1
        && let Some(reference) = members.remove("$ref")
    {
        members.insert("allOf".to_owned(), json!([{ "$ref": reference }]));
    }
}

/// Removes null from the types of a schema; returns whether it was there.
///
/// `nullable` has a meaning only beside a type, so a schema that only null satisfies becomes a
/// string that is null.
fn remove_null(members: &mut Map<String, Value>) -> bool {
    if members.get("type").is_some_and(|it| it == "null") {
        members.insert("type".to_owned(), "string".into());
        members.insert("enum".to_owned(), json!([]));
        return true;
    }
    let Some(Value::Array(types)) = members.get_mut("type") else { return false };
    let before = types.len();
    types.retain(|it| it != "null");
    let found = types.len() < before;
    if let [one] = types.as_slice() {
        let one = one.clone();
        members.insert("type".to_owned(), one);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(mut of_3_1: Value) -> Value {
        schema(&mut of_3_1);
        of_3_1
    }

    #[test]
    fn each_rule_converts_a_schema_to_version_3_0() {
        let reference = json!({ "$ref": "#/components/schemas/Tag" });
        let nothing = json!({ "type": "string", "nullable": true, "enum": [null] });
        let cases = [
            (json!({ "type": ["string", "null"] }), json!({ "type": "string", "nullable": true })),
            (json!({ "type": "null" }), nothing.clone()),
            (
                json!({ "oneOf": [{ "type": "null" }, reference], "description": "Own." }),
                json!({ "oneOf": [nothing, reference], "description": "Own." }),
            ),
            (
                json!({ "type": ["string", "null"], "enum": ["a"] }),
                json!({ "type": "string", "nullable": true, "enum": ["a", null] }),
            ),
            (json!({ "const": 7 }), json!({ "enum": [7] })),
            (json!({ "examples": [1, 2] }), json!({ "example": 1 })),
            (
                json!({ "exclusiveMinimum": 0, "exclusiveMaximum": 9 }),
                json!({ "exclusiveMinimum": true, "minimum": 0, "exclusiveMaximum": true, "maximum": 9 }),
            ),
            (reference.clone(), reference.clone()),
            (
                json!({ "$ref": "#/components/schemas/Tag", "description": "Own." }),
                json!({ "allOf": [reference], "description": "Own." }),
            ),
            (
                json!({ "type": "object", "propertyNames": { "type": "string" },
                    "additionalProperties": { "type": ["integer", "null"] } }),
                json!({ "type": "object", "additionalProperties": { "type": "integer", "nullable": true } }),
            ),
            (
                json!({ "properties": { "const": { "type": "array", "items": { "const": 1 } } } }),
                json!({ "properties": { "const": { "type": "array", "items": { "enum": [1] } } } }),
            ),
        ];
        for (of_3_1, of_3_0) in cases {
            assert_eq!(converted(of_3_1.clone()), of_3_0, "{of_3_1}");
        }
    }

    #[test]
    fn a_document_loses_only_what_version_3_0_cannot_express() {
        let mut document = json!({
            "openapi": "3.1.0",
            "info": { "license": { "name": "Apache License 2.0", "identifier": "Apache-2.0" } },
            "webhooks": { "Patients": { "$ref": "#/components/schemas/Payload" } },
            "paths": { "/v1/me": { "get": {
                "security": [{ "accessToken": ["A"] }, { "accessToken": ["B"] }, { "cookie": [] }],
                "responses": {
                    "200": { "content": { "application/json": {
                        "schema": { "type": ["object", "null"] }, "example": { "schema": ["null"] },
                    } } },
                    "404": { "$ref": "#/components/responses/NotFound", "description": "Nothing." },
                },
            } } },
            "components": {
                "schemas": { "Payload": { "type": "object" } },
                "responses": { "NotFound": { "description": "Not found." } },
            },
        });
        convert(&mut document);
        let expected = json!({
            "openapi": "3.0.3",
            "info": { "license": {
                "name": "Apache License 2.0", "url": "https://spdx.org/licenses/Apache-2.0.html",
            } },
            "paths": { "/v1/me": { "get": {
                "security": [{ "accessToken": [] }, { "cookie": [] }],
                "x-scopes": ["A", "B"],
                "responses": {
                    "200": { "content": { "application/json": {
                        "schema": { "type": "object", "nullable": true }, "example": { "schema": ["null"] },
                    } } },
                    "404": { "$ref": "#/components/responses/NotFound" },
                },
            } } },
            "components": {
                "schemas": {},
                "responses": { "NotFound": { "description": "Not found." } },
            },
        });
        assert_eq!(document, expected);
    }
}
