//! The descriptions as they are served: who reads which, versions, caching, compression.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::office::{ADMIN_SECRET, Engine, Office, Reply};

const PARTNERS: &str = "/v1/openapi.json";
const ADMINISTRATORS: &str = "/v1/openapi-admin.json";

fn committed() -> Value {
    serde_json::from_str(include_str!("../infra/openapi.json")).unwrap()
}

/// Reads a description with the admin secret, which the partners' one ignores.
async fn read(office: &Office, path: &str, headers: &[(&str, &str)]) -> Reply {
    let headers = [&[("x-admin-secret", ADMIN_SECRET)], headers].concat();
    office.call("GET", path, &headers, None).await
}

/// Returns the operations as `method path`.
fn operations(document: &Value) -> BTreeSet<String> {
    let items = document["paths"].as_object().unwrap().iter();
    items
        .flat_map(|(path, item)| item.as_object().unwrap().keys().map(move |it| format!("{it} {path}")))
        .collect()
}

#[tokio::test]
async fn the_committed_openapi_file_is_served_unchanged() {
    let office = Office::open(Engine::Sqlite).await;
    let reply = read(&office, ADMINISTRATORS, &[]).await;
    assert_eq!(reply.expect(200), &committed());
    assert_eq!(reply.body["openapi"], "3.1.0");
}

#[tokio::test]
async fn partners_read_their_own_operations_and_nothing_of_the_others() {
    let office = Office::open(Engine::Sqlite).await;
    let reply = office.call("GET", PARTNERS, &[], None).await;
    let (document, whole) = (reply.expect(200), committed());
    let internal = |it: &&String| {
        ["/v1/admin/", "/v1/portal/", "/v1/access-requests", ADMINISTRATORS]
            .iter()
            .any(|own| it.contains(own))
    };
    let expected: BTreeSet<String> = operations(&whole).iter().filter(|it| !internal(it)).cloned().collect();
    assert_eq!(operations(document), expected);
    let groups: Vec<&str> =
        document["tags"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert!(groups.contains(&"Prospects") && !groups.contains(&"Administration"), "{groups:?}");
    let schemes: Vec<&String> =
        document["components"]["securitySchemes"].as_object().unwrap().keys().collect();
    assert_eq!(schemes, ["accessToken"]);
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(!operation["security"].to_string().contains("portalSession"), "{method} {path}");
            let known = operation["tags"][0].as_str().is_some_and(|tag| groups.contains(&tag));
            assert!(known, "{method} {path} belongs to no group");
            assert_eq!(operation["summary"], whole["paths"][path][method]["summary"]);
        }
    }
    // A schema of administrators only, one of both, and one of partners only.
    let defined = &document["components"]["schemas"];
    assert_eq!(
        (&defined["AuditRow"], defined["PracticePass"].is_object(), defined["Prospect"].is_object()),
        (&Value::Null, true, true)
    );
    assert_eq!(document["webhooks"], whole["webhooks"]);
}

/// `tests/clients/run` compares the portal's downloads exactly; this finds the most frequent
/// omission without a stack.
#[tokio::test]
async fn the_downloads_of_the_portal_have_every_operation_for_partners() {
    fn names<'a>(item: &'a Value, found: &mut BTreeSet<&'a str>) {
        found.extend(item["name"].as_str());
        item["item"].as_array().into_iter().flatten().for_each(|it| names(it, found));
    }
    let types = include_str!("../infra/portal/downloads/types.txt");
    let postman: Value =
        serde_json::from_str(include_str!("../infra/portal/downloads/postman.json")).unwrap();
    let mut requests = BTreeSet::new();
    names(&postman, &mut requests);
    let office = Office::open(Engine::Sqlite).await;
    let reply = office.call("GET", PARTNERS, &[], None).await;
    for (path, item) in reply.expect(200)["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            let is_listed = types.contains(&format!("{method}: operations[\"{id}\"];"));
            assert!(is_listed, "{method} {path}: run UPDATE_SNAPSHOTS=1 tests/clients/run");
            let summary = operation["summary"].as_str().unwrap();
            assert!(requests.contains(summary), "{method} {path}: run UPDATE_SNAPSHOTS=1 tests/clients/run");
        }
    }
}

#[tokio::test]
async fn each_component_of_a_description_is_used_and_each_reference_resolves() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Array(items) => items.iter().for_each(|it| references(it, found)),
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|it| references(it, found));
            }
            _ => (),
        }
    }
    let office = Office::open(Engine::Sqlite).await;
    for path in [PARTNERS, ADMINISTRATORS] {
        for version in ["3.1", "3.0"] {
            let reply = read(&office, &format!("{path}?version={version}"), &[]).await;
            let document = reply.expect(200);
            let mut used = BTreeSet::new();
            references(document, &mut used);
            for target in &used {
                assert!(document.pointer(&target[1..]).is_some(), "{path} {version}: {target}");
            }
            let kinds = document["components"].as_object().unwrap().iter();
            for (kind, all) in kinds.filter(|(kind, _)| *kind != "securitySchemes") {
                for name in all.as_object().unwrap().keys() {
                    let target = format!("#/components/{kind}/{name}");
                    assert!(used.contains(&target), "{path} {version}: nothing refers to {target}");
                }
            }
        }
    }
}

#[tokio::test]
async fn version_3_0_has_the_same_operations_in_the_terms_of_3_0() {
    fn schemas_of<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
        match value {
            Value::Array(items) => items.iter().for_each(|it| schemas_of(it, found)),
            Value::Object(members) => {
                for (name, member) in members {
                    match name.as_str() {
                        "schema" | "items" | "additionalProperties" | "not" => found.push(member),
                        "properties" | "schemas" => found.extend(member.as_object().unwrap().values()),
                        "allOf" | "anyOf" | "oneOf" => found.extend(member.as_array().unwrap()),
                        _ => (),
                    }
                    if !matches!(name.as_str(), "example" | "examples") {
                        schemas_of(member, found);
                    }
                }
            }
            _ => (),
        }
    }
    let of_3_1_only =
        ["const", "examples", "propertyNames", "patternProperties", "prefixItems", "if", "$defs"];
    let office = Office::open(Engine::Sqlite).await;
    for path in [PARTNERS, ADMINISTRATORS] {
        let new = read(&office, &format!("{path}?version=3.1"), &[]).await;
        assert_eq!(new.expect(200), &read(&office, path, &[]).await.body, "3.1 is the default");
        let old = read(&office, &format!("{path}?version=3.0"), &[]).await;
        let document = old.expect(200);
        assert_eq!((&document["openapi"], &document["webhooks"]), (&json!("3.0.3"), &Value::Null));
        assert_eq!(operations(document), operations(&new.body));
        let mut schemas = Vec::new();
        schemas_of(document, &mut schemas);
        assert!(schemas.len() > 500, "{}", schemas.len());
        for schema in schemas.into_iter().filter(|it| it.is_object()) {
            let kind = &schema["type"];
            assert!(kind.is_null() || kind.as_str().is_some_and(|it| it != "null"), "{schema}");
            let found = of_3_1_only.iter().find(|it| schema.get(**it).is_some());
            assert!(found.is_none(), "{schema}");
            assert!(schema.get("$ref").is_none() || schema.as_object().unwrap().len() == 1, "{schema}");
        }
        let scopes = &document["paths"]["/v1/{PPass}/tags"]["get"]["x-scopes"];
        assert_eq!(scopes, &json!(["Prospects"]));
    }
}

#[tokio::test]
async fn an_unknown_version_is_an_invalid_query() {
    let office = Office::open(Engine::Sqlite).await;
    for path in [PARTNERS, ADMINISTRATORS] {
        for version in ["2.0", "3.0.3", "3", "", "3.0&version=3.1"] {
            let reply = read(&office, &format!("{path}?version={version}"), &[]).await;
            reply.expect_problem(400, "INVALID_QUERY");
            assert_eq!(reply.wrong_fields(), ["query.version"], "{version}");
            assert_eq!(reply.header("cache-control"), "no-store");
        }
    }
}

#[tokio::test]
async fn a_caller_that_has_the_description_gets_304() {
    let office = Office::open(Engine::Sqlite).await;
    let mut tags = BTreeSet::new();
    let documents =
        ["", "?version=3.0"].map(|query| [PARTNERS, ADMINISTRATORS].map(|it| format!("{it}{query}")));
    for path in documents.concat() {
        for encoding in ["identity", "gzip"] {
            let accepted = ("accept-encoding", encoding);
            let first = read(&office, &path, &[accepted]).await;
            first.expect(200);
            let tag = first.header("etag").to_owned();
            assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 30, "a strong tag: {tag}");
            for known in [tag.clone(), format!("\"x\", {tag}"), format!("W/{tag}"), "*".to_owned()] {
                let again = read(&office, &path, &[accepted, ("if-none-match", &known)]).await;
                assert_eq!((again.status.as_u16(), again.bytes), (304, 0), "{known}");
                for name in ["etag", "cache-control", "vary"] {
                    assert_eq!(again.header(name), first.header(name), "{name}");
                }
            }
            let other = read(&office, &path, &[accepted, ("if-none-match", "\"x\"")]).await;
            assert_eq!(other.expect(200), &first.body);
            tags.insert(tag);
        }
    }
    assert_eq!(tags.len(), 8, "each document, version and encoding has a tag of its own: {tags:?}");
}

#[tokio::test]
async fn a_description_is_compressed_for_callers_that_accept_gzip() {
    let office = Office::open(Engine::Sqlite).await;
    for path in [PARTNERS, ADMINISTRATORS] {
        let plain = read(&office, path, &[]).await;
        let zipped = read(&office, path, &[("accept-encoding", "br, gzip")]).await;
        assert_eq!((plain.header("content-encoding"), zipped.header("content-encoding")), ("", "gzip"));
        assert_eq!(zipped.expect(200), &plain.body);
        assert!(zipped.bytes * 4 < plain.bytes, "{} of {} bytes", zipped.bytes, plain.bytes);
        for reply in [plain, zipped] {
            assert_eq!(reply.header("content-type"), "application/json");
            assert_eq!(reply.header("vary"), "accept-encoding");
        }
    }
}

#[tokio::test]
async fn a_description_names_the_public_host_of_the_deployment() {
    let mut office = Office::open(Engine::Sqlite).await;
    let before = read(&office, ADMINISTRATORS, &[]).await;
    let app = office.another_app(|parts| parts.config.api_domain_name = Some("api.example.com".to_owned()));
    office.answer_with(app);
    for path in [PARTNERS, ADMINISTRATORS] {
        let reply = read(&office, path, &[]).await;
        assert_eq!(reply.expect(200)["servers"], json!([{ "url": "https://api.example.com" }]));
    }
    let mut described = read(&office, ADMINISTRATORS, &[]).await;
    assert_ne!(described.header("etag"), before.header("etag"));
    described.body["servers"] = json!([{ "url": "/" }]);
    assert_eq!(described.body, committed());
}
