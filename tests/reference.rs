//! The published reference: its examples are exactly those of the description and the API's
//! responses.

mod example;
mod stage;
mod text;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde_json::{Map, Value};

use crate::{
    access_matrix::{Access, operations},
    office::{ADMIN_SECRET, Engine, Office},
};
pub(crate) use example::{Example, examples};
use example::{differences, renewed};
pub(crate) use stage::{Sent, Stage};
use text::Kind;

/// The members of our responses that the reference does not have.
const ADDITIONS: [(&str, &[&str]); 4] = [
    ("POST /v1/{PPass}/auth/token", &["expiresAt"]),
    ("GET /v1/{PPass}/visit-types", &["Bookable"]),
    ("POST /v1/webhooks/signup", &["secret"]),
    (
        "GET /v1/admin/webhooks/monitor",
        &[
            "breakers",
            "dataProblems",
            "disabledSubscriptions",
            "pagination",
            "queue",
            "recentDeliveries[0..4]",
        ],
    ),
];

/// Returns members that only `found` has; panics if `wanted` differs otherwise.
fn additions(wanted: &Value, found: &Value, name: &str, added: &mut BTreeSet<String>) {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            for (name, wanted) in wanted {
                additions(wanted, found.get(name).unwrap_or_else(|| panic!("no {name}")), name, added);
            }
            added.extend(found.keys().filter(|it| !wanted.contains_key(*it)).cloned());
        }
        // The reference omits these rows.
        (Value::Array(wanted), Value::Array(found)) if wanted.is_empty() && !found.is_empty() => {
            added.insert(format!("{name}[0..{}]", found.len()));
        }
        (Value::Array(wanted), Value::Array(found)) => {
            assert_eq!(wanted.len(), found.len(), "{name}");
            wanted.iter().zip(found).for_each(|(wanted, found)| additions(wanted, found, name, added));
        }
        (wanted, found) => assert_eq!(wanted, found, "{name}"),
    }
}

#[test]
fn every_reference_example_equals_the_one_in_the_description() {
    let examples: BTreeMap<String, Example> =
        examples().into_iter().map(|it| (it.operation.clone(), it)).collect();
    let blocks = text::blocks();
    assert_eq!(blocks.len(), 26, "all are found");
    for block in blocks {
        let example = &examples[&block.operation];
        match block.kind {
            Kind::Path(path) => assert_eq!(example.path, path),
            Kind::Request(body) => assert_eq!(example.request.as_ref(), Some(&body), "{}", block.operation),
            Kind::Answer(body) => {
                // The first success: of two, the creation.
                let (_, answer) = example.answers.iter().next_back().unwrap();
                let mut added = BTreeSet::new();
                additions(&body, answer, "", &mut added);
                let known = ADDITIONS.iter().find(|(operation, _)| *operation == block.operation);
                let known: BTreeSet<String> =
                    known.iter().flat_map(|(_, names)| names.iter().map(|it| (*it).to_owned())).collect();
                assert_eq!(added, known, "{}", block.operation);
            }
        }
    }
}

#[test]
fn every_endpoint_of_the_reference_exists() {
    let documented: Vec<String> = operations().iter().map(crate::access_matrix::Operation::name).collect();
    let named = text::operations();
    assert_eq!(named.len(), 30);
    for operation in named {
        assert!(documented.iter().any(|it| it == operation), "{operation}");
    }
}

/// Returns the credentials for a call of the operation, of a partner with all scopes or of an
/// administrator.
pub(crate) async fn credential(office: &Office, access: &Access) -> Vec<(&'static str, String)> {
    match access {
        Access::Open => Vec::new(),
        Access::Partner(_) => vec![("authorization", format!("Bearer {}", office.token("all").await))],
        Access::Admin => vec![("x-admin-secret", ADMIN_SECRET.to_owned())],
        Access::Session => session(office, office.api_key("all")).await,
    }
}

/// Signs in to the portal; returns the headers of its calls.
pub(crate) async fn session(office: &Office, access_key: &str) -> Vec<(&'static str, String)> {
    let body = serde_json::json!({ "accessKey": access_key }).to_string();
    let headers = [("content-type", "application/json"), ("host", "portal.example.com")];
    let reply = office.call("POST", "/v1/portal/session", &headers, Some(&body)).await;
    reply.expect(201);
    let cookie = reply.header("set-cookie").split(';').next().unwrap().to_owned();
    let portal = [("origin", "https://portal.example.com"), ("x-requested-with", "portal")];
    let portal = portal.map(|(name, value)| (name, value.to_owned()));
    [("cookie", cookie)].into_iter().chain(portal).collect()
}

/// Sends the example's request in an office prepared for it; returns the responses by status.
async fn answers(engine: Engine, access: &Access, example: &Example) -> Map<String, Value> {
    let stage = Stage::open(engine).await;
    let credential = credential(&stage.office, access).await;
    let credential: Vec<(&str, &str)> =
        credential.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let sent = stage.arrange(example).await;
    let mut answers = Map::new();
    // A call that first creates something changes it, or does nothing, the second time.
    for _ in &example.answers {
        let reply = stage.send(&sent, &credential).await;
        answers.insert(reply.status.as_u16().to_string(), reply.body);
    }
    answers
}

async fn compare(engine: Engine, only: impl Fn(&str) -> bool) {
    let access: BTreeMap<String, Access> =
        operations().into_iter().map(|it| (it.name(), it.access)).collect();
    let mut wrong = Vec::new();
    let mut all = Map::new();
    for mut example in examples() {
        let operation = example.operation.clone();
        if only(&operation) {
            let found = answers(engine, &access[&operation], &example).await;
            let (wanted, found) = (Value::Object(example.answers.clone()), Value::Object(found));
            // The descriptions themselves are compared elsewhere.
            if !operation.starts_with("GET /v1/openapi") {
                wrong.extend(
                    differences(&operation, "", &wanted, &found).iter().map(|it| format!("{operation} {it}")),
                );
                example.answers.clone_from(renewed(&operation, "", &wanted, &found).as_object().unwrap());
            }
        }
        let mut entry = Map::from_iter([("path".to_owned(), Value::from(example.path))]);
        entry.extend(example.request.map(|it| ("request".to_owned(), it)));
        entry.insert("answers".into(), Value::Object(example.answers));
        all.insert(operation, Value::Object(entry));
    }
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() && engine == Engine::Sqlite {
        let text = serde_json::to_string_pretty(&all).unwrap();
        fs::write(example::FILE, format!("{text}\n")).unwrap();
    }
    assert!(
        wrong.is_empty(),
        "see what the answers became with UPDATE_SNAPSHOTS=1 tests/postgres cargo test --workspace --test \
            api -- openapi reference::every_example\n{}",
        wrong.join("\n")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_example_matches_the_response_on_sqlite() {
    compare(Engine::Sqlite, |_| true).await;
}

/// The operations whose responses come from a practice's database or from the catalog.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_example_matches_the_response_on_postgres() {
    compare(Engine::Postgres, |it| it.contains("{PPass}") || it.contains("/kb") || it.contains("/products"))
        .await;
}
