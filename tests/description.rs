//! What the description states for every request and response.

mod schema;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

struct Description(Value);

impl Description {
    fn read() -> Self {
        Self(crate::described::described())
    }

    /// Returns every operation with its name, e.g. `GET /v1/me`.
    fn operations(&self) -> impl Iterator<Item = (String, &Value)> {
        self.0["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
            let operations = item.as_object().unwrap().iter();
            operations
                .map(move |(method, operation)| (format!("{} {path}", method.to_uppercase()), operation))
        })
    }

    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(reference) => self.resolve(self.0.pointer(&reference[1..]).unwrap()),
            None => schema,
        }
    }

    /// Returns every schema of callers' input, with its location.
    fn sent(&self) -> Vec<(String, &Value)> {
        let mut found = Vec::new();
        for (name, operation) in self.operations() {
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let place = format!("{name} {}", parameter["name"].as_str().unwrap());
                self.visit(&place, &parameter["schema"], &mut found);
            }
            let body = &operation["requestBody"]["content"]["application/json"]["schema"];
            self.visit(&format!("{name} body"), body, &mut found);
        }
        found
    }

    fn visit<'a>(&'a self, place: &str, schema: &'a Value, found: &mut Vec<(String, &'a Value)>) {
        let schema = self.resolve(schema);
        found.push((place.to_owned(), schema));
        for union in ["oneOf", "anyOf", "allOf"] {
            for part in schema[union].as_array().into_iter().flatten() {
                self.visit(place, part, found);
            }
        }
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            self.visit(&format!("{place}.{name}"), property, found);
        }
        if schema["items"].is_object() {
            self.visit(&format!("{place}[]"), &schema["items"], found);
        }
    }
}

fn is(schema: &Value, kind: &str) -> bool {
    schema["type"] == kind || schema["type"].as_array().is_some_and(|it| it.contains(&kind.into()))
}

#[test]
fn every_text_list_and_number_in_a_request_has_a_documented_limit() {
    let description = Description::read();
    let mut texts = 0;
    for (place, schema) in description.sent() {
        let says = |word: &str| !schema[word].is_null();
        if is(schema, "string") {
            // A fixed-length format or an enumeration needs no other limit.
            assert!(["maxLength", "enum", "pattern", "format"].into_iter().any(says), "{place}: {schema}");
            texts += 1;
        }
        if is(schema, "array") {
            assert!(says("maxItems"), "{place}: {schema}");
        }
        if is(schema, "integer") || is(schema, "number") {
            assert!((says("maximum") && says("minimum")) || says("enum"), "{place}: {schema}");
        }
        if is(schema, "object") && place.contains("body") {
            assert_eq!(schema["additionalProperties"], false, "{place}");
        }
    }
    assert!(texts > 80, "{texts}");
}

#[test]
fn every_success_has_an_envelope_from_the_reference() {
    // Paths that the reference defines differently, and paths without a resource.
    let others = [
        ("POST /v1/{PPass}/auth/token", "accessToken expiresAt expiresIn tokenType"),
        (
            "GET /v1/admin/webhooks/monitor",
            "breakers dataProblems disabledSubscriptions dispatchStates dispatchStatesOmitted pagination \
                queue recentDeliveries summary",
        ),
        ("POST /v1/access-requests", "message"),
        ("DELETE /v1/portal/session", "message"),
        ("GET /v1/health", "revision status tzdata version"),
        ("GET /v1/openapi.json", ""),
        ("GET /v1/openapi-admin.json", ""),
    ];
    let description = Description::read();
    for (name, operation) in description.operations() {
        for (status, response) in operation["responses"].as_object().unwrap() {
            if !status.starts_with('2') {
                continue;
            }
            let schema = description.resolve(&response["content"]["application/json"]["schema"]);
            let members = schema["properties"].as_object().into_iter().flatten();
            let members: Vec<&str> = members.map(|(member, _)| member.as_str()).collect();
            if let Some((_, other)) = others.iter().find(|(it, _)| *it == name) {
                assert_eq!(members.join(" "), *other, "{name}");
                continue;
            }
            // Additions are sibling keys.
            assert!(members.contains(&"data"), "{name} {status}: {members:?}");
            let list = is(description.resolve(&schema["properties"]["data"]), "array");
            assert_eq!(members.contains(&"count"), list, "{name} {status}: {members:?}");
            let known = ["data", "count", "message", "pagination", "possibleDuplicates"];
            assert!(members.iter().all(|it| known.contains(it)), "{name} {status}: {members:?}");
        }
    }
}

#[test]
fn a_creation_returns_201_and_every_other_success_200() {
    for (name, operation) in Description::read().operations() {
        let successes: Vec<&str> = operation["responses"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .filter(|it| it.starts_with('2'))
            .collect();
        let expected: &[&str] = match name.as_str() {
            // Creates or changes.
            "POST /v1/webhooks/signup" | "POST /v1/{PPass}/tags/prospects/{id}" => &["200", "201"],
            // Somebody decides about it later.
            "POST /v1/access-requests" => &["202"],
            "POST /v1/{PPass}/prospects"
            | "POST /v1/{PPass}/tickets"
            | "POST /v1/{PPass}/tickets/{id}/comment"
            | "POST /v1/{PPass}/visits/book"
            | "POST /v1/access-requests/claim"
            | "POST /v1/admin/keys"
            | "POST /v1/admin/partners"
            | "POST /v1/portal/session"
            | "POST /v1/webhooks/replay" => &["201"],
            _ => &["200"],
        };
        assert_eq!(successes, expected, "{name}");
    }
}

#[test]
fn every_creation_accepts_an_idempotency_key() {
    for (name, operation) in Description::read().operations() {
        // A session is not a record, and signing in again creates another one.
        let creates = !operation["responses"]["201"].is_null() && name != "POST /v1/portal/session";
        let parameters = operation["parameters"].as_array();
        let takes = parameters.into_iter().flatten().any(|it| it["name"] == "Idempotency-Key");
        assert!(takes || !creates, "{name}");
    }
}

#[test]
fn every_growing_list_is_paged_with_a_default_of_25_and_at_most_100() {
    let description = Description::read();
    // Short lists, bounded by the practice: providers, visit types, tags.
    let whole =
        ["GET /v1/{PPass}/availability/providers", "GET /v1/{PPass}/visit-types", "GET /v1/{PPass}/tags"];
    for (name, operation) in description.operations() {
        let schema =
            description.resolve(&operation["responses"]["200"]["content"]["application/json"]["schema"]);
        let listed = !schema["properties"]["count"].is_null();
        if !listed || whole.contains(&name.as_str()) || name == "GET /v1/{PPass}/tags/prospects/{id}" {
            continue;
        }
        assert!(!schema["properties"]["pagination"].is_null(), "{name}");
        let parameters = operation["parameters"].as_array().unwrap();
        let of = |wanted: &str| parameters.iter().find(|it| it["name"] == wanted).map(|it| &it["schema"]);
        assert!(of("page").or(of("cursor")).is_some(), "{name}");
        let limit = description.resolve(of("limit").unwrap());
        // Only activity differs: its CSV files are longer than its pages.
        if name != "GET /v1/admin/activity" {
            assert_eq!(
                (&limit["minimum"], &limit["maximum"], &limit["default"]),
                (&1.into(), &100.into(), &25.into()),
                "{name}"
            );
        }
    }
}

#[test]
fn emr_fields_are_pascal_case_and_platform_fields_camel_case() {
    let description = Description::read();
    let pascal = |name: &str| name.starts_with(|c: char| c.is_ascii_uppercase());
    for (schema, definition) in description.0["components"]["schemas"].as_object().unwrap() {
        let names: Vec<&String> =
            definition["properties"].as_object().into_iter().flatten().map(|(name, _)| name).collect();
        for name in &names {
            let words = name.strip_prefix("Sh_").unwrap_or(name);
            assert!(words.chars().all(|c| c.is_ascii_alphanumeric()), "{schema}.{name}");
        }
        // Only the reference itself mixes them, in the rows of a schedule.
        assert!(
            names.iter().all(|name| pascal(name))
                || names.iter().all(|name| !pascal(name))
                || schema == "ScheduledVisit",
            "{schema} mixes them: {names:?}"
        );
    }
}

#[test]
fn every_operation_and_parameter_has_a_description() {
    for (name, operation) in Description::read().operations() {
        let says = |it: &Value| it["description"].as_str().is_some_and(|text| !text.trim().is_empty());
        assert!(says(operation), "{name} has only a summary");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(says(parameter), "{name}: {}", parameter["name"]);
        }
    }
}

#[test]
fn every_operation_has_examples_that_match_their_schemas() {
    let description = Description::read();
    let mut shown = 0;
    for (name, operation) in description.operations() {
        let mut places = vec![(format!("{name} body"), &operation["requestBody"])];
        for (status, response) in operation["responses"].as_object().unwrap() {
            if status.starts_with('2') {
                places.push((format!("{name} {status}"), response));
            }
        }
        for (place, body) in places.iter().filter(|(_, body)| !body.is_null()) {
            let content = &body["content"]["application/json"];
            assert!(!content["example"].is_null(), "{place} has no example");
            let faults = schema::faults(&description.0, &content["schema"], &content["example"], place);
            assert_eq!(faults, Vec::<String>::new());
            shown += 1;
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let place = format!("{name} {}", parameter["name"]);
            if parameter["in"] == "path" {
                assert!(!parameter["example"].is_null(), "{place} has no example");
            }
            if let Some(example) = parameter.get("example") {
                let faults = schema::faults(&description.0, &parameter["schema"], example, &place);
                assert_eq!(faults, Vec::<String>::new());
            }
        }
    }
    assert!(shown > 85, "{shown}");
}

/// `utoipa` silently keeps one of two schemas with the same name.
#[test]
fn every_type_in_the_description_has_a_unique_name() {
    let mut places: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for file in ["shared/src", "functions"].iter().flat_map(|folder| rust_files(folder)) {
        for name in described_types(&fs::read_to_string(&file).unwrap()) {
            places.entry(name).or_default().push(file.clone());
        }
    }
    assert!(places.len() > 150, "{}", places.len());
    let twice: Vec<_> = places.iter().filter(|(_, files)| files.len() > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

/// Returns the Rust files below a folder of the project.
pub(crate) fn rust_files(folder: &str) -> Vec<PathBuf> {
    rust_files_below(&Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(folder))
}

fn rust_files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.flat_map(|path| if path.is_dir() { rust_files_below(&path) } else { vec![path] });
    files.filter(|path| path.extension().is_some_and(|it| it == "rs")).collect()
}

/// Returns the names that a source's types have in the description.
fn described_types(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    let (mut described, mut renamed, mut in_macro) = (false, None, false);
    for line in source.lines().map(str::trim) {
        if line.starts_with("text_field! {") || line.starts_with("body! {") {
            in_macro = true;
            // `text_field! { Name, 1, 100 }`
            let rest = line.split_once('{').unwrap().1.trim_start();
            names.extend(text_field(rest));
        } else if line.starts_with("macro_rules!") || line.starts_with("params! {") {
            in_macro = false;
        } else if line.starts_with("#[derive(") {
            described |= line.contains("ToSchema");
        } else if let Some((_, name)) = line.split_once("#[schema(as = ") {
            renamed = name.split([')', ',']).next().map(str::to_owned);
        } else if let Some(name) = declared(line) {
            if (described || in_macro) && !name.starts_with('$') {
                names.push(renamed.take().unwrap_or(name));
            }
            (described, renamed, in_macro) = (false, None, false);
        } else if in_macro {
            names.extend(text_field(line));
        }
    }
    names
}

/// Reads `lines Name, 1, 100` of a `text_field!`.
fn text_field(line: &str) -> Option<String> {
    let (name, limits) = line.strip_prefix("lines ").unwrap_or(line).split_once(',')?;
    let word =
        name.chars().all(|c| c.is_ascii_alphanumeric()) && name.starts_with(|c: char| c.is_ascii_uppercase());
    (word && limits.trim_start().starts_with(|c: char| c.is_ascii_digit())).then(|| name.to_owned())
}

/// Returns the type that a line declares.
fn declared(line: &str) -> Option<String> {
    let mut words = line.split_whitespace().skip_while(|word| word.starts_with("pub"));
    let kind = words.next()?;
    let name = words.next().filter(|_| ["struct", "enum"].contains(&kind))?;
    Some(name.split(['<', '(', ';', '{']).next()?.to_owned())
}

#[test]
fn a_type_is_found_in_any_form_of_declaration() {
    let source = "
text_field! { One, 1, 100 }
text_field! {
    /// Words.
    lines Two, 1, 1000
}
body! {
    pub struct Three {
        \"a\" => a: One,
    }
}
#[derive(Serialize, ToSchema)]
#[schema(as = Four)]
pub(crate) struct FourBody {
}
#[derive(Serialize)]
struct Hidden(u8);
#[derive(Clone, ToSchema)]
pub enum Five {
}";
    assert_eq!(described_types(source), ["One", "Two", "Three", "Four", "Five"]);
}
