//! Operators' commands, each on a stack that runs.

use serde_json::{Value, json};

use crate::{
    partner::Endpoint,
    running::{MACHINE, Stack},
};

const WAIT: std::time::Duration = std::time::Duration::from_mins(1);

fn file(stack: &Stack, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(stack.folder.join("data").join(name)).unwrap()).unwrap()
}

fn add<'a>(practice: &'a str, zone: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["add-practice", practice, "--name", "North Clinic", "--time-zone", zone], more].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_practice_is_added_and_its_first_partner_reads_it() {
    let _machine = MACHINE.read().await;
    let folder = tempfile::tempdir().unwrap();
    let stack = Stack::start(folder.path(), &[]).await;
    let said = stack.operate(&add("NorthClinic", "America/Chicago", &[])).await.expect();
    assert!(said.contains("NorthClinic: migrated"), "{said}");
    let again = stack.operate(&add("NorthClinic", "America/Chicago", &[])).await.expect();
    assert!(again.contains("NorthClinic: current"), "{again}");

    let first = [
        "first-partner",
        "--company",
        "Acme",
        "--contact",
        "Kim Lee",
        "--email",
        "kim@acme.example",
        "--practice",
        "NorthClinic",
        "--key-name",
        "Acme",
        "--scopes",
        "Prospects,Scheduling",
    ];
    let said = stack.operate(&first).await.expect();
    let key = said.trim().rsplit(' ').next().unwrap();
    assert!(key.starts_with("op_live_"), "{said}");
    assert_eq!(stack.operate(&first).await.expect(), said, "a repetition makes no second one");
    let reply = stack
        .http
        .send(
            "POST",
            &format!("{}/v1/NorthClinic/auth/token", stack.base),
            None,
            Some(&json!({ "apiKey": key })),
        )
        .await
        .unwrap();
    let token = reply.body["accessToken"].as_str().unwrap().to_owned();
    stack.expect(&token, "GET", "/v1/NorthClinic/prospects", None, 200).await;

    let wrong = [&first[..first.len() - 1], &["Everything"]].concat();
    let said = stack.operate(&wrong).await.expect_failure();
    assert!(said.contains("scopes"), "{said}");

    let (from, to) = ("2026-01-01T00:00:00Z", "2099-01-01T00:00:00Z");
    let export =
        stack.operate(&["export-activity", "--from", from, "--to", to, "--practice", "NorthClinic"]).await;
    assert!(export.err.contains("calls were written"), "{export:?}");
    let rows = export.expect();
    assert!(rows.starts_with("time,method,endpoint"), "{rows}");
    assert!(rows.lines().skip(1).all(|row| row.contains("NorthClinic")), "{rows}");
    let all = stack.operate(&["export-activity", "--from", from, "--to", to]).await.expect();
    assert_eq!(all.matches("time,method,endpoint").count(), 1, "one line of names for the whole");
    assert!(all.lines().count() > 100, "the demo's week");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_practice_that_cant_be_right_is_not_added() {
    let _machine = MACHINE.read().await;
    let folder = tempfile::tempdir().unwrap();
    let stack = Stack::start(folder.path(), &[]).await;
    let refused = async |arguments: &[&str], input: &str, word: &str| {
        let said = stack.operate_with(arguments, input).await.expect_failure();
        assert!(said.contains(word), "{arguments:?}: {said}");
    };
    refused(&add("webhooks", "America/Chicago", &[]), "", "reserved").await;
    refused(&add("x", "America/Chicago", &[]), "", "2 to 64").await;
    refused(&add("NorthClinic", "Middle/Earth", &[]), "", "no IANA time zone").await;
    refused(&add("NorthClinic", "America/Chicago", &["--dsn-stdin"]), "", "no secret to read").await;
    refused(&add("NorthClinic", "America/Chicago", &["--dsn-stdin"]), "mysql://x", "postgres://").await;
    refused(&add("DemoOffice", "America/Chicago", &[]), "", "registered already").await;
    // Somebody else's database: the entry stays, the database isn't touched.
    let other = format!("sqlite://{}", folder.path().join("data/practices/DemoOffice.sqlite").display());
    let add_other = add("NorthClinic", "America/Chicago", &["--dsn-stdin"]);
    refused(&add_other, &other, "belongs to another practice").await;
    let elsewhere = format!("sqlite://{}", folder.path().join("data/practices/North.sqlite").display());
    refused(&add_other, &elsewhere, "set-practice-dsn").await;
    let dsn = ["set-practice-dsn", "DemoOffice", "--dsn-stdin"];
    refused(&dsn, "postgres://nobody:hunter22@127.0.0.1:9/x", "is the one before").await;
    let said = stack.operate_with(&dsn, "postgres://nobody:hunter22@127.0.0.1:9/x").await.err;
    assert!(!said.contains("hunter22"), "{said}");
    let token = stack.token().await;
    stack.expect(&token, "GET", "/v1/DemoOffice/tags", None, 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_of_all_goes_on_past_a_practice_that_fails_and_is_finished_by_the_next() {
    let _machine = MACHINE.read().await;
    let folder = tempfile::tempdir().unwrap();
    let stack = Stack::start(folder.path(), &[]).await;
    for practice in ["NorthClinic", "SouthClinic"] {
        stack.operate(&add(practice, "America/Chicago", &[])).await.expect();
    }
    let database = folder.path().join("data/practices/SouthClinic.sqlite");
    let aside = folder.path().join("aside");
    std::fs::rename(&database, &aside).unwrap();
    // A folder in the file's place can't be opened as a database.
    std::fs::create_dir(&database).unwrap();
    let failed = stack.operate(&["migrate", "--all"]).await;
    for practice in ["DemoOffice", "LakesideClinic", "NorthClinic", "catalog"] {
        assert!(failed.out.contains(&format!("{practice}: ")), "{failed:?}");
        assert!(!failed.out.contains(&format!("{practice}: failed")), "{failed:?}");
    }
    assert!(failed.out.contains("[5/5]"), "{failed:?}");
    let said = failed.expect_failure();
    assert!(said.contains("1 failed") && said.contains("SouthClinic: "), "{said}");

    std::fs::remove_dir(&database).unwrap();
    std::fs::rename(&aside, &database).unwrap();
    let said = stack.operate(&["migrate", "--all"]).await.expect();
    assert!(said.contains("5 of 5 databases are up to date"), "{said}");
    let said = stack.operate(&["migrate"]).await.expect();
    assert!(said.contains("4 practices are at version") && said.contains("1 of 1"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_a_time_are_sent_once_more_to_all_subscriptions() {
    let _machine = MACHINE.read().await;
    let folder = tempfile::tempdir().unwrap();
    let stack = Stack::start(folder.path(), &["--every", "1"]).await;
    let endpoint = Endpoint::open().await;
    let token = stack.token().await;
    let body = json!({ "hookUrl": endpoint.url, "scopes": ["Patients"] });
    stack.expect(&token, "POST", "/v1/webhooks/signup", Some(&body), 201).await;
    stack.emit("Patients", 3).await;
    endpoint.wait_for(3, WAIT, |_| true).await;
    let time = ["--from", "2026-01-01T00:00:00Z", "--to", "2099-01-01T00:00:00Z"];
    // The outcome of the last delivery may be a moment later than its arrival.
    let mut said = String::new();
    for _ in 0..20 {
        let replay = [&["replay", "DemoOffice", "--all", "--name", "once"], &time[..]].concat();
        said = stack.operate(&replay).await.expect();
        if said.contains("3 events") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    assert!(said.contains("3 events are in the queue"), "{said}");
    let began = std::time::Instant::now();
    while endpoint.arrivals().len() < 6 {
        assert!(began.elapsed() < WAIT, "{} arrivals", endpoint.arrivals().len());
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(stack.operate(&["redrive"]).await.expect().starts_with("0 dead letters"));
    let none = stack.operate(&[&["replay", "LakesideClinic"], &time[..]].concat()).await.expect_failure();
    assert!(none.contains("no active subscription"), "{none}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_and_functions_are_reached_with_the_stacks_own_access_key_only() {
    let _machine = MACHINE.read().await;
    let folder = tempfile::tempdir().unwrap();
    let stack = Stack::start(folder.path(), &[]).await;
    let addresses = file(&stack, "stack.json");
    let url = |name: &str| addresses[name].as_str().unwrap().to_owned();
    let signed = |key: &str| format!("AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/x/aws4_request");
    let right = signed(&url("accessKey"));
    let invoke = format!("{}/2015-03-31/functions/MigrateFunction/invocations", url("invokeUrl"));
    for (address, body) in [(url("secretsManagerUrl"), r#"{"SecretId":"TokenKeysSecret"}"#), (invoke, "{}")] {
        let ask = async |authorization: &str| {
            let headers =
                [("authorization", authorization), ("x-amz-target", "secretsmanager.GetSecretValue")];
            stack.http.send_with("POST", &address, &headers, body.to_owned()).await.unwrap()
        };
        assert!(ask(&signed("local")).await.status >= 400, "{address}");
        assert_eq!(ask(&right).await.status, 200, "{address}");
    }
}
