//! `GET /v1/admin/readiness`: each check is shown to fail, and a failing check does not affect the
//! others.

mod hanging;

use std::{collections::BTreeSet, fs, time::Duration};

use ::admin::readiness::thresholds;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use shared::{
    app::App,
    auth::secret_ref::SecretRef,
    catalog::Catalogs,
    control::{
        Secrets, Store,
        pollers::{BegunRun, CatalogState, EndedRun, Schedule},
        practices::Practice,
    },
    domain::{EventScope, PracticePass},
    sql::Timeouts,
    tenant::Practices,
};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

use crate::{
    office::{ADMIN_SECRET, Engine, NOW, Office, on_both_databases, run_sql, timeouts},
    pipeline::{poll, subscribe},
    rotation::Rotating,
};

const PATH: &str = "/v1/admin/readiness";
const CHECKS: [&str; 12] = [
    "controlPlane",
    "catalog",
    "poller",
    "practices",
    "events",
    "slowEvents",
    "deadLetters",
    "dueRetries",
    "migrations",
    "tokenKeys",
    "adminSecret",
    "edgeSecret",
];

/// A database that refuses connections times out quickly.
const IMPATIENT: Timeouts = Timeouts {
    connect: Duration::from_millis(300),
    round_trip: Duration::from_millis(300),
    ..timeouts::DATABASE
};

/// Sets up a healthy platform.
async fn arrange(office: &Office) {
    poll(office).await;
    for db in [&office.db, &office.other_db] {
        office.migrated(db.practicepass()).await;
    }
}

/// Returns the response; its status must match its content.
async fn read(office: &Office) -> Value {
    let reply = office.admin("GET", PATH, None).await;
    let data = reply.body["data"].clone();
    match data["status"].as_str() {
        Some("notReady") => {
            reply.expect_problem(503, "NOT_READY");
            assert_eq!(reply.header("retry-after"), "30");
        }
        Some("ready" | "degraded") => {
            reply.expect(200);
        }
        _ => panic!("{}", reply.body),
    }
    data
}

fn check<'a>(data: &'a Value, name: &str) -> &'a Value {
    let found = data["checks"].as_array().unwrap().iter().find(|it| it["name"] == name);
    found.unwrap_or_else(|| panic!("no {name}"))
}

fn figure(check: &Value, name: &str) -> i64 {
    let found = check["figures"].as_array().unwrap().iter().find(|it| it["name"] == name);
    found.unwrap_or_else(|| panic!("no {name}: {check}"))["value"].as_i64().unwrap()
}

/// Returns the names of the checks that are not `ok`, each with its status.
fn wrong(data: &Value) -> Vec<String> {
    let checks = data["checks"].as_array().unwrap().iter().filter(|it| it["status"] != "ok");
    checks.map(|it| format!("{} {}", it["name"], it["status"]).replace('"', "")).collect()
}

fn at(seconds: i64) -> String {
    (NOW.parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)).to_string()
}

async fn a_healthy_platform_is_ready_and_every_check_reports_a_finding(office: Office) {
    arrange(&office).await;
    let data = read(&office).await;
    assert_eq!((&data["status"], wrong(&data)), (&json!("ready"), vec![]), "{data}");
    let names: Vec<&str> =
        data["checks"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, CHECKS);
    assert_eq!(
        (&data["checkedAt"], &data["tzdata"]),
        (&json!(NOW), &json!(shared::domain::zones::version()))
    );
    let catalog = check(&data, "catalog");
    assert_eq!(figure(catalog, "schemaVersion"), shared::catalog::migrate::newest());
    assert_eq!((&catalog["since"], &catalog["ageSeconds"]), (&json!(NOW), &json!(0)));
    assert_eq!(figure(check(&data, "migrations"), "schemaVersion"), shared::tenant::migrate::newest());
    office.call("GET", "/v1/health", &[], None).await.expect(200);
}
on_both_databases!(a_healthy_platform_is_ready_and_every_check_reports_a_finding);

#[tokio::test]
async fn every_check_names_its_impact_and_a_runbook_section() {
    let office = Office::open(Engine::Sqlite).await;
    let runbook = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/runbook.md")).unwrap();
    let sections: BTreeSet<&str> = runbook.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    for check in read(&office).await["checks"].as_array().unwrap() {
        assert!(sections.contains(check["runbook"].as_str().unwrap()), "{}", check["runbook"]);
        for text in ["detail", "meaning"] {
            assert!(check[text].as_str().unwrap().ends_with('.'), "{check}");
        }
    }
}

/// Returns the number in a resource's or parameter's part of the template.
fn in_template(name: &str, property: &str) -> i64 {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml")).unwrap();
    let (_, rest) = text.split_once(&format!("\n  {name}:\n")).unwrap_or_else(|| panic!("no {name}"));
    let part: Vec<&str> =
        rest.lines().take_while(|line| line.is_empty() || line.starts_with("   ")).collect();
    let line = part.iter().find_map(|line| line.trim().strip_prefix(&format!("{property}: ")));
    line.unwrap_or_else(|| panic!("{name} has no {property}")).parse().unwrap()
}

#[test]
fn readiness_and_alarms_use_the_same_thresholds() {
    for (name, property, threshold) in [
        ("OldestEventAlarm", "Threshold", thresholds::OLDEST_EVENT_SECONDS),
        ("SlowOldestEventAlarm", "Threshold", thresholds::OLDEST_EVENT_SECONDS),
        ("FanoutMaximumConcurrency", "Default", thresholds::FAST_BATCHES),
        ("SlowFanoutMaximumConcurrency", "Default", thresholds::SLOW_BATCHES),
        ("DeadLettersAlarm", "Threshold", thresholds::DEAD_LETTERS),
        ("DueRetriesAlarm", "Threshold", thresholds::OLDEST_DUE_SECONDS),
        ("PracticesFailedAlarm", "Threshold", thresholds::FAILING_PRACTICES),
        ("LogPollerSilentAlarm", "Period", thresholds::POLLER_SILENT_SECONDS),
    ] {
        assert_eq!(in_template(name, property), threshold, "{name} {property}");
    }
}

#[tokio::test]
async fn an_unreadable_table_is_named() {
    let mut office = Office::open(Engine::Sqlite).await;
    arrange(&office).await;
    let dynamodb = office.dynamodb.clone();
    for (table, others) in [("DeliveriesTable", vec!["dueRetries failed"]), ("ActivityTable", vec![])] {
        let app = office.another_app(|parts| {
            let mut names = parts.config.tables.clone();
            let name = if table == "ActivityTable" { &mut names.activity } else { &mut names.deliveries };
            *name = Some("NoSuchTable".to_owned());
            parts.control = Store::with_client(dynamodb.clone(), names);
        });
        office.answer_with(app);
        let data = read(&office).await;
        assert_eq!(wrong(&data), [vec!["controlPlane failed"], others].concat(), "{data}");
        let found = check(&data, "controlPlane");
        assert_eq!(found["detail"], format!("These tables cannot be read: {table}."));
        assert_eq!(figure(found, "unreadableTables"), 1);
    }
}

async fn an_unreachable_or_outdated_catalog_fails_the_check(office: Office) {
    arrange(&office).await;
    let newest = "where version = (select max(version) from _sqlx_migrations)";
    // As after a roll-back.
    run_sql(&office.catalog, &format!("update _sqlx_migrations set version = 9999 {newest}")).await;
    poll(&office).await;
    let data = read(&office).await;
    assert_eq!((wrong(&data), figure(check(&data, "catalog"), "schemaVersion")), (vec![], 9999));
    run_sql(&office.catalog, &format!("delete from _sqlx_migrations {newest}")).await;
    poll(&office).await;
    let data = read(&office).await;
    assert_eq!(wrong(&data), ["catalog failed"]);
    assert!(check(&data, "catalog")["detail"].as_str().unwrap().contains("Migrate the catalog"), "{data}");
    run_sql(&office.catalog, "drop table _sqlx_migrations").await;
    poll(&office).await;
    let data = read(&office).await;
    assert_eq!(wrong(&data), ["catalog failed"]);
    assert!(check(&data, "catalog")["detail"].as_str().unwrap().contains("rejects a statement"), "{data}");
}
on_both_databases!(an_unreachable_or_outdated_catalog_fails_the_check);

#[tokio::test]
async fn a_failed_check_shows_no_address_or_credential() {
    let mut office = Office::open(Engine::Sqlite).await;
    let dsn = "postgres://clinic:pass-word@127.0.0.1:9/charts";
    let app = office.another_app(|parts| {
        parts.secrets = Secrets::fixed([
            ("OFFICE_TOKEN_KEYS", r#"{"active":"k1","k1":"0123456789abcdef0123456789abcdef"}"#),
            ("OFFICE_ADMIN_SECRETS", &json!({ "current": ADMIN_SECRET }).to_string()),
            ("DSN_DEMOOFFICE", dsn),
            ("CATALOG_DSN", dsn),
        ]);
        parts.practices = Practices::default().with_timeouts(IMPATIENT);
        parts.catalogs = Catalogs::default().with_timeouts(IMPATIENT);
    });
    office.answer_with(app.clone());
    office.app = app;
    subscribe(&office, &office.db.practicepass().clone(), 1, &[EventScope::Claims]).await;
    subscribe(&office, &office.other_db.practicepass().clone(), 2, &[EventScope::Claims]).await;
    arrange(&office).await;
    let data = read(&office).await;
    assert_eq!(wrong(&data), ["catalog failed", "practices degraded"], "{data}");
    assert!(check(&data, "catalog")["detail"].as_str().unwrap().contains("does not respond"), "{data}");
    let practices = &check(&data, "practices")["practices"];
    assert_eq!(practices["count"], 2);
    let mut reasons: Vec<String> = practices["listed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| format!("{} {}", it["practicepass"], it["reason"]))
        .collect();
    reasons.sort();
    assert_eq!(reasons, [r#""DemoOffice" "unreachable""#, r#""OtherOffice" "noConnectionString""#]);
    let text = data.to_string();
    for secret in ["pass-word", "clinic", "127.0.0.1", "charts", ADMIN_SECRET, "0123456789abcdef"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

async fn a_failing_practice_is_named_with_reason_and_start_until_fixed(office: Office) {
    let broken = PracticePass::try_from("BrokenOffice").unwrap();
    let entry = |secret: &str| Practice {
        practicepass: broken.clone(),
        name: "Broken".to_owned(),
        time_zone: "America/New_York".to_owned(),
        dsn_secret: SecretRef::from(secret.to_owned()),
        sandbox: false,
        registered_at: None,
        schema_version: None,
        tzdata: None,
    };
    subscribe(&office, &broken, 1, &[EventScope::Claims]).await;
    // The secret of another practice's database.
    office.app.control.put_practice(&entry("env:DSN_DEMOOFFICE")).await.unwrap();
    office.migrated(&broken).await;
    arrange(&office).await;
    for (age, secret, reason) in
        [(0, "env:DSN_DEMOOFFICE", "wrongDatabase"), (60, "env:DSN_MISSING", "noConnectionString")]
    {
        office.set_time(&at(age));
        office.app.control.put_practice(&entry(secret)).await.unwrap();
        office.migrated(&broken).await;
        poll(&office).await;
        let data = read(&office).await;
        assert_eq!(
            (&data["status"], wrong(&data)),
            (&json!("degraded"), vec!["practices degraded".to_owned()])
        );
        let found = check(&data, "practices");
        assert_eq!((&found["since"], &found["ageSeconds"]), (&json!(NOW), &json!(age)));
        assert_eq!(
            found["practices"],
            json!({
                "count": 1,
                "reasons": [{ "reason": reason, "count": 1 }],
                "listed": [{ "practicepass": "BrokenOffice", "reason": reason, "since": NOW }],
            })
        );
    }
    office.admin("DELETE", "/v1/admin/webhooks/1", None).await.expect(200);
    poll(&office).await;
    assert_eq!(wrong(&read(&office).await), Vec::<String>::new());
}
on_both_databases!(a_failing_practice_is_named_with_reason_and_start_until_fixed);

#[tokio::test]
async fn a_poller_schedule_without_a_finished_run_for_five_minutes_fails() {
    let office = Office::open(Engine::Sqlite).await;
    let data = read(&office).await;
    assert_eq!(
        wrong(&data),
        ["catalog degraded", "poller degraded", "migrations degraded"],
        "it has not run yet"
    );
    arrange(&office).await;
    office.set_time(&at(300));
    assert_eq!(wrong(&read(&office).await), Vec::<String>::new());
    office.set_time(&at(301));
    let data = read(&office).await;
    assert_eq!(wrong(&data), ["poller failed"]);
    let found = check(&data, "poller");
    assert_eq!((&found["since"], &found["ageSeconds"]), (&json!(NOW), &json!(301)));
    // A run that begins and never ends does not count.
    begin(&office.app, 0, 1).await;
    assert_eq!(wrong(&read(&office).await), ["poller failed"]);

    // From now on there are two schedules, the second of which never runs.
    begin(&office.app, 0, 2).await;
    end(&office.app, 0, 2).await;
    assert_eq!(wrong(&read(&office).await), Vec::<String>::new(), "it has time until then");
    office.set_time(&at(602));
    begin(&office.app, 0, 2).await;
    end(&office.app, 0, 2).await;
    let data = read(&office).await;
    assert_eq!(
        (wrong(&data), figure(check(&data, "poller"), "schedules")),
        (vec!["poller failed".to_owned()], 2)
    );
    begin(&office.app, 1, 2).await;
    end(&office.app, 1, 2).await;
    assert_eq!(wrong(&read(&office).await), Vec::<String>::new());
}

async fn begin(app: &App, shard: u32, of: u32) {
    let version = CatalogState::Version(shared::catalog::migrate::newest());
    let catalog = (shard == 0).then_some(version);
    let run = BegunRun { schedule: Schedule { shard, of }, at: app.clock.now(), catalog };
    app.control.begin_poll(&run).await.unwrap();
}

async fn end(app: &App, shard: u32, of: u32) {
    let run = EndedRun { at: app.clock.now(), ..EndedRun::default() };
    app.control.end_poll(Schedule { shard, of }, &run).await.unwrap();
}

/// Adds messages directly to the queue, without the product's code.
async fn put_messages(office: &Office, queue: &str, count: i64) {
    let file = format!("sqlite://{}", office.queue_file.display());
    let mut messages = SqliteConnection::connect(&file).await.unwrap();
    let now = Timestamp::now().as_millisecond();
    let insert = format!(
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < {count})
         insert into messages (queue, message_id, body, body_md5, attributes, sent_at, visible_at)
         select '{queue}', i, '', '', '{{}}', {now}, 0 from n"
    );
    sqlx::raw_sql(AssertSqlSafe(insert)).execute(&mut messages).await.unwrap();
}

#[tokio::test]
async fn full_queues_and_dead_letters_are_reported() {
    let office = Office::open(Engine::Sqlite).await;
    arrange(&office).await;
    assert_eq!((thresholds::WAITING_EVENTS, thresholds::WAITING_SLOW_EVENTS), (150_000, 4_000));
    for (queue, name, most) in [
        ("EventsQueue", "events", thresholds::WAITING_EVENTS),
        ("SlowEventsQueue", "slowEvents", thresholds::WAITING_SLOW_EVENTS),
        ("EventsDeadLetterQueue", "deadLetters", thresholds::DEAD_LETTERS),
    ] {
        if most > 0 {
            put_messages(&office, queue, most).await;
        }
        assert_eq!(check(&read(&office).await, name)["status"], "ok");
        put_messages(&office, queue, 1).await;
        let data = read(&office).await;
        let found = check(&data, name);
        assert_eq!(found["status"], "degraded", "{found}");
        assert!(figure(found, "waiting") > most);
    }
    assert_eq!(read(&office).await["status"], "degraded");
}

#[tokio::test]
async fn retries_overdue_by_more_than_five_minutes_are_reported() {
    let office = Office::open(Engine::Sqlite).await;
    arrange(&office).await;
    let hook = json!({ "hookUrl": "http://127.0.0.1:9/hook", "scopes": ["Claims"] });
    office.post("/v1/webhooks/signup", &hook).await.expect(201);
    let insert = "insert into log (log_id, table_name, action, record_id, logged_at)
        values (1, 'claims', 'insert', 10, '2026-03-09T12:00:00Z')";
    office.sql(insert).await;
    poll(&office).await;
    crate::pipeline::deliver(&office).await;
    let due = office.app.control.oldest_due(jiff::Timestamp::MAX).await.unwrap().unwrap();
    for (overdue, expected) in [(300, vec![]), (301, vec!["dueRetries degraded".to_owned()])] {
        office.set_time(&(due + SignedDuration::from_secs(overdue)).to_string());
        begin(&office.app, 0, 1).await;
        end(&office.app, 0, 1).await;
        let data = read(&office).await;
        assert_eq!(wrong(&data), expected, "{data}");
        let found = check(&data, "dueRetries");
        assert_eq!((figure(found, "oldestDueSeconds"), figure(found, "due")), (overdue, 1));
    }
}

#[tokio::test]
async fn unmigrated_practices_are_counted_and_named() {
    let office = Office::open(Engine::Sqlite).await;
    poll(&office).await;
    let schema = shared::tenant::migrate::newest();
    let note = async |practice: &PracticePass, schema: i64, tzdata: &str| {
        office.app.control.note_schema_version(practice, schema, tzdata).await.unwrap();
    };
    note(office.db.practicepass(), schema - 1, shared::domain::zones::version()).await;
    note(office.other_db.practicepass(), schema, "2020a").await;
    let data = read(&office).await;
    assert_eq!((&data["status"], wrong(&data)), (&json!("degraded"), vec!["migrations degraded".to_owned()]));
    assert_eq!(
        check(&data, "migrations")["practices"],
        json!({
            "count": 2,
            "reasons": [{ "reason": "oldSchema", "count": 1 }, { "reason": "oldTimeZoneRules", "count": 1 }],
            "listed": [
                { "practicepass": "DemoOffice", "reason": "oldSchema", "since": null },
                { "practicepass": "OtherOffice", "reason": "oldTimeZoneRules", "since": null },
            ],
        })
    );
    // A schema of a newer program.
    note(office.db.practicepass(), schema + 1, "9999z").await;
    note(office.other_db.practicepass(), schema, shared::domain::zones::version()).await;
    assert_eq!(wrong(&read(&office).await), Vec::<String>::new());
}

#[tokio::test]
async fn old_secrets_and_unfinished_rotations_are_reported() {
    let rotating = Rotating::open(Engine::Sqlite).await;
    let days = |days: i64| NOW.parse::<Timestamp>().unwrap() - SignedDuration::from_hours(24 * days);
    for (secret, name, most) in [
        ("keys", "tokenKeys", thresholds::TOKEN_KEY_DAYS),
        ("admin", "adminSecret", thresholds::ADMIN_SECRET_DAYS),
        ("edge", "edgeSecret", thresholds::EDGE_SECRET_DAYS),
    ] {
        for (age, is_old) in [(most, false), (most + 1, true)] {
            rotating.vault.backdate(secret, days(age)).unwrap();
            let data = read(&rotating.office).await;
            let found = check(&data, name);
            assert_eq!((found["status"] == "degraded", figure(found, "ageDays")), (is_old, age), "{found}");
            assert_eq!(found["ageSeconds"], age * 86_400);
        }
        for (age, is_overdue) in [(7, false), (8, true)] {
            rotating.vault.label(secret, "ROTATING").unwrap();
            rotating.vault.backdate(secret, days(age)).unwrap();
            let data = read(&rotating.office).await;
            let found = check(&data, name);
            assert_eq!(
                (found["status"] == "degraded", figure(found, "rotationDays")),
                (is_overdue, age),
                "{found}"
            );
            assert!(found["detail"].as_str().unwrap().contains("still valid"), "{found}");
        }
        // Its next version has no label.
        let text = rotating.vault.get(secret).unwrap();
        rotating.vault.set(secret, &text).unwrap();
        assert_eq!(check(&read(&rotating.office).await, name)["status"], "ok");
    }
}

async fn a_silent_practice_without_subscriptions_is_named(office: Office) {
    arrange(&office).await;
    let control = &office.app.control;
    let practice = office.db.practicepass();
    let entry = control.practice(practice).await.unwrap().unwrap();
    let nowhere = SecretRef::from("env:NOTHING".to_owned());
    let quarter = async |office: &Office| {
        let mut named = Vec::new();
        for _ in 0..15 {
            let now = office.app.clock.now();
            let poll = log_poller::Poll { shard: 0, of: 1, once: false };
            log_poller::run(&office.app, poll, now + SignedDuration::from_nanos(1), None).await.unwrap();
            let data = read(office).await;
            named.push(check(&data, "practices").to_string().contains(practice.as_str()));
            office.set_time(&(now + SignedDuration::from_mins(1)).to_string());
        }
        named
    };
    assert!(!quarter(&office).await.contains(&true));
    control.put_practice(&Practice { dsn_secret: nowhere, ..entry.clone() }).await.unwrap();
    office.app.practices.forget(practice);
    let named = quarter(&office).await;
    let first = named.iter().position(|it| *it).expect("it is contacted in one of the minutes");
    assert!(named[first..].iter().all(|it| *it), "the finding persists: {named:?}");
    control.put_practice(&entry).await.unwrap();
    let named = quarter(&office).await;
    assert!(!named.last().unwrap(), "it answers again: {named:?}");
}
on_both_databases!(a_silent_practice_without_subscriptions_is_named);
