//! Moves what several operations share to `components`, and refers to it by name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

/// Members whose values are data and contain no schemas.
const DATA: [&str; 6] = ["example", "examples", "default", "enum", "const", "x-extensible-enum"];

/// Returns the reference to a schema.
pub(super) fn target(schema: &str) -> String {
    format!("#/components/schemas/{schema}")
}

/// Returns the members of the object `name`; none if there is no such object.
pub(super) fn members_of<'a>(
    value: &'a mut Value,
    name: &str,
) -> impl Iterator<Item = (&'a String, &'a mut Value)> {
    value.get_mut(name).and_then(Value::as_object_mut).into_iter().flatten()
}

/// Returns the items of the array `name`; none if there is no such array.
pub(super) fn items_of<'a>(value: &'a mut Value, name: &str) -> impl Iterator<Item = &'a mut Value> {
    value.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten()
}

pub(super) fn operations(document: &mut Value) -> impl Iterator<Item = &mut Value> {
    let items = members_of(document, "paths");
    items.flat_map(|(_, item)| item.as_object_mut().into_iter().flatten().map(|(_, operation)| operation))
}

/// Replaces repeated error responses, headers and parameters by references.
///
/// Removes components that nothing refers to.
pub(super) fn share(document: &mut Value) {
    document["components"]["headers"] = share_headers(document).into();
    document["components"]["responses"] = share_responses(document).into();
    document["components"]["parameters"] = share_parameters(document).into();
    remove_unused(document);
}

/// Replaces each copy of a named schema by a reference to it.
///
/// `utoipa` writes the type parameter of a generic type, e.g. of a page, as a copy.
pub(super) fn share_schemas(document: &mut Value) {
    let mut schemas = document["components"]["schemas"].take();
    let named = schemas.as_object().into_iter().flatten();
    let named = named.filter(|(_, it)| it["properties"].is_object() || it["allOf"].is_array());
    let targets: BTreeMap<String, String> = named.map(|(name, it)| (it.to_string(), target(name))).collect();
    for schema in schemas.as_object_mut().into_iter().flatten().map(|(_, schema)| schema) {
        each_member(schema, &mut |member| replace(member, &targets));
    }
    each_member(document, &mut |member| replace(member, &targets));
    document["components"]["schemas"] = schemas;
}

/// Replaces a copy; returns whether it did, so that there is nothing below it to visit.
fn replace(value: &mut Value, targets: &BTreeMap<String, String>) -> bool {
    let is_type = value["properties"].is_object() || value["allOf"].is_array();
    let Some(target) = is_type.then(|| targets.get(&value.to_string())).flatten() else { return false };
    *value = json!({ "$ref": target });
    true
}

/// Calls `change` for all values below this one, from the outside in, until it returns true.
fn each_member(value: &mut Value, change: &mut impl FnMut(&mut Value) -> bool) {
    let members: Vec<&mut Value> = match value {
        Value::Array(items) => items.iter_mut().collect(),
        Value::Object(members) => {
            members.iter_mut().filter(|(name, _)| !DATA.contains(&name.as_str())).map(|(_, it)| it).collect()
        }
        _ => return,
    };
    for member in members {
        if !change(member) {
            each_member(member, change);
        }
    }
}

/// Renames the targets of references.
pub(super) fn rename(value: &mut Value, renamed: &BTreeMap<String, String>) {
    each_member(value, &mut |member| {
        if let Some(to) = member["$ref"].as_str().and_then(|from| renamed.get(from)) {
            member["$ref"] = to.as_str().into();
        }
        false
    });
}

/// Names each error response by its codes.
fn share_responses(document: &mut Value) -> Map<String, Value> {
    let all = responses(document).filter(|(status, _)| status.starts_with(['4', '5']));
    let name = |response: &Value| {
        let codes = response["description"].as_str().unwrap_or_default().split('`').skip(1).step_by(2);
        codes.map(|code| pascal_case(code, '_')).collect::<Vec<_>>().join("Or")
    };
    share_repeated("responses", all.map(|(_, response)| (name(response), response)).collect())
}

fn share_headers(document: &mut Value) -> Map<String, Value> {
    let all = responses(document)
        .flat_map(|(_, response)| members_of(response, "headers"))
        .map(|(name, header)| (name.clone(), header));
    share_repeated("headers", all.collect())
}

/// Names each parameter by itself, but a path's `id` by its type.
fn share_parameters(document: &mut Value) -> Map<String, Value> {
    let all = operations(document).flat_map(|it| items_of(it, "parameters"));
    let name = |parameter: &Value| {
        let own = parameter["name"].as_str().unwrap_or_default();
        let kind = parameter["schema"]["$ref"].as_str().and_then(|it| it.rsplit('/').next());
        kind.filter(|_| own == "id").map_or_else(|| pascal_case(own, '-'), str::to_owned)
    };
    share_repeated("parameters", all.map(|it| (name(it), it)).collect())
}

fn responses(document: &mut Value) -> impl Iterator<Item = (&String, &mut Value)> {
    operations(document).flat_map(|it| members_of(it, "responses"))
}

/// Replaces values that occur more than once, and returns them by name.
///
/// Of different values with one name, only the most frequent is replaced.
fn share_repeated(kind: &str, all: Vec<(String, &mut Value)>) -> Map<String, Value> {
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    for (name, value) in &all {
        *counts.entry((name.clone(), value.to_string())).or_default() += 1;
    }
    let mut most: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for ((name, text), count) in counts.iter().filter(|(_, count)| **count > 1) {
        let known = most.entry(name).or_default();
        *known = (*known).max((*count, text));
    }
    let mut shared = Map::new();
    for (name, value) in all {
        let text = value.to_string();
        if most.get(name.as_str()).is_some_and(|(_, most)| *most == text) {
            let reference = json!({ "$ref": format!("#/components/{kind}/{name}") });
            shared.insert(name, std::mem::replace(value, reference));
        }
    }
    shared
}

/// Converts `RATE_LIMITED` to `RateLimited`, `page` to `Page` and `Idempotency-Key` to
/// `IdempotencyKey`.
fn pascal_case(name: &str, separator: char) -> String {
    let word = |word: &str| {
        let (head, tail) = word.split_at(word.len().min(1));
        let tail = if separator == '_' { tail.to_ascii_lowercase() } else { tail.to_owned() };
        head.to_ascii_uppercase() + &tail
    };
    name.split(separator).map(word).collect()
}

/// Returns the names of the schemas that these parts of the operations refer to, directly or not.
pub(super) fn reachable(document: &Value, parts: impl Fn(&Value) -> Vec<&Value>) -> BTreeSet<String> {
    let items = document["paths"].as_object().into_iter().flatten();
    let operations = items.flat_map(|(_, item)| item.as_object().into_iter().flatten());
    let mut waiting = Vec::new();
    for (_, operation) in operations {
        for part in parts(operation) {
            referenced(part, &mut waiting);
        }
    }
    closure(document, waiting)
}

/// Returns the given references, and those in the components to which they refer.
fn closure(document: &Value, mut waiting: Vec<String>) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    while let Some(reference) = waiting.pop() {
        let Some(part) = document.pointer(reference.trim_start_matches('#')) else { continue };
        if seen.insert(reference.clone()) {
            referenced(part, &mut waiting);
        }
    }
    seen
}

/// Adds all references below this value to `found`.
fn referenced(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|it| referenced(it, found)),
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|it| referenced(it, found));
        }
        _ => (),
    }
}

/// Removes the components that nothing refers to.
pub(super) fn remove_unused(document: &mut Value) {
    let mut waiting = Vec::new();
    referenced(&document["paths"], &mut waiting);
    referenced(&document["webhooks"], &mut waiting);
    let used = closure(document, waiting);
    for kind in ["schemas", "examples", "responses", "parameters", "headers"] {
        if let Some(all) = document["components"].get_mut(kind).and_then(Value::as_object_mut) {
            all.retain(|name, _| used.contains(&format!("#/components/{kind}/{name}")));
        }
    }
}
