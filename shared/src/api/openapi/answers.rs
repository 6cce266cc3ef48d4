//! Describes the members, headers and errors that all responses share.

use std::collections::{BTreeMap, BTreeSet};

use http::StatusCode;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::components::{self, items_of, members_of, operations, target};
use crate::api::{Code, Problem, VisitConflict};

/// Headers of responses, described once.
const HEADERS: [(&str, &str, &str); 4] = [
    ("X-Request-Id", "string", "The id of this call. Name it when you report a problem."),
    ("RateLimit-Policy", "string", "The limit of calls (`q`) per window (`w` seconds)."),
    ("RateLimit", "string", "The calls left (`r`) until the window ends (`t` seconds)."),
    ("Idempotent-Replayed", "boolean", "`true` if this is the stored response of an earlier call."),
];

/// Enumerations that responses may extend, with the name that they have in responses.
const OPEN: [(&str, &str); 2] = [("Scope", "GrantedScope"), ("EventScope", "SubscribedScope")];

/// Describes the members, headers, descriptions and errors of all responses.
pub(super) fn complete(document: &mut Value) {
    open_codes(document);
    // Not a field of `Problem`: `ApiError::with` adds it to the few problems that have it.
    document["components"]["schemas"]["Problem"]["properties"]["conflicts"] = json!({
        "type": "array",
        "items": { "$ref": target(&VisitConflict::name()) },
        "description": "Why a visit cannot be booked: each conflict with the times that cause it. Omitted \
            from all other problems.",
    });
    let schemas = document["components"]["schemas"].clone();
    for operation in operations(document) {
        let tokens = operation["security"].to_string().contains(super::TOKEN);
        let parameters = operation["parameters"].to_string();
        let idempotent = parameters.contains(super::IDEMPOTENCY_KEY);
        for (status, response) in members_of(operation, "responses") {
            let success = status.starts_with('2');
            describe(status, response, &schemas);
            if !success {
                show_problems(response);
            }
            let limited = tokens && (success || status == "429");
            let applies = [true, limited, limited, idempotent && success];
            for ((name, kind, description), _) in HEADERS.into_iter().zip(applies).filter(|it| it.1) {
                response["headers"][name] = json!({ "description": description, "schema": { "type": kind } });
            }
        }
    }
    for code in Code::ALL {
        document["components"]["examples"][code.as_str()] = example(*code);
    }
    let sent = components::reachable(document, |it| vec![&it["requestBody"], &it["parameters"]]);
    open_enumerations(document, &sent);
    for schema in schemas_of_responses(document, &sent) {
        require(schema);
    }
}

/// Turns the enumeration of codes into an open text: codes are added without a new version.
fn open_codes(document: &mut Value) {
    let code = &mut document["components"]["schemas"]["Code"];
    let known = code["enum"].take();
    let listed: Vec<String> =
        Code::ALL.iter().map(|it| format!("- `{}`: {}.", it.as_str(), it.title())).collect();
    *code = json!({
        "type": "string",
        "description": format!(
            "A stable code for each way in which a call can fail. Codes can be added. Known codes:\n\n{}",
            listed.join("\n")
        ),
        "x-extensible-enum": known,
    });
}

/// Makes the enumerations of responses open, which requests leave closed.
fn open_enumerations(document: &mut Value, sent: &BTreeSet<String>) {
    for (name, open) in OPEN {
        let mut schema = document["components"]["schemas"][name].clone();
        let Some(members) = schema.as_object_mut() else { continue };
        if let Some(known) = members.remove("enum") {
            members.insert("x-extensible-enum".to_owned(), known);
        }
        document["components"]["schemas"][open] = schema;
    }
    let renamed: BTreeMap<String, String> =
        OPEN.iter().map(|(from, to)| (target(from), target(to))).collect();
    for schema in schemas_of_responses(document, sent) {
        components::rename(schema, &renamed);
    }
}

/// Returns the schemas that no request contains.
fn schemas_of_responses<'a>(
    document: &'a mut Value,
    sent: &BTreeSet<String>,
) -> impl Iterator<Item = &'a mut Value> {
    let schemas = members_of(&mut document["components"], "schemas");
    schemas.filter(move |(name, _)| !sent.contains(&target(name))).map(|(_, schema)| schema)
}

/// Describes a response that has no description by its body, or else by its status.
fn describe(status: &str, response: &mut Value, schemas: &Value) {
    if response["description"].as_str().is_some_and(|it| !it.is_empty()) {
        return;
    }
    let schema = &response["content"]["application/json"]["schema"];
    let name = schema["$ref"].as_str().and_then(|it| it.rsplit('/').next()).unwrap_or_default();
    let of_body = schemas[name]["description"].as_str();
    let reason = status.parse().ok().and_then(|it: u16| StatusCode::from_u16(it).ok());
    let reason = reason.and_then(|it| it.canonical_reason()).unwrap_or("Success");
    response["description"] = of_body.unwrap_or(reason).into();
}

/// Refers to an example of each code that the description names.
fn show_problems(response: &mut Value) {
    let description = response["description"].as_str().unwrap_or_default().to_owned();
    let named = Code::ALL.iter().filter(|code| description.contains(&format!("`{}`", code.as_str())));
    let examples: Map<String, Value> = named
        .map(|code| {
            (code.as_str().to_owned(), json!({ "$ref": format!("#/components/examples/{}", code.as_str()) }))
        })
        .collect();
    for (_, content) in members_of(response, "content") {
        content["examples"] = Value::Object(examples.clone());
    }
}

fn example(code: Code) -> Value {
    let request_id = "0b2c6e1a-7d0f-4f5e-9a53-6f1f0c7a9d21";
    let problem = Problem::new(code, format!("{}.", code.title()), request_id, "https://portal.example.com");
    let mut value = serde_json::to_value(&problem).unwrap_or_default();
    if code == Code::InvalidFields {
        value["errors"] = json!([
            { "location": "body.EMail", "code": "INVALID_VALUE", "message": "Send an e-mail address." },
        ]);
    }
    json!({ "summary": code.title(), "value": value })
}

/// Marks as required the members that can be null, because then they are not omitted.
///
/// A member that can also be omitted says so in its description.
fn require(schema: &mut Value) {
    for part in items_of(schema, "allOf") {
        require(part);
    }
    let Some(properties) = schema["properties"].as_object() else { return };
    let always = properties.iter().filter(|(_, it)| can_be_null(it) && !says_omitted(it));
    let always: Vec<String> = always.map(|(name, _)| name.clone()).collect();
    let required = schema["required"].as_array().into_iter().flatten();
    let required = required.filter_map(Value::as_str).map(str::to_owned);
    let all: BTreeSet<String> = required.chain(always).collect();
    if !all.is_empty() {
        schema["required"] = all.into_iter().collect();
    }
}

fn can_be_null(property: &Value) -> bool {
    let is_null = |it: &Value| it["type"] == "null";
    property["type"].as_array().is_some_and(|types| types.contains(&"null".into()))
        || ["oneOf", "anyOf"]
            .iter()
            .any(|it| property[it].as_array().is_some_and(|all| all.iter().any(is_null)))
}

fn says_omitted(property: &Value) -> bool {
    let says =
        |it: &Value| it["description"].as_str().is_some_and(|text| text.to_lowercase().contains("omit"));
    says(property) || property["oneOf"].as_array().is_some_and(|all| all.iter().any(says))
}
