//! One example of each operation: a request and its response, from the reference if it has one.
//!
//! A test sends each request and compares the response.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use utoipa::openapi::{
    Content, OpenApi, RefOr,
    path::{Operation, ParameterBuilder, ParameterIn},
};

/// The examples by operation, such as `GET /v1/me`.
const EXAMPLES: &str = include_str!("examples.json");

#[derive(Deserialize)]
struct Example {
    /// The path with its query, such as `/v1/DemoOffice/tickets?status=Open`.
    path: String,
    request: Option<Value>,
    /// The responses by status.
    answers: BTreeMap<String, Value>,
}

/// Adds the examples to their operations.
pub(super) fn show_all(openapi: &mut OpenApi) {
    // A test fails if an operation has no example.
    let mut examples: BTreeMap<String, Example> = serde_json::from_str(EXAMPLES).unwrap_or_default();
    for (path, item) in &mut openapi.paths.paths {
        for (method, operation) in super::operations_of(item) {
            if let Some(example) = examples.remove(&format!("{method} {path}")) {
                show(operation, path, example);
            }
        }
    }
}

/// Adds the example to the operation's parameters, request body and responses.
fn show(operation: &mut Operation, template: &str, example: Example) {
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

/// Converts numbers and booleans; leaves everything else as text.
fn typed(text: &str) -> Value {
    let plain = text.replace("%20", " ");
    match serde_json::from_str(&plain) {
        Ok(value @ (Value::Number(_) | Value::Bool(_))) => value,
        _ => Value::String(plain),
    }
}
