//! Tests every operation of the description with every kind of credential: exactly the documented
//! ones are accepted.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use serde_json::{Value, json};
use shared::{
    auth::{KeyStatus, api_key::ApiKey},
    domain::Scope,
};

use crate::{
    office::{ADMIN_SECRET, Engine, OLD_ADMIN_SECRET, Office, Reply},
    reference::{Stage, examples, session},
};

/// The callers that an operation's `security` accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Open,
    /// A partner whose key has all scopes of one of these sets.
    Partner(Vec<BTreeSet<String>>),
    /// An administrator, with the admin secret or a session.
    Admin,
    /// A person with a portal session.
    Session,
}

pub(crate) struct Operation {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) access: Access,
    /// Whether it accepts a JSON body.
    pub(crate) body: bool,
}

impl Operation {
    fn of_practice(&self) -> bool {
        self.path.contains("{PPass}")
    }

    /// Returns the path with a practice and with nonexistent ids.
    pub(crate) fn filled(&self) -> String {
        let segments = self.path.split('/').map(|segment| match segment {
            "{PPass}" => "DemoOffice",
            segment if segment.starts_with('{') => "1",
            segment => segment,
        });
        segments.collect::<Vec<_>>().join("/")
    }

    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

fn access(security: &Value) -> Access {
    let schemes: Vec<(&String, &Value)> =
        security.as_array().unwrap().iter().flat_map(|one| one.as_object().unwrap()).collect();
    let sets: Vec<BTreeSet<String>> = schemes
        .iter()
        .filter(|(name, _)| *name == "accessToken")
        .map(|(_, set)| set.as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect())
        .collect();
    match sets.is_empty() {
        _ if schemes.is_empty() => Access::Open,
        true if schemes.iter().any(|(name, _)| *name == "adminSecret") => Access::Admin,
        true => Access::Session,
        false => Access::Partner(sets),
    }
}

pub(crate) fn operations() -> Vec<Operation> {
    let description = crate::described::described();
    let mut operations = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let access = access(&operation["security"]);
            let body = operation.get("requestBody").is_some();
            operations.push(Operation { method: method.to_uppercase(), path: path.clone(), access, body });
        }
    }
    assert!(operations.len() > 30);
    operations
}

/// A credential and what it permits.
struct Credential {
    name: String,
    headers: Vec<(&'static str, String)>,
    worth: Worth,
}

enum Worth {
    /// A credential that no operation accepts.
    Nothing,
    /// A live token of `DemoOffice` with these scopes.
    Scopes(BTreeSet<&'static str>),
    /// A live token with all scopes, of another partner and practice.
    OtherPractice,
}

fn bearer(token: &str) -> Vec<(&'static str, String)> {
    vec![("authorization", format!("Bearer {token}"))]
}

async fn credentials(office: &Office) -> Vec<Credential> {
    let nothing = |name: &str, headers| Credential { name: name.into(), headers, worth: Worth::Nothing };
    let ring = office.app.token_ring().await.unwrap();
    let now = office.app.clock.now();
    let all = office.token("all").await;
    let (head, signature) = all.rsplit_once('.').unwrap();
    let forged = format!("{head}.{}", signature.chars().rev().collect::<String>());

    let own = ApiKey::parse(office.api_key("all")).unwrap();
    let record = office.app.control.api_key(&own.id).await.unwrap().unwrap();
    let expired = ring.issue(&record, now - SignedDuration::from_hours(25)).unwrap();

    let revoked = office.token_with(Scope::ALL).await;
    let claims = ring.verify(&revoked, now).unwrap();
    let mut key = office.app.control.api_key(&claims.sub).await.unwrap().unwrap();
    key.status = KeyStatus::Revoked;
    office.app.control.replace_api_key(&key).await.unwrap();

    let mut credentials = vec![
        nothing("no credential", vec![]),
        nothing("a forged token", bearer(&forged)),
        nothing("an expired token", bearer(&expired)),
        nothing("a revoked key's token", bearer(&revoked)),
        nothing("an API key as token", bearer(office.api_key("all"))),
        nothing("a token as admin secret", vec![("x-admin-secret", all.clone())]),
        nothing("an API key as admin secret", vec![("x-admin-secret", office.api_key("all").into())]),
        Credential {
            name: "another practice's token".into(),
            headers: bearer(&office.token("other").await),
            worth: Worth::OtherPractice,
        },
        Credential {
            name: "all scopes".into(),
            headers: bearer(&all),
            worth: Worth::Scopes(Scope::ALL.iter().map(|scope| scope.as_str()).collect()),
        },
    ];
    for scope in Scope::ALL {
        credentials.push(Credential {
            name: format!("only {scope}"),
            headers: bearer(&office.token_with(&[*scope]).await),
            worth: Worth::Scopes([scope.as_str()].into()),
        });
    }
    credentials
}

/// The expected response, if the credential decides it.
fn expected(operation: &Operation, worth: &Worth) -> Option<(u16, &'static str)> {
    match (&operation.access, worth) {
        (Access::Admin, _) => Some((401, "INVALID_ADMIN_SECRET")),
        (Access::Session, _) | (Access::Partner(_), Worth::Nothing) => Some((401, "UNAUTHENTICATED")),
        (Access::Partner(_), Worth::OtherPractice) if operation.of_practice() => Some((404, "NOT_FOUND")),
        (Access::Open, _) | (Access::Partner(_), Worth::OtherPractice) => None,
        (Access::Partner(needed), Worth::Scopes(had)) => {
            let enough = needed.iter().any(|set| set.iter().all(|scope| had.contains(scope.as_str())));
            (!enough).then_some((403, "INSUFFICIENT_SCOPE"))
        }
    }
}

async fn call(office: &Office, operation: &Operation, credential: &Credential) -> Reply {
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(credential.headers.iter().map(|(name, value)| (*name, value.as_str())));
    let body = json!({}).to_string();
    office.call(&operation.method, &operation.filled(), &headers, Some(&body)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_operation_accepts_exactly_its_documented_credentials() {
    let office = Office::open(Engine::Sqlite).await;
    let credentials = credentials(&office).await;
    let mut wrong = Vec::new();
    let mut cells = 0;
    for (minute, operation) in operations().iter().enumerate() {
        // Attempts are limited per minute; the tokens are valid for a day.
        let start = crate::office::NOW.parse::<jiff::Timestamp>().unwrap();
        let now = start + SignedDuration::from_mins(i64::try_from(minute).unwrap());
        office.set_time(&now.to_string());
        for credential in &credentials {
            let reply = call(&office, operation, credential).await;
            let status = reply.status.as_u16();
            let right = if let Some((expected, code)) = expected(operation, &credential.worth) {
                status == expected && reply.body["code"] == code
            } else {
                // Admitted: the body is empty and the ids do not exist, which causes other
                // statuses. Only an id may be unknown.
                let unknown = status == 404 && operation.of_practice() && !operation.path.contains("d}");
                !(status == 403 || unknown || status >= 500)
                    && (status != 401 || operation.access == Access::Open && operation.body)
            };
            if !right {
                wrong.push(format!("{} with {}: {status} {}", operation.name(), credential.name, reply.body));
            }
            cells += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cells > 30 * 20, "{cells}");
}

#[tokio::test]
async fn every_practice_operation_documents_its_own_scope() {
    let documented: Vec<Operation> = operations().into_iter().filter(Operation::of_practice).collect();
    for operation in documented.iter().filter(|it| it.access != Access::Open) {
        let Access::Partner(scopes) = &operation.access else { panic!("{}", operation.name()) };
        let [set] = scopes.as_slice() else { panic!("{}", operation.name()) };
        assert_eq!(set.len(), 1, "{}", operation.name());
        assert!(set.iter().all(|scope| scope.parse::<Scope>().is_ok()), "{}", operation.name());
    }
}

/// Returns the credentials that an operation documents, each with its name.
async fn documented(office: &Office, access: &Access) -> Vec<(String, Vec<(&'static str, String)>)> {
    match access {
        Access::Open => vec![("no credential".into(), Vec::new())],
        Access::Admin => {
            let secret = |secret: &str| vec![("x-admin-secret", secret.to_owned())];
            vec![
                ("the admin secret".into(), secret(ADMIN_SECRET)),
                ("the admin secret before".into(), secret(OLD_ADMIN_SECRET)),
                ("an administrator's session".into(), session(office, ADMIN_SECRET).await),
            ]
        }
        Access::Session => vec![("a session".into(), session(office, office.api_key("all")).await)],
        Access::Partner(sets) => {
            let mut found = vec![
                ("all scopes".into(), bearer(&office.token("all").await)),
                ("a session".into(), session(office, office.api_key("all")).await),
            ];
            for set in sets {
                // For an operation that any key may call, use one with a single event scope.
                let names = if set.is_empty() {
                    "Patients".to_owned()
                } else {
                    Vec::from_iter(set.clone()).join(" ")
                };
                let scopes: Vec<Scope> = names.split(' ').map(|scope| scope.parse().unwrap()).collect();
                found.push((format!("only {names}"), bearer(&office.token_with(&scopes).await)));
            }
            found
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_valid_request_succeeds_with_each_documented_credential() {
    let access: BTreeMap<String, Access> =
        operations().into_iter().map(|it| (it.name(), it.access)).collect();
    let (mut wrong, mut cells) = (Vec::new(), 0);
    for example in examples() {
        let stage = Stage::open(Engine::Sqlite).await;
        let access = &access[&example.operation];
        for (name, credential) in documented(&stage.office, access).await {
            // Signing out ends a session, and a claim works once: use a new one each time.
            let mut sent = stage.arrange(&example).await;
            if let (Some(scope), "POST /v1/webhooks/signup") =
                (name.strip_prefix("only "), example.operation.as_str())
            {
                // A key grants only its own scopes.
                sent.set("scopes", json!([scope]));
            }
            let credential: Vec<(&str, &str)> =
                credential.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let reply = stage.send(&sent, &credential).await;
            if !example.answers.contains_key(reply.status.as_str()) {
                wrong.push(format!("{} with {name}: {} {}", example.operation, reply.status, reply.body));
            }
            cells += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cells > 180, "{cells}");
}
