//! A store that is down is our fault and is over soon: callers are told to come back.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use futures::future::join_all;
use serde_json::json;
use shared::{
    app::{App, CallLog, Guesses, KeyCache, Parts, Random, RateLimits},
    auth::secret_ref::SecretRef,
    catalog::Catalogs,
    control::{Queue, Secrets, Store},
    egress::{self, Guard, Reach, SystemResolver},
    tenant::{Conn, Practices},
};

use crate::{
    access_matrix::{Door, operations},
    office::{ADMIN_SECRET, Engine, Office, on_both_databases},
};

/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:9";

/// An app as the office's, with the control plane of `store` and databases that nobody answers at.
fn app_with(office: &Office, store: Store) -> App {
    app_on(office, store, "postgres://nobody@127.0.0.1:9/nowhere")
}

/// As a function has it, with all databases at `dsn`.
fn app_on(office: &Office, store: Store, dsn: &str) -> App {
    App::new(Parts {
        config: office.app.config.clone(),
        clock: office.app.clock.clone(),
        random: Random::system(),
        control: store,
        queue: Queue::new(None, None, None),
        hooks: egress::Client::new(Guard::new(std::sync::Arc::new(SystemResolver), Reach::Internet)),
        secrets: Secrets::fixed([
            ("OFFICE_TOKEN_KEYS", r#"{"active":"k1","k1":"0123456789abcdef0123456789abcdef"}"#),
            ("OFFICE_ADMIN_SECRETS", &json!({ "current": ADMIN_SECRET }).to_string()),
            ("DSN_DEMOOFFICE", dsn),
            ("DSN_OTHEROFFICE", dsn),
            ("CATALOG_DSN", dsn),
        ]),
        practices: Practices::default(),
        catalogs: Catalogs::default(),
        keys: KeyCache::default(),
        rates: RateLimits::default(),
        guesses: Guesses::default(),
        calls: CallLog::default(),
    })
}

fn unreachable_store(office: &Office) -> Store {
    store_at(office, NOWHERE)
}

fn store_at(office: &Office, endpoint: &str) -> Store {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "tests"))
        .retry_config(RetryConfig::disabled());
    Store::with_client(aws_sdk_dynamodb::Client::from_conf(config.build()), office.app.config.tables.clone())
}

#[tokio::test]
async fn with_the_control_plane_down_every_call_that_needs_it_is_503_with_retry_after() {
    let mut office = Office::open(Engine::Sqlite).await;
    let token = format!("Bearer {}", office.token("all").await);
    office.answer_with(app_with(&office, unreachable_store(&office)));
    for operation in operations() {
        let credential = match operation.door {
            Door::Partner(_) => ("authorization", token.as_str()),
            Door::Admin => ("x-admin-secret", ADMIN_SECRET),
            Door::Open | Door::Session => continue,
        };
        let headers = [credential, ("content-type", "application/json")];
        let reply = office.call(&operation.method, &operation.filled(), &headers, Some("{}")).await;
        reply.expect_problem(503, "UNAVAILABLE");
        assert_eq!(reply.header("retry-after"), "2", "{}", operation.name());
    }
    office.call("GET", "/v1/health", &[], None).await.expect(200);
}

#[tokio::test]
async fn with_the_databases_down_every_call_that_needs_them_is_503_with_retry_after() {
    let mut office = Office::open(Engine::Sqlite).await;
    let token = office.token("all").await;
    let store = Store::with_client(office.dynamodb.clone(), office.app.config.tables.clone());
    office.answer_with(app_with(&office, store));
    let paths = [
        "/v1/DemoOffice/prospects",
        "/v1/DemoOffice/tags",
        "/v1/DemoOffice/availability/providers",
        "/v1/DemoOffice/visit-types",
        "/v1/DemoOffice/visits/1",
        "/v1/DemoOffice/tickets",
        "/v1/products",
        "/v1/kb",
    ];
    // None waits for longer than one of them does.
    let began = Instant::now();
    let replies = join_all(paths.iter().map(|path| office.send(&token, "GET", path, None))).await;
    for (path, reply) in paths.iter().zip(replies) {
        reply.expect_problem(503, "UNAVAILABLE");
        assert_eq!(reply.header("retry-after"), "2", "{path}");
    }
    assert!(began.elapsed() < Duration::from_millis(2_500), "{:?}", began.elapsed());
    office.send(&token, "GET", "/v1/me", None).await.expect(200);
}

on_both_databases! {
    /// The EMR or an operator holds a lock for long.
    async fn a_call_that_waits_for_anothers_lock_is_503_within_two_seconds_and_served_again_soon_after(office) {
        let token = office.token("all").await;
        let store = Store::with_client(office.dynamodb.clone(), office.app.config.tables.clone());
        let dsn = SecretRef::from("env:DSN_DEMOOFFICE".to_owned());
        let dsn = office.app.secrets.get(&dsn, office.app.clock.now()).await.unwrap();
        let app = app_on(&office, store, &dsn);
        let mut office = office;
        office.answer_with(app);
        let body = json!({ "FirstName": "Ann", "LastName": "Lee", "EMail": "ann@example.com" });
        let path = "/v1/DemoOffice/prospects";
        let mut lock = office.db.begin().await.unwrap();
        if let Conn::Postgres(connection) = &mut lock.conn {
            sqlx::raw_sql("lock table patients in access exclusive mode").execute(&mut **connection).await.unwrap();
        }
        for _ in 0..3 {
            let began = Instant::now();
            let reply = office.send(&token, "POST", path, Some(&body)).await;
            reply.expect_problem(503, "UNAVAILABLE");
            assert_eq!(reply.header("retry-after"), "2");
            assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        }
        drop(lock);
        tokio::time::sleep(Duration::from_secs(4)).await;
        office.send(&token, "POST", path, Some(&body)).await.expect(201);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_somebody_locks_holds_up_nothing_but_its_own_changes() {
    let mut office = Office::open(Engine::Postgres).await;
    let token = office.token("all").await;
    let store = Store::with_client(office.dynamodb.clone(), office.app.config.tables.clone());
    let dsn = SecretRef::from("env:DSN_DEMOOFFICE".to_owned());
    let dsn = office.app.secrets.get(&dsn, office.app.clock.now()).await.unwrap();
    office.answer_with(app_on(&office, store, &dsn));
    let mut lock = office.db.begin().await.unwrap();
    if let Conn::Postgres(connection) = &mut lock.conn {
        let row = "select 1 from patients where patient_id = 1001 for update";
        sqlx::raw_sql(row).execute(&mut **connection).await.unwrap();
    }
    let change = json!({ "NickName": "Locked" });
    for _ in 0..3 {
        let began = Instant::now();
        let (locked, read) = tokio::join!(
            office.send(&token, "PUT", "/v1/DemoOffice/prospects/1001", Some(&change)),
            office.send(&token, "GET", "/v1/DemoOffice/prospects/1002", None),
        );
        locked.expect_problem(503, "UNAVAILABLE");
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        read.expect(200);
        // The database is well, and not let be.
        office.send(&token, "GET", "/v1/DemoOffice/prospects/1002", None).await.expect(200);
    }
    lock.end::<(), shared::tenant::Error>(Ok(())).await.unwrap();
    office.send(&token, "PUT", "/v1/DemoOffice/prospects/1001", Some(&change)).await.expect(200);
}

#[tokio::test]
async fn a_store_that_never_answers_holds_up_no_start() {
    let office = Office::open(Engine::Sqlite).await;
    // Connections wait in its backlog for ever.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let store = store_at(&office, &format!("http://{}", silent.local_addr().unwrap()));
    let started = tokio::time::timeout(std::time::Duration::from_secs(15), store.warm_up()).await;
    assert!(started.is_ok(), "Lambda gives a start ten seconds");
}
