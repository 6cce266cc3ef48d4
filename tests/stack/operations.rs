//! Operator commands on a running stack.

use std::process::Command;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use officepro_local::practices::control_plane;
use serde_json::{Value, json};
use shared::{
    auth::{CatalogGrant, PracticeGrant},
    domain::PracticePass,
};
use sqlx::{Connection, Executor};

use crate::{
    partner::Endpoint,
    running::{DemoKey, EVERYDAY, MAINTAINED, Stack, program},
    wait::until,
};

fn file(stack: &Stack, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(stack.folder.join("data").join(name)).unwrap()).unwrap()
}

async fn tables_in(url: &str) -> i64 {
    let mut connection = sqlx::SqliteConnection::connect(url).await.unwrap();
    sqlx::query_scalar("select count(*) from sqlite_master").fetch_one(&mut connection).await.unwrap()
}

fn add<'a>(practice: &'a str, zone: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["add-practice", practice, "--name", "North Clinic", "--time-zone", zone], more].concat()
}

/// Creates the test's own practice and a partner with these scopes; returns the partner's token.
async fn own_practice(stack: &Stack, practice: &str, scopes: &str) -> String {
    stack.operate(&add(practice, "America/Chicago", &[])).await.expect();
    let first = ["--company", practice, "--contact", "Kim Lee", "--email", "kim@acme.example"];
    let key = ["--practice", practice, "--key-name", practice, "--scopes", scopes];
    let said = stack.operate(&[&["first-partner"], &first[..], &key].concat()).await.expect();
    let api_key = said.trim().rsplit(' ').next().unwrap().to_owned();
    stack.token_from(&DemoKey { practicepass: practice.to_owned(), api_key }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_practice_can_be_added_and_read_by_its_first_partner() {
    let stack = EVERYDAY.stack().await;
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
    assert_eq!(stack.operate(&first).await.expect(), said, "a repetition creates no second one");
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
    assert!(export.err.contains("Exported "), "{export:?}");
    let rows = export.expect();
    assert!(rows.starts_with("time,method,endpoint"), "{rows}");
    assert!(rows.lines().skip(1).all(|row| row.contains("NorthClinic")), "{rows}");
    let all = stack.operate(&["export-activity", "--from", from, "--to", to]).await.expect();
    assert_eq!(all.matches("time,method,endpoint").count(), 1, "one line of names for the whole");
    assert!(all.lines().count() > 100, "the demo's week");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalid_practice_is_not_added() {
    let stack = EVERYDAY.stack().await;
    let refused = async |arguments: &[&str], input: &str, word: &str| {
        let said = stack.operate_with(arguments, input).await.expect_failure();
        assert!(said.contains(word), "{arguments:?}: {said}");
    };
    refused(&add("webhooks", "America/Chicago", &[]), "", "reserved").await;
    refused(&add("x", "America/Chicago", &[]), "", "2 to 64").await;
    refused(&add("EastClinic", "Middle/Earth", &[]), "", "not an IANA time zone").await;
    refused(&add("EastClinic", "America/Chicago", &["--dsn-stdin"]), "", "no secret found").await;
    refused(&add("EastClinic", "America/Chicago", &["--dsn-stdin"]), "mysql://x", "postgres://").await;
    refused(&add("DemoOffice", "America/Chicago", &[]), "", "already registered").await;
    // With another practice's database, another program's, or none, nothing is registered, stored
    // or changed.
    let other = format!("sqlite://{}", stack.folder.join("data/practices/DemoOffice.sqlite").display());
    let foreign = stack.folder.join("emr.sqlite");
    let emr = format!("sqlite://{}", foreign.display());
    std::fs::write(&foreign, "").unwrap();
    let mut connection = sqlx::SqliteConnection::connect(&emr).await.unwrap();
    connection.execute("create table log (entry text)").await.unwrap();
    connection.close().await.unwrap();
    let nowhere = "postgres://nobody:hunter22@127.0.0.1:9/x";
    let add_east = add("EastClinic", "America/Chicago", &["--dsn-stdin"]);
    let is_kept = || !file(&stack, "secrets.json")["secrets"]["local/practices/EastClinic"].is_null();
    for (wrong, cause) in [
        (&other[..], "belongs to another practice"),
        (&emr, "log already exists"),
        (nowhere, "127.0.0.1:9: Connection refused"),
    ] {
        for command in [&add_east[..], &["check-dsn", "EastClinic", "--dsn-stdin"]] {
            let said = stack.operate_with(command, wrong).await.expect_failure();
            assert!(said.contains(cause) && said.contains("nothing was changed"), "{command:?}: {said}");
            assert!(!said.contains("hunter22") && !is_kept(), "{said}");
        }
        refused(&["check-dsn", "EastClinic"], "", "is not in the registry").await;
        refused(&["remove-practice", "EastClinic"], "", "isn't registered").await;
    }
    assert_eq!(tables_in(&emr).await, 1);
    let said = stack.operate(&["migrate"]).await.expect();
    assert!(!said.contains("EastClinic"), "a failed one blocks nothing: {said}");
    let elsewhere = format!("sqlite://{}", stack.folder.join("data/practices/East.sqlite").display());
    let check = ["check-dsn", "EastClinic", "--dsn-stdin"];
    let said = stack.operate_with(&check, &elsewhere).await.expect();
    assert!(said.contains("no such file yet"), "{said}");
    assert!(!stack.folder.join("data/practices/East.sqlite").exists(), "a check creates no database");
    let said = stack.operate_with(&add_east, &elsewhere).await.expect();
    assert!(said.contains("EastClinic: migrated"), "the mistake was corrected: {said}");
    refused(&add_east, &other, "set-practice-dsn").await;
    let said = stack.operate(&["check-dsn", "EastClinic"]).await.expect();
    assert!(
        said.contains("this practice's database, without records")
            && said.contains("The connection string works."),
        "{said}"
    );
    let said = stack.operate(&["check-dsn", "catalog"]).await.expect();
    assert!(said.contains("its schema is at version"), "{said}");
    refused(&["check-dsn", "catalog", "--dsn-stdin"], &other, "a practice's").await;
    refused(&["set-practice-dsn", "WestClinic", "--dsn-stdin"], &other, "isn't registered").await;
    let dsn = ["set-practice-dsn", "DemoOffice", "--dsn-stdin"];
    refused(&dsn, "postgres://nobody:hunter22@127.0.0.1:9/x", "is unchanged").await;
    let said = stack.operate_with(&dsn, "postgres://nobody:hunter22@127.0.0.1:9/x").await.err;
    assert!(!said.contains("hunter22"), "{said}");
    let token = stack.token().await;
    stack.expect(&token, "GET", "/v1/DemoOffice/tags", None, 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_migration_continues_past_a_failing_practice() {
    let folder = tempfile::tempdir().unwrap();
    let stack = Stack::start(folder.path(), &[]).await;
    for practice in ["NorthClinic", "SouthClinic"] {
        stack.operate(&add(practice, "America/Chicago", &[])).await.expect();
    }
    let database = folder.path().join("data/practices/SouthClinic.sqlite");
    let aside = folder.path().join("aside");
    std::fs::rename(&database, &aside).unwrap();
    // A folder in place of the file can't be opened as a database.
    std::fs::create_dir(&database).unwrap();
    let failed = stack.operate(&["migrate", "--all"]).await;
    for practice in ["DemoOffice", "LakesideClinic", "NorthClinic", "catalog"] {
        assert!(failed.out.contains(&format!("{practice}: ")), "{failed:?}");
        assert!(!failed.out.contains(&format!("{practice}: failed")), "{failed:?}");
    }
    assert!(failed.out.contains("[5/5]"), "{failed:?}");
    let said = failed.expect_failure();
    assert!(said.contains("1 failed") && said.contains("SouthClinic: "), "{said}");
    let said = stack.operate(&["migrate", "--all", "--tolerate", "1"]).await.expect();
    assert!(said.contains("1 failed") && said.contains("  SouthClinic: "), "{said}");

    std::fs::remove_dir(&database).unwrap();
    std::fs::rename(&aside, &database).unwrap();
    let said = stack.operate(&["migrate", "--all"]).await.expect();
    assert!(said.contains("5 of 5 databases are up to date"), "{said}");
    let said = stack.operate(&["migrate"]).await.expect();
    assert!(said.contains("4 practices are at version") && said.contains("1 of 1"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_program_accepts_newer_schemas_after_a_rollback() {
    let stack = MAINTAINED.stack().await;
    stack.operate(&add("NorthClinic", "America/Chicago", &[])).await.expect();
    for database in ["data/practices/NorthClinic.sqlite", "data/catalog.sqlite"] {
        let url = format!("sqlite://{}", stack.folder.join(database).display());
        let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
        let newer = "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
             values (99, 'of a newer program', true, x'00', 0)";
        connection.execute(newer).await.unwrap();
        connection.close().await.unwrap();
    }
    let addresses = file(&stack, "stack.json");
    let [endpoint, key] = ["dynamodbUrl", "accessKey"].map(|name| addresses[name].as_str().unwrap());
    let registry = control_plane(endpoint, key);
    let north = PracticePass::try_from("NorthClinic").unwrap();
    registry.note_schema_version(&north, 99, shared::domain::zones::version()).await.unwrap();
    let said = stack.operate(&["migrate", "--all"]).await.expect();
    assert!(said.contains("NorthClinic: current") && said.contains("catalog: migrated"), "{said}");
    assert_eq!(registry.practice(&north).await.unwrap().unwrap().schema_version, Some(99));
    let said = stack.operate(&["migrate"]).await.expect();
    assert!(said.contains("3 practices are at version"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_catalog_moves_only_to_a_verified_database() {
    let folder = tempfile::tempdir().unwrap();
    let stack = Stack::start(folder.path(), &[]).await;
    let current = || {
        let stages = &file(&stack, "secrets.json")["secrets"]["CatalogDsnSecret"];
        stages["AWSCURRENT"]["value"].as_str().unwrap().to_owned()
    };
    let before = current();
    let practice = format!("sqlite://{}", folder.path().join("data/practices/DemoOffice.sqlite").display());
    let missing = folder.path().join("data/katalog.sqlite");
    let mistyped = format!("sqlite://{}", missing.display());
    let nowhere = "postgres://nobody:hunter22@127.0.0.1:9/x".to_owned();
    let command = ["set-catalog-dsn", "--dsn-stdin"];
    for (wrong, cause) in [(practice, "a practice's"), (mistyped, "unable to open"), (nowhere, "unavailable")]
    {
        let said = stack.operate_with(&command, &wrong).await.expect_failure();
        assert!(said.contains(cause) && said.contains("is unchanged"), "{wrong}: {said}");
        assert_eq!(current(), before, "{wrong}");
    }
    assert!(!missing.exists(), "a check creates no database");
    let (unmade, empty) = (folder.path().join("data/empty.sqlite"), folder.path().join("data/new.sqlite"));
    let url = |file: &std::path::Path| format!("sqlite://{}", file.display());
    std::fs::write(&unmade, "").unwrap();
    std::fs::write(&empty, "").unwrap();
    shared::catalog::migrate::migrate(&CatalogGrant::for_operations(), &url(&empty)).await.unwrap();
    for file in [&unmade, &empty] {
        let said = stack.operate_with(&command, &url(file)).await.expect_failure();
        assert!(said.contains("is empty, and the current one is not") && said.contains("--new"), "{said}");
        assert_eq!(current(), before);
    }
    assert_eq!(tables_in(&url(&unmade)).await, 0, "nothing is created in a rejected database");
    let respelled = format!("{before}?mode=rw");
    for _ in 0..2 {
        stack.operate_with(&command, &respelled).await.expect();
    }
    assert_eq!(current(), respelled);
    let previous = &file(&stack, "secrets.json")["secrets"]["CatalogDsnSecret"]["AWSPREVIOUS"]["value"];
    assert_eq!(previous, &before, "the previous string survives the repetition");

    let token = stack.token().await;
    let catalog = folder.path().join("data/catalog.sqlite");
    std::fs::rename(&catalog, folder.path().join("aside")).unwrap();
    let said = stack.operate_with(&command, &url(&unmade)).await.expect_failure();
    assert!(said.contains("could not be checked"), "it may hold anything: {said}");
    std::fs::rename(folder.path().join("aside"), &catalog).unwrap();
    stack.operate_with(&[&command[..], &["--new"]].concat(), &url(&unmade)).await.expect();
    // An empty database may replace an empty one.
    stack.operate_with(&command, &url(&empty)).await.expect();
    assert_eq!(current(), url(&empty));
    stack.operate_with(&command, &before).await.expect();
    let products = stack.expect(&token, "GET", "/v1/products?limit=1", None, 200).await;
    assert_eq!(products["data"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_practice_with_patients_cannot_move_to_an_empty_database() {
    let stack = EVERYDAY.stack().await;
    let token = own_practice(&stack, "FilledClinic", "Prospects").await;
    let ann = json!({ "FirstName": "Ann", "LastName": "Filled", "EMail": "ann@example.com" });
    stack.expect(&token, "POST", "/v1/FilledClinic/prospects", Some(&ann), 201).await;
    let current =
        || file(&stack, "secrets.json")["secrets"]["local/practices/FilledClinic"]["AWSCURRENT"].clone();
    let before = current();
    let command = ["set-practice-dsn", "FilledClinic", "--dsn-stdin"];
    let (unmade, empty) = (stack.folder.join("unmade.sqlite"), stack.folder.join("empty.sqlite"));
    let url = |file: &std::path::Path| format!("sqlite://{}", file.display());
    std::fs::write(&unmade, "").unwrap();
    let filled = PracticeGrant::for_operations(PracticePass::try_from("FilledClinic").unwrap());
    shared::tenant::migrate::migrate(&filled, &url(&empty), "UTC", jiff::Timestamp::now()).await.unwrap();
    for (file, cause) in [(&unmade, "holds no practice"), (&empty, "is empty, and the current one is not")] {
        let said = stack.operate_with(&command, &url(file)).await.expect_failure();
        assert!(said.contains(cause) && said.contains("is unchanged"), "{said}");
        assert_eq!(current(), before);
    }
    assert_eq!(tables_in(&url(&unmade)).await, 0, "nothing is created in a rejected database");
    stack.operate_with(&[&command[..], &["--new"]].concat(), &url(&unmade)).await.expect();
    stack.operate_with(&command, &url(&empty)).await.expect();
    assert_eq!(current()["value"], url(&empty), "an empty one may replace an empty one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unusable_admin_secret_never_becomes_current() {
    let stack = EVERYDAY.stack().await;
    let stored = || file(&stack, "secrets.json")["secrets"]["AdminSecretsSecret"]["AWSCURRENT"].clone();
    let before = stored();
    let mut unseen = Command::new(program());
    unseen.arg("rotate-admin-secret").arg("--data-dir").arg(stack.folder.join("data"));
    unseen.stdout(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let done = tokio::task::spawn_blocking(move || unseen.output().unwrap()).await.unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(!done.status.success() && said.contains("nothing was changed"), "{said}");
    let given = ["rotate-admin-secret", "--stdin"];
    for bad in
        ["short", "pässwörter-sind-hier-länger-als-32-byte", "the secret of the tests has spaces in it"]
    {
        let said = stack.operate_with(&given, bad).await.expect_failure();
        assert!(said.contains("visible ASCII"), "{said}");
    }
    assert_eq!(stored(), before);

    let new = "the-new-admin-secret-of-the-tests-0123";
    stack.operate_with(&given, new).await.expect();
    let finish = ["rotate-admin-secret", "--finish", "--stdin"];
    stack.operate(&["rotate-admin-secret", "--finish"]).await.expect_failure();
    let said = stack.operate_with(&finish, "a-guess-of-the-admin-secret-0123456789").await.expect_failure();
    assert!(said.contains("nothing was changed"), "{said}");
    stack.operate(&["rotate-admin-secret", "--abort"]).await.expect();
    assert_eq!(stored()["value"], before["value"], "the previous one is the only one again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaked_token_key_is_removed_and_replaced_at_once() {
    let stack = MAINTAINED.stack().await;
    let ring = || {
        let stages = file(&stack, "secrets.json")["secrets"]["TokenKeysSecret"].clone();
        serde_json::from_str::<Value>(stages["AWSCURRENT"]["value"].as_str().unwrap()).unwrap()
    };
    let said = stack.operate(&["rotate-token-key", "--revoke", "k9"]).await.expect_failure();
    assert!(said.contains("there is no key k9"), "{said}");
    let said = stack.operate(&["rotate-token-key", "--revoke", "k1"]).await.expect();
    assert!(said.contains("Removed k1") && said.contains("within 5 minutes"), "{said}");
    assert_eq!(ring()["active"], "k2");
    assert!(ring().get("k1").is_none() && ring()["retired"].get("k1").is_none());
    let token = stack.token().await;
    stack.expect(&token, "GET", "/v1/DemoOffice/tags", None, 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_resends_the_events_of_a_period_to_all_subscriptions() {
    let stack = EVERYDAY.stack().await;
    let endpoint = Endpoint::open().await;
    let token = own_practice(&stack, "EventfulClinic", "Prospects,Patients").await;
    let body = json!({ "hookUrl": endpoint.url, "scopes": ["Patients"] });
    stack.expect(&token, "POST", "/v1/webhooks/signup", Some(&body), 201).await;
    for name in ["Ann", "Ben", "Cleo"] {
        let email = format!("{name}@example.com");
        let patient = json!({ "FirstName": name, "LastName": "Eventful", "EMail": email });
        stack.expect(&token, "POST", "/v1/EventfulClinic/prospects", Some(&patient), 201).await;
    }
    endpoint.receives(3, |_| true).await;
    let time = ["--from", "2026-01-01T00:00:00Z", "--to", "2099-01-01T00:00:00Z"];
    // The outcome of the last delivery may be recorded a moment after its arrival.
    until("a replay of all three", async || {
        let replay = [&["replay", "EventfulClinic", "--all", "--name", "once"], &time[..]].concat();
        let said = stack.operate(&replay).await.expect();
        if said.contains("3 events were queued") { Ok(()) } else { Err(said) }
    })
    .await;
    until("a second delivery of each", async || {
        let arrived = endpoint.arrivals().len();
        if arrived >= 6 { Ok(()) } else { Err(format!("{arrived} arrivals")) }
    })
    .await;
    assert!(stack.operate(&["redrive"]).await.expect().starts_with("0 dead letters"));
    let none = stack.operate(&[&["replay", "LakesideClinic"], &time[..]].concat()).await.expect_failure();
    assert!(none.contains("no active subscription"), "{none}");
    for (command, from, to, reason) in [
        ("replay", "2026-02-01T00:00:00Z", "2026-01-01T00:00:00Z", "must be later than --from"),
        ("replay", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "must be later than --from"),
        ("replay", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", "eventfulclinic isn't registered"),
        ("export-activity", "2026-02-01T00:00:00Z", "2026-01-01T00:00:00Z", "must be later than --from"),
        (
            "export-activity",
            "2026-01-01T00:00:00Z",
            "2026-02-01T00:00:00Z",
            "eventfulclinic isn't registered",
        ),
    ] {
        let practice: &[&str] =
            if command == "replay" { &["eventfulclinic"] } else { &["--practice", "eventfulclinic"] };
        let said = stack.operate(&[&[command], practice, &["--from", from, "--to", to]].concat()).await;
        assert!(!said.out.contains('…'), "nothing is started: {said:?}");
        let said = said.expect_failure();
        assert!(said.contains(reason), "{command}: {said}");
    }
    let unnamed = [&["replay", "EventfulClinic", "--name", " "], &time[..]].concat();
    assert!(stack.operate(&unnamed).await.expect_failure().contains("must not be empty"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_practice_without_keys_can_be_removed_and_its_database_stays() {
    let stack = EVERYDAY.stack().await;
    let endpoint = Endpoint::open().await;
    let token = own_practice(&stack, "LeavingClinic", "Prospects,Patients").await;
    let body = json!({ "hookUrl": endpoint.url, "scopes": ["Patients"] });
    stack.expect(&token, "POST", "/v1/webhooks/signup", Some(&body), 201).await;
    let patient = json!({ "FirstName": "Ann", "LastName": "Leaving", "EMail": "ann@example.com" });
    stack.expect(&token, "POST", "/v1/LeavingClinic/prospects", Some(&patient), 201).await;
    endpoint.receives(1, |_| true).await;
    let remove = ["remove-practice", "LeavingClinic"];
    let said = stack.operate(&remove).await.expect_failure();
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let key = serde_json::from_slice::<Value>(&claims).unwrap()["sub"].as_str().unwrap().to_owned();
    assert!(said.contains("has 1 live keys") && said.contains(&key), "{said}");
    stack.expect(&token, "GET", "/v1/LeavingClinic/tags", None, 200).await;

    stack.operate(&["revoke-key", &key]).await.expect();
    let said = stack.operate(&remove).await.expect();
    assert!(said.contains("1 subscriptions") && said.contains("local/practices/LeavingClinic"), "{said}");
    let addresses = file(&stack, "stack.json");
    let [url, access] = ["dynamodbUrl", "accessKey"].map(|name| addresses[name].as_str().unwrap());
    let control = control_plane(url, access);
    let practice = PracticePass::try_from("LeavingClinic").unwrap();
    assert!(control.practice(&practice).await.unwrap().is_none());
    assert!(control.subscriptions_of(&practice).await.unwrap().is_empty());
    assert!(control.dispatch_states(Some(&practice)).await.unwrap().is_empty());
    let said = stack.operate(&remove).await.expect_failure();
    assert!(said.contains("isn't registered"), "{said}");
    let said = stack.operate(&["migrate", "--all"]).await.expect();
    assert!(!said.contains("LeavingClinic"), "{said}");

    // Calls could still reach its previous database, so a different one is rejected for now.
    let elsewhere = format!("sqlite://{}", stack.folder.join("data/practices/Elsewhere.sqlite").display());
    let said =
        stack.operate_with(&add("LeavingClinic", "America/Chicago", &["--dsn-stdin"]), &elsewhere).await;
    let said = said.expect_failure();
    assert!(said.contains("was removed recently") && said.contains("nothing was changed"), "{said}");
    // The kept database can be added again, with its data.
    let said = stack.operate(&add("LeavingClinic", "America/Chicago", &[])).await.expect();
    assert!(said.contains("this practice's database, with records"), "{said}");
    until("the end of the revoked key's token", async || {
        let reply = stack.send(&token, "GET", "/v1/LeavingClinic/tags", None).await.unwrap();
        if reply.status == 401 { Ok(()) } else { Err(reply.status.to_string()) }
    })
    .await;

    // The same input creates a key that works, and no event id is reused.
    let token = own_practice(&stack, "LeavingClinic", "Prospects,Patients").await;
    stack.expect(&token, "POST", "/v1/webhooks/signup", Some(&body), 201).await;
    stack.expect(&token, "POST", "/v1/LeavingClinic/prospects", Some(&patient), 201).await;
    let arrivals = endpoint.receives(2, |_| true).await;
    let id = arrivals.last().unwrap().header("x-officepro-event-id").to_owned();
    assert!(id.starts_with("LeavingClinic-1."), "{id}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_ends_the_stack_without_an_error() {
    use std::{
        io::{BufRead, BufReader, Read},
        os::unix::process::CommandExt,
        process::Stdio,
    };
    let folder = tempfile::tempdir().unwrap();
    // Before it serves, and during a schedule's work. A terminal signals all processes of the
    // group.
    for word in ["Preparing", "Ctrl-C"] {
        let mut run = Command::new(program());
        run.args(["--port", "0", "--data-dir"]).arg(folder.path().join("data")).process_group(0);
        let mut run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(run.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains(word) {
            line.clear();
            assert!(lines.read_line(&mut line).unwrap() > 0, "it ended before it said {word}");
        }
        if word == "Ctrl-C" {
            let log = folder.path().join("data/logs");
            until("the poller's first invocation", async || {
                let began = std::fs::read_dir(&log).is_ok_and(|it| {
                    it.flatten().any(|it| it.file_name().to_string_lossy().contains("log-poller"))
                });
                if began { Ok(()) } else { Err("no log of it".to_owned()) }
            })
            .await;
        }
        let group = format!("-{}", run.id());
        assert!(Command::new("kill").args(["-s", "INT", "--", &group]).status().unwrap().success());
        let mut said = (String::new(), String::new());
        lines.read_to_string(&mut said.0).unwrap();
        run.stderr.take().unwrap().read_to_string(&mut said.1).unwrap();
        let status = run.wait().unwrap();
        assert!(status.success(), "{word}: {status} {said:?}");
        assert!(said.1.is_empty() && !said.0.contains("failed"), "{word}: {said:?}");
    }
}

#[tokio::test]
async fn a_migration_of_a_missing_folder_fails_and_creates_none() {
    let folder = tempfile::tempdir().unwrap();
    let run = |path: std::path::PathBuf| {
        let done = Command::new(program()).arg("migrate").arg("--data-dir").arg(path).output().unwrap();
        assert!(!done.status.success());
        String::from_utf8(done.stderr).unwrap()
    };
    let missing = folder.path().join("mistyped");
    let said = run(missing.clone());
    assert!(said.contains("there is no such folder") && !missing.exists(), "{said}");
    let said = run(folder.path().to_owned());
    assert!(said.contains("no stack has run in it yet"), "{said}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_can_end_and_restore_the_access_of_a_partner() {
    let stack = EVERYDAY.stack().await;
    let endpoint = Endpoint::open().await;
    let token = own_practice(&stack, "EndedClinic", "Prospects,Patients").await;
    let body = json!({ "hookUrl": endpoint.url, "scopes": ["Patients"] });
    stack.expect(&token, "POST", "/v1/webhooks/signup", Some(&body), 201).await;
    stack.expect(&token, "POST", "/v1/webhooks/test", Some(&json!({})), 200).await;
    let me = stack.expect(&token, "GET", "/v1/me", None, 200).await;
    let partner = me["data"]["id"].as_str().unwrap();
    let is_answered = async |status: u16| {
        let path = format!("{}/v1/me", stack.base);
        until("the token's answer", async || {
            let reply = stack.http.send("GET", &path, Some(&token), None).await.unwrap();
            if reply.status == status { Ok(()) } else { Err(reply.status.to_string()) }
        })
        .await;
    };
    let said = stack.operate(&["suspend-partner", partner]).await.expect();
    assert!(said.contains("is suspended"), "{said}");
    is_answered(401).await;
    let time = ["--from", "2026-01-01T00:00:00Z", "--to", "2099-01-01T00:00:00Z"];
    let replay = [&["replay", "EndedClinic", "--all"], &time[..]].concat();
    let said = stack.operate(&replay).await.expect_failure();
    assert!(said.contains("SUBSCRIPTION_SUSPENDED, PARTNER_SUSPENDED"), "{said}");
    stack.operate(&["reinstate-partner", partner]).await.expect();
    is_answered(200).await;

    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let key = claims["sub"].as_str().unwrap();
    for _ in 0..2 {
        let said = stack.operate(&["revoke-key", key]).await.expect();
        assert!(said.contains("is revoked"), "{said}");
    }
    is_answered(401).await;
    stack.operate(&["revoke-key", "nobodysKey00"]).await.expect_failure();
    stack.operate(&["suspend-partner", "prt_nobody"]).await.expect_failure();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_and_functions_accept_only_the_access_key_of_the_stack() {
    let stack = EVERYDAY.stack().await;
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
