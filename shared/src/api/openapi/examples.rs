//! One example of every operation: a request and what it is answered, the reference's own where it has one.
//!
//! A test sends each request and compares what comes.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use utoipa::openapi::{
    Content, RefOr,
    path::{Operation, ParameterBuilder, ParameterIn},
};

/// By the operation's name, e.g. `GET /v1/me`.
const EXAMPLES: &str = include_str!("examples.json");

#[derive(Deserialize)]
pub(super) struct Example {
    /// With its query, e.g. `/v1/DemoOffice/tickets?status=Open`.
    path: String,
    request: Option<Value>,
    /// By status.
    answers: BTreeMap<String, Value>,
}

pub(super) fn all() -> BTreeMap<String, Example> {
    // A test finds an operation without its example.
    serde_json::from_str(EXAMPLES).unwrap_or_default()
}

/// Shows the example wherever the operation has a place for it.
pub(super) fn show(operation: &mut Operation, template: &str, example: Example) {
    let (path, query) = example.path.split_once('?').unwrap_or((&example.path, ""));
    let in_path: BTreeMap<&str, &str> = template.split('/').zip(path.split('/')).collect();
    let in_query: BTreeMap<&str, &str> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(parameter) = parameter else { continue };
        let value = match parameter.parameter_in {
            ParameterIn::Path => in_path.get(format!("{{{}}}", parameter.name).as_str()),
            ParameterIn::Query => in_query.get(parameter.name.as_str()),
            _ => None,
        };
        if let Some(value) = value {
            let builder = ParameterBuilder::from(parameter.clone());
            *parameter = builder.example(Some(typed(value))).build();
        }
    }
    if let (Some(request), Some(RefOr::T(body))) = (example.request, &mut operation.request_body) {
        body.content.values_mut().for_each(|content| set(content, &request));
    }
    for (status, answer) in example.answers {
        if let Some(RefOr::T(response)) = operation.responses.responses.get_mut(&status)
            && let Some(content) = response.content.get_mut("application/json")
        {
            set(content, &answer);
        }
    }
}

fn set(content: &mut RefOr<Content>, example: &Value) {
    if let RefOr::T(content) = content {
        content.example = Some(example.clone());
    }
}

/// Numbers and booleans as such.
fn typed(text: &str) -> Value {
    let plain = text.replace("%20", " ");
    match serde_json::from_str(&plain) {
        Ok(value @ (Value::Number(_) | Value::Bool(_))) => value,
        _ => Value::String(plain),
    }
}
