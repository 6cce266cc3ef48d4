//! Servers that stop responding.
//!
//! The caller learns within seconds in which step it hung, and nothing is left behind.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures::future::join_all;
use jiff::SignedDuration;
use migrate::{DatabaseOutcome, Status, Task};
use serde_json::{Value, json};
use sqlx::Executor;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
};

use super::{OTHERS, OURS, count, inside, migrated, session};
use crate::office::{Engine, Office, ends, eventually, new_database, proxy};

/// A proxy that forwards a number of bytes of each connection, and then nothing.
///
/// The connection stays open.
struct Silencing {
    /// The connection string of the same database, through the proxy.
    dsn: String,
    /// The most bytes that the server sent on one connection.
    bytes_sent: Arc<AtomicUsize>,
}

impl Silencing {
    /// Forwards this many bytes of the server's.
    async fn before(dsn: &str, after: usize) -> Self {
        let bytes_sent = Arc::<AtomicUsize>::default();
        let most = bytes_sent.clone();
        let dsn = proxy::before(dsn, move |server, client| pass(server, client, after, most.clone())).await;
        Self { dsn, bytes_sent }
    }

    fn bytes_sent(&self) -> usize {
        self.bytes_sent.load(Ordering::Relaxed)
    }
}

async fn pass(
    mut server: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    after: usize,
    bytes_sent: Arc<AtomicUsize>,
) {
    let (mut buffer, mut said) = ([0; 4096], 0);
    while let Ok(read @ 1..) = server.read(&mut buffer).await {
        let passed = read.min(after - said.min(after));
        said += read;
        bytes_sent.fetch_max(said, Ordering::Relaxed);
        if passed > 0 && client.write_all(&buffer[..passed]).await.is_err() {
            return;
        }
        if said > after {
            std::future::pending::<()>().await;
        }
    }
}

/// Returns the outcome of a task for one practice, with this time limit.
async fn outcome(office: &Office, task: Value, seconds: i64) -> DatabaseOutcome {
    let app = office.another_app(|_| ());
    // The function reserves five seconds for its response.
    let deadline = app.clock.now() + SignedDuration::from_secs(seconds + 5);
    let task: Task = serde_json::from_value(task).unwrap();
    let mut answer = ends("the function's answer", migrate::run(&app, task, deadline)).await;
    assert_eq!(answer.results.len(), 1);
    answer.results.remove(0).outcome
}

fn check(dsn: &str) -> Value {
    json!({ "check": { "practice": "Silent", "dsn": dsn } })
}

async fn assert_nothing_left(dsn: &str, tables: i64) {
    let mut looker = session(dsn).await;
    eventually("the end of its sessions", async || (count(&mut looker, OTHERS).await == 0).then_some(()))
        .await;
    assert_eq!(count(&mut looker, OURS).await, tables);
}

/// Returns 24 byte counts, evenly spread, after which the server stops responding.
fn bytes(most: usize) -> impl Iterator<Item = usize> {
    (0..24).map(move |at| at * most / 24)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_string_of_a_silent_server_is_reported_with_the_step() {
    let office = Office::open(Engine::Sqlite).await;
    let (empty, filled) = (new_database("silent").await, new_database("silent").await);
    migrated("Silent", &filled).await.unwrap().close().await;
    let mut looker = session(&filled).await;
    let of_ours = count(&mut looker, OURS).await;
    drop(looker);
    for (dsn, tables, steps) in [
        (&empty, 0, ["connecting to", "identifying the server", "creating the schema"]),
        (&filled, of_ours, ["connecting to", "identifying the server", "reading the schema version"]),
    ] {
        let whole = Silencing::before(dsn, usize::MAX).await;
        let good = outcome(&office, check(&whole.dsn), 600).await;
        assert_eq!(good.status, Status::Usable, "{good:?}");
        let said = join_all(bytes(whole.bytes_sent()).map(async |after| {
            let silent = Silencing::before(dsn, after).await;
            let outcome = outcome(&office, check(&silent.dsn), 1).await;
            (after, outcome.error.unwrap_or_default())
        }))
        .await;
        for (after, error) in &said {
            assert!(error.contains("while "), "{after}: {error}");
        }
        for step in steps {
            assert!(said.iter().any(|(_, error)| error.contains(step)), "{step}: {said:#?}");
        }
        assert_nothing_left(dsn, tables).await;
    }
}

#[tokio::test]
async fn tables_of_other_programs_are_named_and_block_nothing() {
    let office = Office::open(Engine::Sqlite).await;
    let dsn = new_database("silent").await;
    let mut emr = session(&dsn).await;
    emr.execute("create table users (name text); create table tags (name text)").await.unwrap();
    let outcome = outcome(&office, check(&dsn), 600).await;
    assert_eq!(outcome.status, Status::Usable, "{outcome:?}");
    let found = outcome.found.join("; ");
    assert!(found.contains("other programs' tables, which stay unchanged: tags, users"), "{found}");
    drop(emr);
    assert_nothing_left(&dsn, 0).await;
}

#[tokio::test]
async fn a_connection_string_is_tried_for_at_most_ten_seconds() {
    let office = Office::open(Engine::Sqlite).await;
    let dsn = new_database("silent").await;
    let whole = Silencing::before(&dsn, usize::MAX).await;
    assert_eq!(outcome(&office, check(&whole.dsn), 600).await.status, Status::Usable);
    let silent = Silencing::before(&dsn, whole.bytes_sent() - 1).await;
    let said = outcome(&office, check(&silent.dsn), 600).await.error.unwrap();
    assert!(said.contains("not done within 10 s: it hung while rolling the schema back"), "{said}");
    assert_nothing_left(&dsn, 0).await;
}

#[tokio::test]
async fn a_locked_database_is_reported_with_the_waiting_statement() {
    let office = Office::open(Engine::Sqlite).await;
    let dsn = new_database("silent").await;
    migrated("Silent", &dsn).await.unwrap().close().await;
    let mut blocker = inside(&dsn).await;
    blocker.execute("begin; lock table tenant_identity").await.unwrap();
    let said = outcome(&office, check(&dsn), 600).await.error.unwrap();
    let whole =
        said.contains("lock timeout") && said.contains("(while checking which practice owns the database)");
    assert!(whole, "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_on_a_silent_server_reports_the_step_and_leaves_nothing() {
    let whole = new_database("silent").await;
    let by_way = Silencing::before(&whole, usize::MAX).await;
    migrated("DemoOffice", &by_way.dsn).await.unwrap().close().await;
    let said = join_all(bytes(by_way.bytes_sent()).skip(1).step_by(2).map(async |after| {
        let dsn = new_database("silent").await;
        let silent = Silencing::before(&dsn, after).await;
        let office = Office::open(Engine::Sqlite).await;
        let app = office.another_app(|parts| {
            parts.secrets = shared::control::Secrets::fixed([("DSN_DEMOOFFICE", silent.dsn.as_str())]);
        });
        let deadline = app.clock.now() + SignedDuration::from_secs(2 + 5);
        let task = Task { practices: vec!["DemoOffice".to_owned()], ..Task::default() };
        let answer = ends("a migration", migrate::run(&app, task, deadline)).await;
        let mut looker = session(&dsn).await;
        eventually("the end of its sessions", async || (count(&mut looker, OTHERS).await == 0).then_some(()))
            .await;
        let (left, error) = (count(&mut looker, OURS).await, answer.results[0].outcome.error.clone());
        ends("the next migration", migrated("DemoOffice", &dsn)).await.unwrap().close().await;
        let of_ours = count(&mut looker, OURS).await;
        assert!(left == 0 || left == of_ours, "{after}: {left} of {of_ours}");
        (after, error.unwrap_or_default())
    }))
    .await;
    for (after, error) in &said {
        assert!(error.contains("while "), "{after}: {error}");
    }
    assert!(said.iter().any(|(_, error)| error.contains("running the migrations")), "{said:#?}");
}
