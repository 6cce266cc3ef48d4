//! Requests that the description allows, besides an operation's example.

use serde_json::{Map, Value};

use crate::{canary::Description, reference::Sent};

pub(super) struct Request {
    pub(super) name: String,
    pub(super) sent: Sent,
    /// Whether to send an `Idempotency-Key`.
    pub(super) is_idempotent: bool,
}

/// A change of the example.
enum Change {
    None,
    IdempotencyKey,
    /// Only required parameters, and these values.
    Query(Vec<(String, String)>),
    /// The body with these fields added.
    With(Map<String, Value>),
    /// Only required fields.
    Required(Vec<String>),
}

/// Returns the variation with this number of the example's request; the first is the example.
pub(super) fn variation(
    description: &Description,
    operation: &Value,
    example: &Sent,
    number: usize,
) -> Option<Request> {
    let changes = queries(description, operation).into_iter().chain(bodies(description, operation));
    let first = [("example".to_owned(), Change::None), ("with a key".to_owned(), Change::IdempotencyKey)];
    let takes_key = parameters(operation).any(|it| it["name"] == "Idempotency-Key");
    let first = first.into_iter().take(1 + usize::from(takes_key));
    let (name, change) = first.chain(changes).nth(number)?;
    let mut sent = example.clone();
    let is_idempotent = matches!(change, Change::IdempotencyKey);
    match change {
        Change::None | Change::IdempotencyKey => (),
        Change::Query(values) => sent.path = with_query(operation, &sent.path, &values),
        Change::With(fields) => {
            if let Some(Value::Object(body)) = &mut sent.body {
                body.extend(fields);
            }
        }
        Change::Required(fields) => {
            if let Some(Value::Object(body)) = &mut sent.body {
                body.retain(|name, _| fields.contains(name));
            }
        }
    }
    Some(Request { name, sent, is_idempotent })
}

fn parameters(operation: &Value) -> impl Iterator<Item = &Value> {
    operation["parameters"].as_array().into_iter().flatten()
}

/// One request for each value of each parameter, one without optional ones, and one with all.
fn queries(description: &Description, operation: &Value) -> Vec<(String, Change)> {
    let optional: Vec<&Value> =
        parameters(operation).filter(|it| it["in"] == "query" && it["required"] != true).collect();
    if optional.is_empty() {
        return Vec::new();
    }
    let mut all = Vec::new();
    let mut changes = vec![("no filter".to_owned(), Change::Query(Vec::new()))];
    for parameter in optional {
        let name = parameter["name"].as_str().unwrap().to_owned();
        let values = values(description, &parameter["schema"], &name);
        all.extend(values.first().map(|value| (name.clone(), value.clone())));
        for value in values {
            changes.push((format!("{name}={value}"), Change::Query(vec![(name.clone(), value)])));
        }
    }
    changes.push(("all filters".to_owned(), Change::Query(all)));
    changes
}

/// Every value of a list, both booleans, or else one value.
fn values(description: &Description, schema: &Value, name: &str) -> Vec<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        return values(description, description.0.pointer(&reference[1..]).unwrap(), name);
    }
    for union in ["oneOf", "anyOf"] {
        if let Some(first) = schema[union].get(0) {
            return values(description, first, name);
        }
    }
    let all = schema["enum"].as_array().cloned();
    let both = (schema["type"] == "boolean").then(|| vec![Value::Bool(true), Value::Bool(false)]);
    let values = all.or(both).unwrap_or_else(|| vec![description.value(schema, name)]);
    values.iter().map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned)).collect()
}

/// Replaces the optional parameters of a path's query.
fn with_query(operation: &Value, path: &str, values: &[(String, String)]) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let is_required = |pair: &&str| {
        let name = pair.split('=').next();
        parameters(operation).any(|it| it["required"] == true && it["name"].as_str() == name)
    };
    let kept = query.split('&').filter(is_required).map(str::to_owned);
    let added = values.iter().map(|(name, value)| format!("{name}={}", value.replace(' ', "%20")));
    format!("{path}?{}", kept.chain(added).collect::<Vec<_>>().join("&"))
}

/// One request for each field of the body, one with all of them, and one with required ones only.
fn bodies(description: &Description, operation: &Value) -> Vec<(String, Change)> {
    let mut schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    while let Some(reference) = schema["$ref"].as_str() {
        schema = description.0.pointer(&reference[1..]).unwrap();
    }
    let Value::Object(all) = description.value(schema, "") else { return Vec::new() };
    if all.is_empty() {
        return Vec::new();
    }
    let required = schema["required"].as_array().into_iter().flatten();
    let required = required.map(|it| it.as_str().unwrap().to_owned()).collect();
    let one = |(name, value): (&String, &Value)| {
        (format!("with {name}"), Change::With(Map::from_iter([(name.clone(), value.clone())])))
    };
    let mut changes: Vec<(String, Change)> = all.iter().map(one).collect();
    changes.push(("required fields".to_owned(), Change::Required(required)));
    changes.push(("all fields".to_owned(), Change::With(all)));
    changes
}
