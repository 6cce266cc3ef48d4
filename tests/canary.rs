//! Patient data stays in the practice's database: every free field, path, query and header carries
//! an unmistakable value, and then everything written elsewhere is searched for it.

mod written;

use futures::FutureExt;
use serde_json::{Value, json};
use tracing::instrument::WithSubscriber;

use crate::{
    office::{ADMIN_SECRET, Answer, Logs, Office, Receiver, Reply, on_both_databases},
    pipeline,
};
use written::traces_in;

/// Included in every text that is sent; searched for case-insensitively.
const CANARY: &str = "Canary7f3a";
/// The canaries among values with a fixed format.
const PHONE: &str = "(212) 555-0987";
const BORN: &str = "1987-06-05";

/// The description of the routes, as the source of schemas.
pub(crate) struct Description(pub(crate) Value);

impl Description {
    pub(crate) fn read() -> Self {
        Self(crate::described::described())
    }

    /// Returns the operation with this name, such as `GET /v1/me`.
    pub(crate) fn operation(&self, name: &str) -> &Value {
        let (method, path) = name.split_once(' ').unwrap();
        &self.0["paths"][path][method.to_lowercase()]
    }

    fn operations(&self) -> Vec<(String, String, &Value)> {
        let mut operations = Vec::new();
        for (path, item) in self.0["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                operations.push((method.to_uppercase(), path.clone(), operation));
            }
        }
        operations
    }

    /// Returns a value of the schema with a canary wherever free text is allowed.
    pub(crate) fn value(&self, schema: &Value, name: &str) -> Value {
        if let Some(reference) = schema["$ref"].as_str() {
            return self.value(self.0.pointer(&reference[1..]).unwrap(), name);
        }
        for union in ["oneOf", "anyOf"] {
            if let Some(first) = schema[union].get(0) {
                return self.value(first, name);
            }
        }
        if let Some(choice) = schema["enum"].get(0) {
            return choice.clone();
        }
        let kind = schema["type"].as_str().or_else(|| schema["type"].get(0)?.as_str()).unwrap_or("object");
        match kind {
            "object" => {
                let members = schema["properties"].as_object().into_iter().flatten();
                members.map(|(name, schema)| (name.clone(), self.value(schema, name))).collect()
            }
            "array" => json!([self.value(&schema["items"], name)]),
            "integer" | "number" => known_number(name),
            "boolean" => json!(true),
            _ => json!(text(schema, name)),
        }
    }

    /// Returns a query with a canary for every documented parameter, or with a valid value where a
    /// canary would be rejected.
    fn query(&self, operation: &Value, good: bool) -> String {
        let mut query = vec![format!("unknown={CANARY}")];
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            if parameter["in"] == "query" {
                let name = parameter["name"].as_str().unwrap();
                let value = match self.value(&parameter["schema"], name) {
                    Value::String(text) if good => text,
                    value if good => value.to_string(),
                    _ => CANARY.to_owned(),
                };
                query.push(format!("{name}={}", value.replace(' ', "%20")));
            }
        }
        query.join("&")
    }
}

fn known_number(name: &str) -> Value {
    match name {
        "PatientID" => json!(1001),
        "VisitDuration" | "ProviderDuration" | "duration" => json!(30),
        _ => json!(1),
    }
}

fn text(schema: &Value, name: &str) -> String {
    let longest = schema["maxLength"].as_u64().unwrap_or(100);
    match name {
        "VisitType" => "Consult".into(),
        "VisitDate" | "date" | "startDate" | "endDate" => "2026-03-12".into(),
        "VisitTime" | "ProviderTime" | "time" => "10:00".into(),
        "DOB" => BORN.into(),
        "State" | "Sh_State" => "NY".into(),
        "Zip" | "Sh_Zip" => "10001".into(),
        "Country" | "Sh_Country" => "US".into(),
        "Type" => "Patient".into(),
        "PtImg" => format!("https://{CANARY}.example.com/{CANARY}.png"),
        name if name.contains("Phone") => PHONE.into(),
        name if name.contains("Mail") || name.contains("mail") => format!("{CANARY}@example.com"),
        _ if longest < 10 => "C".into(),
        _ => CANARY.into(),
    }
}

/// Headers that a careless caller might send. A well-formed `X-Request-Id` is chosen by the caller
/// and logged by contract, so this one is malformed.
fn headers(token: &str) -> Vec<(&'static str, String)> {
    vec![
        ("authorization", format!("Bearer {token}")),
        ("content-type", "application/json".into()),
        ("x-request-id", format!("{CANARY} {PHONE}")),
        ("user-agent", CANARY.into()),
        ("referer", format!("https://portal.example.com/?patient={CANARY}")),
        ("cookie", format!("patient={CANARY}")),
        ("idempotency-key", CANARY.into()),
        ("x-forwarded-for", CANARY.into()),
        ("if-none-match", CANARY.into()),
        ("traceparent", CANARY.into()),
    ]
}

async fn send(office: &Office, method: &str, path: &str, body: Option<&str>) -> Reply {
    let mut headers = headers(&office.token("all").await);
    if path.starts_with("/v1/admin/") || path.starts_with("/v1/openapi-admin.json") {
        // Otherwise their handlers would not be reached.
        headers.push(("x-admin-secret", ADMIN_SECRET.into()));
    }
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    office.call(method, path, &headers, body).await
}

/// Returns the path with its practice, and `id` for everything else.
fn path(template: &str, practice: &str, id: &str) -> String {
    let segments = template.split('/').map(|segment| match segment {
        "{PPass}" => practice,
        segment if segment.starts_with('{') => id,
        segment => segment,
    });
    segments.collect::<Vec<_>>().join("/")
}

/// Calls every operation with valid and invalid input; returns how many writes to the practice
/// succeeded.
async fn call_everything(office: &Office, description: &Description) -> usize {
    let mut written = 0;
    for (method, template, operation) in description.operations() {
        // A partner's own profile belongs in the control plane.
        let of_practice = template.contains("{PPass}") && !template.ends_with("/auth/token");
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let good = description.value(schema, "").to_string();
        let bodies = [
            good.clone(),
            json!({ CANARY: CANARY, "FirstName": [CANARY], "apiKey": CANARY }).to_string(),
            format!("{{\"FirstName\": \"{CANARY}"),
            format!("[\"{CANARY}\"]"),
        ];
        for id in ["1001", "1", CANARY, "1%20Canary7f3a"] {
            for good in [true, false] {
                let query = description.query(operation, good);
                let path = path(&template, "DemoOffice", id);
                for body in &bodies[usize::from(!of_practice)..] {
                    let reply = send(office, &method, &format!("{path}?{query}"), Some(body)).await;
                    assert!(reply.status.as_u16() < 500, "{method} {template}: {}", reply.body);
                    written += usize::from(reply.status.is_success() && method != "GET" && of_practice);
                }
            }
        }
        send(office, &method, &path(&template, CANARY, "1"), None).await;
        send(office, "TRACE", &path(&template, "DemoOffice", CANARY), None).await;
    }
    send(office, "GET", &format!("/v1/DemoOffice/{CANARY}/{CANARY}?{CANARY}={CANARY}"), None).await;
    written
}

/// The writes whose order matters.
async fn write_a_visit_lifecycle(office: &Office, description: &Description) {
    let of = |name: &str| description.0.pointer(&format!("/components/schemas/{name}")).unwrap();
    let create = description.value(of("CreateProspect"), "").to_string();
    let created = send(office, "POST", "/v1/DemoOffice/prospects", Some(&create)).await;
    let id = created.expect(201)["data"]["PatientID"].as_i64().unwrap();
    let update = description.value(of("UpdateProspect"), "").to_string();
    let one = format!("/v1/DemoOffice/prospects/{id}");
    send(office, "PUT", &one, Some(&update)).await.expect(200);
    send(office, "GET", &one, None).await.expect(200);
    let search = format!("/v1/DemoOffice/prospects?search={CANARY}%20555-0987");
    assert_eq!(send(office, "GET", &search, None).await.expect(200)["count"], 1);
    let mut visit = description.value(of("BookVisit"), "");
    visit["PatientID"] = json!(id);
    visit["VisitTime"] = json!("15:00");
    visit["ProviderTime"] = json!("15:00");
    let booked = send(office, "POST", "/v1/DemoOffice/visits/book", Some(&visit.to_string())).await;
    let visit_id = booked.expect(201)["data"]["VisitID"].as_i64().unwrap();
    // Rejected: the person and the time conflict.
    let mut clash = visit.clone();
    clash["VisitNotes"] = json!(format!("{CANARY} again"));
    let token = office.token("all").await;
    let refused = office.send(&token, "POST", "/v1/DemoOffice/visits/book", Some(&clash)).await;
    refused.expect_problem(409, "PROVIDER_CONFLICT");
    let moved = json!({ "VisitDate": "2026-03-13", "VisitTime": "10:00" }).to_string();
    let visit_path = format!("/v1/DemoOffice/visits/{visit_id}");
    send(office, "POST", &format!("{visit_path}/reschedule"), Some(&moved)).await.expect(200);
    send(office, "GET", &visit_path, None).await.expect(200);
    send(office, "POST", &format!("{visit_path}/cancel"), None).await.expect(200);
}

/// Delivers from the log to the partner's endpoint, which rejects one event and includes patient
/// data in the response to another; returns everything that was queued.
async fn deliver_events(office: &Office, hook: &Receiver) -> String {
    hook.then(Answer::status(500));
    hook.then(Answer::status(200).body(format!("thank you for {CANARY}")));
    pipeline::poll(office).await;
    let queued = office.queue.receive().await;
    let bodies: Vec<&str> = queued.iter().map(|message| message.body.as_str()).collect();
    webhook_fanout::deliver(&office.app, webhook_fanout::Lane::Fast, pipeline::event(&bodies)).await;
    bodies.join("\n")
}

async fn patient_data_stays_in_the_practice_database(office: Office) {
    let logs = Logs::default();
    let hook = Receiver::start().await;
    let description = Description::read();
    let everything = async {
        let signup = json!({ "hookUrl": hook.url, "scopes": ["Patients", "Encounters"] });
        office.post("/v1/webhooks/signup", &signup).await.expect(201);
        office.sql(&format!("update tags set name = '{CANARY}' where tag_id = 1")).await;
        write_a_visit_lifecycle(&office, &description).await;
        let queued = deliver_events(&office, &hook).await;
        let written = call_everything(&office, &description).await;
        assert!(written >= 10, "only {written} writes went through");
        office.app.flush().await;
        queued
    };
    let queued = everything.boxed_local().with_subscriber(logs.subscriber()).await;

    let measured = logs.metrics().len();
    assert!(measured > 100, "only {measured} lines with metrics were searched");
    // The canaries are where they belong, so the search is meaningful …
    let kept = office.integer(&format!("select count(*) from patients where first_name = '{CANARY}'")).await;
    assert!(kept >= 1);
    // … and nowhere else.
    let events = hook.received();
    assert!(!events.is_empty());
    let places = [
        ("the functions' logs", logs.text()),
        ("DynamoDB", written::dynamodb(&office).await),
        ("the queue", queued),
        ("the partner's endpoint", format!("{events:?}")),
    ];
    for (place, text) in places {
        assert!(text.len() > 200, "{place} holds next to nothing: {text}");
        let traces = traces_in(&text);
        assert!(traces.is_empty(), "{place} holds patient data: {traces:?}");
    }
}
on_both_databases!(patient_data_stays_in_the_practice_database);
