//! A store that is down is our fault and recovers soon: callers get `Retry-After`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_sdk_dynamodb::config::{
    BehaviorVersion, Credentials, Region, retry::RetryConfig, timeout::TimeoutConfig,
};
use futures::future::join_all;
use serde_json::json;
use shared::{
    app::{App, Parts},
    catalog::Catalogs,
    control::{Secrets, Store},
    sql::{Conn, ServerTimeouts, Timeouts},
    tenant::Practices,
};

use crate::{
    access_matrix::{Access, operations},
    office::{ADMIN_SECRET, Engine, Office, ends, eventually, on_both_databases, timeouts},
};

/// An address at which nothing listens.
const NOWHERE: &str = "http://127.0.0.1:9";

/// Returns an app like the office's, with the control plane `store` and unreachable databases.
fn app_with(office: &Office, store: Store) -> App {
    office.another_app(|parts| {
        parts.control = store;
        databases_at(parts, "postgres://nobody@127.0.0.1:9/nowhere", MOMENTARY);
    })
}

/// Points all databases to `dsn`.
fn databases_at(parts: &mut Parts, dsn: &str, timeouts: Timeouts) {
    parts.secrets = Secrets::fixed([
        ("OFFICE_TOKEN_KEYS", r#"{"active":"k1","k1":"0123456789abcdef0123456789abcdef"}"#),
        ("OFFICE_ADMIN_SECRETS", &json!({ "current": ADMIN_SECRET }).to_string()),
        ("DSN_DEMOOFFICE", dsn),
        ("DSN_OTHEROFFICE", dsn),
        ("CATALOG_DSN", dsn),
    ]);
    parts.practices = Practices::default().with_timeouts(timeouts);
    parts.catalogs = Catalogs::default().with_timeouts(timeouts);
}

/// Returns the app of a process with a short limit only for waiting for locks.
fn with_short_lock_timeout(office: &Office) -> App {
    let lock = Duration::from_millis(200);
    let server = ServerTimeouts { lock, ..timeouts::DATABASE.server.unwrap() };
    let limits = Timeouts { file_lock: lock, server: Some(server), ..timeouts::DATABASE };
    office.another_app(|parts| parts.practices = Practices::default().with_timeouts(limits))
}

/// A call to a database times out quickly, and its circuit then stays open for longer than any test
/// takes.
const MOMENTARY: Timeouts = Timeouts {
    connect: Duration::from_millis(300),
    round_trip: Duration::from_millis(300),
    cooldown: Duration::from_hours(1),
    ..timeouts::DATABASE
};

fn unreachable_store(office: &Office) -> Store {
    store_at(office, NOWHERE)
}

fn store_at(office: &Office, endpoint: &str) -> Store {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "tests"))
        .timeout_config(TimeoutConfig::disabled())
        .retry_config(RetryConfig::disabled());
    Store::with_client(aws_sdk_dynamodb::Client::from_conf(config.build()), office.app.config.tables.clone())
}

/// Starts a server that accepts connections and sends nothing; returns its DSN and the number of
/// connections.
async fn silent_server() -> (String, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dsn = format!("postgres://nobody@{}/nowhere?sslmode=disable", listener.local_addr().unwrap());
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = taken.clone();
    tokio::spawn(async move {
        let mut connections = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            connections.push(connection);
        }
    });
    (dsn, taken)
}

#[tokio::test]
async fn calls_return_503_with_retry_after_while_the_control_plane_is_down() {
    let mut office = Office::open(Engine::Sqlite).await;
    let token = format!("Bearer {}", office.token("all").await);
    office.answer_with(app_with(&office, unreachable_store(&office)));
    for operation in operations() {
        let credential = match operation.access {
            Access::Partner(_) => ("authorization", token.as_str()),
            Access::Admin => ("x-admin-secret", ADMIN_SECRET),
            Access::Open | Access::Session => continue,
        };
        let headers = [credential, ("content-type", "application/json")];
        let reply = office.call(&operation.method, &operation.filled(), &headers, Some("{}")).await;
        reply.expect_problem(503, "UNAVAILABLE");
        assert_eq!(reply.header("retry-after"), "2", "{}", operation.name());
    }
    office.call("GET", "/v1/health", &[], None).await.expect(200);
}

#[tokio::test]
async fn calls_return_503_with_retry_after_while_their_database_is_down() {
    let mut office = Office::open(Engine::Sqlite).await;
    let token = office.token("all").await;
    let (dsn, connections) = silent_server().await;
    office.answer_with(office.another_app(|parts| databases_at(parts, &dsn, MOMENTARY)));
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
    let replies = join_all(paths.iter().map(|path| office.send(&token, "GET", path, None))).await;
    for (path, reply) in paths.iter().zip(replies) {
        reply.expect_problem(503, "UNAVAILABLE");
        assert_eq!(reply.header("retry-after"), "2", "{path}");
    }
    // One call waits for the practice and two for the catalog, which has two connections; the
    // others do not wait again.
    let waited = connections.load(Ordering::Relaxed);
    assert!((1..=3).contains(&waited), "{waited} connections");
    office.send(&token, "GET", "/v1/me", None).await.expect(200);
}

/// The EMR or an operator holds a lock for a long time.
async fn a_call_blocked_by_a_lock_returns_503_and_recovers_soon_after(office: Office) {
    let token = office.token("all").await;
    let mut office = office;
    office.answer_with(with_short_lock_timeout(&office));
    let body = json!({ "FirstName": "Ann", "LastName": "Lee", "EMail": "ann@example.com" });
    let path = "/v1/DemoOffice/prospects";
    let mut lock = office.db.begin().await.unwrap();
    if let Conn::Postgres(connection) = &mut lock.conn {
        sqlx::raw_sql("lock table patients in access exclusive mode")
            .execute(&mut **connection)
            .await
            .unwrap();
    }
    for _ in 0..3 {
        let reply = ends("the lock", office.send(&token, "POST", path, Some(&body))).await;
        reply.expect_problem(503, "UNAVAILABLE");
        assert_eq!(reply.header("retry-after"), "2");
    }
    drop(lock);
    eventually("service", async || {
        let reply = office.send(&token, "POST", path, Some(&body)).await;
        (reply.status == 201).then_some(())
    })
    .await;
}
on_both_databases!(a_call_blocked_by_a_lock_returns_503_and_recovers_soon_after);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_row_blocks_only_its_own_changes() {
    let mut office = Office::open(Engine::Postgres).await;
    let token = office.token("all").await;
    office.answer_with(with_short_lock_timeout(&office));
    let mut lock = office.db.begin().await.unwrap();
    if let Conn::Postgres(connection) = &mut lock.conn {
        let row = "select 1 from patients where patient_id = 1001 for update";
        sqlx::raw_sql(row).execute(&mut **connection).await.unwrap();
    }
    let change = json!({ "NickName": "Locked" });
    for _ in 0..3 {
        let both = async {
            tokio::join!(
                office.send(&token, "PUT", "/v1/DemoOffice/prospects/1001", Some(&change)),
                office.send(&token, "GET", "/v1/DemoOffice/prospects/1002", None),
            )
        };
        let (locked, read) = ends("the lock", both).await;
        locked.expect_problem(503, "UNAVAILABLE");
        read.expect(200);
        // The database works, and its circuit is closed.
        office.send(&token, "GET", "/v1/DemoOffice/prospects/1002", None).await.expect(200);
    }
    lock.end::<(), shared::sql::Error>(Ok(())).await.unwrap();
    office.send(&token, "PUT", "/v1/DemoOffice/prospects/1001", Some(&change)).await.expect(200);
}

#[tokio::test]
async fn a_hanging_store_does_not_delay_startup() {
    let office = Office::open(Engine::Sqlite).await;
    // Connections wait in its backlog forever.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let store = store_at(&office, &format!("http://{}", silent.local_addr().unwrap()));
    // None of the client's timeouts ends it.
    ends("the start", store.warm_up()).await;
}
