//! The part of JSON Schema that the description uses.

use serde_json::Value;

/// Returns where a value violates its schema; `root` contains the referenced schemas.
pub(super) fn faults(root: &Value, schema: &Value, value: &Value, place: &str) -> Vec<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        return faults(root, root.pointer(&reference[1..]).unwrap(), value, place);
    }
    let mut found = Vec::new();
    let within = |part: &Value| faults(root, part, value, place);
    for part in schema["allOf"].as_array().into_iter().flatten() {
        found.extend(within(part));
    }
    for union in ["oneOf", "anyOf"] {
        if let Some(parts) = schema[union].as_array() {
            let tried: Vec<Vec<String>> = parts.iter().map(within).collect();
            if tried.iter().all(|it| !it.is_empty()) {
                found.extend(tried.into_iter().flatten());
            }
        }
    }
    let mut fault = |what: &str| found.push(format!("{place}: {value} {what}"));
    if !is_of(&schema["type"], value) {
        fault(&format!("is no {}", schema["type"]));
    }
    if schema["enum"].as_array().is_some_and(|choice| !choice.contains(value)) {
        fault("is none of the choice");
    }
    let size = match value {
        Value::String(text) => Some((text.chars().count(), "minLength", "maxLength")),
        Value::Array(items) => Some((items.len(), "minItems", "maxItems")),
        _ => None,
    };
    if let Some((size, least, most)) = size {
        let limit = |name: &str| schema[name].as_u64().map(|it| usize::try_from(it).unwrap());
        if limit(least).is_some_and(|it| size < it) || limit(most).is_some_and(|it| size > it) {
            fault("is too short or too long");
        }
    }
    if let Some(number) = value.as_f64() {
        let limit = |name: &str| schema[name].as_f64();
        if limit("minimum").is_some_and(|it| number < it) || limit("maximum").is_some_and(|it| number > it) {
            fault("is too small or too large");
        }
    }
    if let Value::Object(members) = value {
        for name in schema["required"].as_array().into_iter().flatten() {
            if !members.contains_key(name.as_str().unwrap()) {
                fault(&format!("has no {name}"));
            }
        }
        let closed = schema["additionalProperties"] == false;
        for (name, member) in members {
            match schema["properties"].get(name) {
                Some(property) => found.extend(faults(root, property, member, &format!("{place}.{name}"))),
                None if schema["additionalProperties"].is_object() => {
                    let place = format!("{place}.{name}");
                    found.extend(faults(root, &schema["additionalProperties"], member, &place));
                }
                None if closed => found.push(format!("{place}: {name} is unknown")),
                None => (),
            }
        }
    }
    for item in value.as_array().into_iter().flatten().filter(|_| schema["items"].is_object()) {
        found.extend(faults(root, &schema["items"], item, &format!("{place}[]")));
    }
    found
}

fn is_of(kinds: &Value, value: &Value) -> bool {
    let is = |kind: &Value| match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        kind => panic!("{kind}"),
    };
    match kinds {
        Value::Null => true,
        Value::Array(kinds) => kinds.iter().any(is),
        kind => is(kind),
    }
}

#[test]
fn a_value_that_violates_its_schema_is_found() {
    let root = serde_json::json!({ "short": { "type": "string", "maxLength": 2 } });
    let schema = serde_json::json!({
        "type": "object", "required": ["a"], "additionalProperties": false,
        "properties": { "a": { "oneOf": [{ "$ref": "#/short" }, { "type": "null" }] },
            "n": { "type": "integer",
            "maximum": 3 } },
    });
    let count = |value: Value| faults(&root, &schema, &value, "it").len();
    assert_eq!(count(serde_json::json!({ "a": "ok", "n": 3 })), 0);
    assert_eq!(count(serde_json::json!({ "a": null })), 0);
    assert_eq!(count(serde_json::json!({})), 1);
    assert!(count(serde_json::json!({ "a": "far too long" })) > 0);
    assert_eq!(count(serde_json::json!({ "a": "ok", "n": 4, "x": 1 })), 2);
}
