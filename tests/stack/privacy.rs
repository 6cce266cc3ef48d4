//! Patient data stays in the practices' databases: after many calls, everything else that the stack
//! wrote is searched for it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::json;

use crate::{
    main_job::{booking, free_slots},
    partner::Endpoint,
    running::{EVERYDAY, Stack},
};

/// Included in every text about the patient; searched for case-insensitively.
const CANARY: &str = "Canary9c4e";
const TRACES: [&str; 4] = ["canary9c4e", "5550946", "555-0946", "1986-07-08"];

/// Uses the patient's data in every call that accepts it, both valid and invalid.
async fn tour(stack: &Stack, token: &str) {
    let name = format!("{CANARY} Ann");
    let patient = json!({
        "FirstName": name, "LastName": CANARY, "EMail": format!("{CANARY}@example.com"), "Phone": "(212) \
            555-0946",
        "DOB": "1986-07-08", "Address": format!("1 {CANARY} Street"), "Notes": format!("Fears {CANARY}"),
    });
    let path = "/v1/DemoOffice/prospects";
    let created = stack.expect(token, "POST", path, Some(&patient), 201).await;
    let id = created["data"]["PatientID"].as_i64().unwrap();
    let one = format!("{path}/{id}");
    stack.expect(token, "PUT", &one, Some(&json!({ "NickName": CANARY })), 200).await;
    stack.expect(token, "GET", &one, None, 200).await;
    let found = stack.expect(token, "GET", &format!("{path}?search={CANARY}%20555-0946"), None, 200).await;
    assert_eq!(found["count"], 1);
    let mut visit = booking(id, &free_slots(stack, token).await.remove(0));
    visit["VisitComplaint"] = json!(CANARY);
    visit["VisitNotes"] = json!(format!("{CANARY}, 555-0946"));
    stack.expect(token, "POST", "/v1/DemoOffice/visits/book", Some(&visit), 201).await;
    stack.expect(token, "POST", "/v1/DemoOffice/visits/book", Some(&visit), 409).await;
    let ticket = json!({ "Subject": format!("{CANARY} called"), "Description": name });
    let ticket = stack.expect(token, "POST", "/v1/DemoOffice/tickets", Some(&ticket), 201).await;
    let comment = format!("/v1/DemoOffice/tickets/{}/comment", ticket["data"]["TicketID"]);
    stack.expect(token, "POST", &comment, Some(&json!({ "Comment": CANARY, "Author": CANARY })), 201).await;

    stack.expect(token, "POST", path, Some(&json!({ CANARY: CANARY, "FirstName": [CANARY] })), 422).await;
    stack.expect(token, "GET", &format!("{path}/{CANARY}"), None, 400).await;
    stack.expect(token, "GET", &format!("/v1/{CANARY}/prospects?search={CANARY}"), None, 404).await;
    stack
        .expect(token, "GET", &format!("/v1/DemoOffice/{CANARY}/{CANARY}?{CANARY}={CANARY}"), None, 404)
        .await;
    // No function receives this request.
    let refused = stack.send(token, "GET", &format!("/v1/DemoOffice/{CANARY}%zz"), None).await.unwrap();
    assert_eq!(refused.status, 400);
    let broken = format!("{{\"FirstName\": \"{CANARY}");
    let bearer = format!("Bearer {token}");
    let headers =
        [("authorization", bearer.as_str()), ("referer", CANARY), ("cookie", CANARY), ("user-agent", CANARY)];
    let reply =
        stack.http.send_with("POST", &format!("{}{path}", stack.base), &headers, broken).await.unwrap();
    assert_eq!(reply.status, 400);
    stack.note(&reply);
}

/// Returns every file below the folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn traces_in(file: &Path) -> Vec<&'static str> {
    let text = fs::read(file).unwrap_or_default().to_ascii_lowercase();
    let holds = |trace: &&&str| text.windows(trace.len()).any(|it| it == trace.as_bytes());
    TRACES.iter().filter(holds).copied().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stack_writes_patient_data_only_to_practice_databases() {
    let stack = EVERYDAY.stack().await;
    let token = stack.token_of_new_partner("Privacy").await;
    let endpoint = Endpoint::open().await;
    let signup = json!({ "hookUrl": endpoint.url, "scopes": ["Patients", "Encounters"] });
    stack.expect(&token, "POST", "/v1/webhooks/signup", Some(&signup), 201).await;
    tour(&stack, &token).await;
    let events = endpoint.receives(2, |_| true).await;
    let sent = events
        .iter()
        .map(|it| String::from_utf8_lossy(&it.body).to_lowercase() + &format!("{:?}", it.headers));
    assert!(sent.into_iter().all(|it| TRACES.iter().all(|trace| !it.contains(trace))));
    // Records of calls are written after their responses.
    stack.all_recorded().await;

    let practices = stack.folder.join("data/practices");
    let (kept, others): (Vec<PathBuf>, Vec<PathBuf>) =
        files(&stack.folder).into_iter().partition(|file| file.starts_with(&practices));
    assert!(kept.iter().any(|file| !traces_in(file).is_empty()), "the canaries are where they belong");
    let logs = others.iter().filter(|file| file.extension().is_some_and(|it| it == "log")).count();
    let stores = ["dynamodb.sqlite", "sqs.sqlite"];
    let found = |name: &&str| others.iter().any(|file| file.file_name().is_some_and(|it| it == *name));
    assert!(logs >= 5 && stores.iter().all(&found), "{others:?}");
    for file in &others {
        assert_eq!(traces_in(file), Vec::<&str>::new(), "{} holds patient data", file.display());
    }
}
