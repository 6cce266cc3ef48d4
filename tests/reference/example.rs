//! The description's examples, one for every operation.

use std::fs;

use serde_json::{Map, Value};

pub(super) const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/src/api/openapi/examples.json");

/// A request and its responses.
#[derive(Clone, Debug)]
pub(crate) struct Example {
    /// Its name in the description, e.g. `GET /v1/me`.
    pub(crate) operation: String,
    /// The path with its query.
    pub(crate) path: String,
    pub(crate) request: Option<Value>,
    /// Responses by status.
    pub(crate) answers: Map<String, Value>,
}

pub(crate) fn examples() -> Vec<Example> {
    let text = fs::read_to_string(FILE).unwrap();
    let all: Map<String, Value> = serde_json::from_str(&text).unwrap();
    let example = |(operation, it): (String, Value)| Example {
        operation,
        path: it["path"].as_str().unwrap().to_owned(),
        request: it.get("request").cloned(),
        answers: it["answers"].as_object().unwrap().clone(),
    };
    all.into_iter().map(example).collect()
}

/// Whether the server generates a new value each time; only its type can be compared.
fn is_generated(operation: &str, name: &str, value: &Value) -> bool {
    let random =
        ["accessToken", "apiKey", "claimUrl", "durationMs", "keyId", "nextAttemptAt", "prefix", "secret"];
    let here = [
        ("GET /v1/admin/audit", "requestId"),
        ("POST /v1/webhooks/replay", "replay"),
        // Migrations and time-zone databases change their numbers.
        ("GET /v1/admin/readiness", "atLeast"),
        ("GET /v1/admin/readiness", "tzdata"),
        ("GET /v1/admin/readiness", "value"),
        ("POST /v1/access-requests/claim", "partnerId"),
        ("POST /v1/admin/access-requests/{id}/approve", "partnerId"),
        ("POST /v1/admin/access-requests/{id}/reissue", "partnerId"),
        ("POST /v1/admin/access-requests/{id}/withdraw", "partnerId"),
        ("POST /v1/{PPass}/prospects", "PatientID"),
        ("POST /v1/{PPass}/tickets", "TicketID"),
        ("POST /v1/{PPass}/tickets/{id}/comment", "CommentID"),
    ];
    random.contains(&name) || name == "id" && value.is_string() || here.contains(&(operation, name))
}

/// Returns where the response differs from the example: in members, in values, or, for generated
/// values, in their type.
pub(super) fn differences(operation: &str, name: &str, example: &Value, answer: &Value) -> Vec<String> {
    match (example, answer) {
        (Value::Object(wanted), Value::Object(found)) => {
            let names =
                |it: &Map<String, Value>| it.keys().cloned().collect::<std::collections::BTreeSet<_>>();
            let apart = names(wanted).symmetric_difference(&names(found)).cloned().collect::<Vec<_>>();
            let apart = apart.into_iter().map(|it| format!("{name}: only one has {it}"));
            let both = wanted.iter().filter_map(|(name, wanted)| Some((name, wanted, found.get(name)?)));
            let within = both.flat_map(|(name, wanted, found)| differences(operation, name, wanted, found));
            apart.chain(within).collect()
        }
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            let pairs = wanted.iter().zip(found);
            pairs.flat_map(|(wanted, found)| differences(operation, name, wanted, found)).collect()
        }
        (wanted, found) if wanted == found => Vec::new(),
        (wanted, found) if is_generated(operation, name, found) && same_kind(wanted, found) => Vec::new(),
        (wanted, found) => vec![format!("{name}: {found}, not {wanted}")],
    }
}

fn same_kind(one: &Value, other: &Value) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}

/// Returns the response, with the example's own values in place of generated ones.
pub(super) fn renewed(operation: &str, name: &str, example: &Value, answer: &Value) -> Value {
    match (example, answer) {
        (example, Value::Object(found)) => found
            .iter()
            .map(|(name, found)| (name.clone(), renewed(operation, name, &example[name.as_str()], found)))
            .collect(),
        (example, Value::Array(found)) => found
            .iter()
            .enumerate()
            .map(|(at, found)| renewed(operation, name, &example[at], found))
            .collect(),
        (example, found) if is_generated(operation, name, found) && same_kind(example, found) => {
            example.clone()
        }
        (_, found) => found.clone(),
    }
}
