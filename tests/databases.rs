//! Tests of connecting to databases.
//!
//! They cover server verification, servers that refuse connections, poolers, and interrupted
//! migrations.

mod neighbors;
mod silent;

use shared::sql;
use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use migrate::Task;
use serde_json::json;
use shared::{
    auth::PracticeGrant,
    domain::PracticePass,
    in_transaction,
    sql::{Conn, ServerTimeouts, Timeouts},
    tenant::{self, Practices, TenantDb, migrate::give_defaults, practices::Location},
};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, postgres::PgConnectOptions};

use crate::office::{Engine, NOW, Office, ends, eventually, new_database, pooled, run_sql, timeouts};

fn practice(name: &str) -> PracticeGrant {
    PracticeGrant::for_operations(PracticePass::try_from(name).unwrap())
}

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

async fn migrated(name: &str, secret: &str) -> sql::Result<TenantDb> {
    Ok(tenant::migrate::migrate(&practice(name), secret, "America/New_York", now()).await?.db)
}

async fn opened(name: &str, secret: &str, timeouts: Timeouts) -> sql::Result<TenantDb> {
    let location = Location { dsn: secret.to_owned(), time_zone: "America/New_York".to_owned() };
    let practices = Practices::default().with_timeouts(timeouts);
    practices.open(&practice(name), now(), async || Ok(location)).await
}

/// Returns an error with its causes.
fn with_causes(error: &sql::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn a_server_is_verified_by_the_given_root_and_by_its_name() {
    let dsn = new_database("tls").await;
    let (dsn, _) = dsn.split_once('?').unwrap();
    let authority = std::env::var("TEST_POSTGRES_CA").expect("tests/postgres sets it");
    let root = std::fs::read_to_string(authority).unwrap();
    let localhost = dsn.replace("127.0.0.1", "localhost");
    let secret = format!("{localhost}\n{root}");
    migrated("Tls", &secret).await.unwrap();
    let db = opened("Tls", &secret, timeouts::DATABASE).await.unwrap();
    let encrypted = "select count(*) from pg_stat_ssl where ssl and pid = pg_backend_pid()";
    let Conn::Postgres(mut connection) = db.connection().await.unwrap() else { panic!() };
    let encrypted: i64 = sqlx::query_scalar(encrypted).fetch_one(&mut *connection).await.unwrap();
    assert_eq!(encrypted, 1);

    // Certificates of other authorities.
    let roots = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/src/sql/rds-roots.pem");
    let others = format!("{localhost}\n{}", std::fs::read_to_string(roots).unwrap());
    let other_name = format!("{dsn}\n{root}");
    for (secret, reason) in [
        (localhost.as_str(), "UnknownIssuer"),
        (&others, "UnknownIssuer"),
        (&other_name, "not valid for name"),
    ] {
        for result in [migrated("Tls", secret).await, opened("Tls", secret, timeouts::DATABASE).await] {
            let error = result.unwrap_err();
            assert!(matches!(error, sql::Error::Unavailable(_)), "{error:?}");
            assert!(with_causes(&error).contains(reason), "{}", with_causes(&error));
        }
    }
    // Without host name verification, the authority is still verified.
    let verify_ca = format!("{dsn}?sslmode=verify-ca\n{root}");
    opened("Tls", &verify_ca, timeouts::DATABASE).await.unwrap();
    opened("Tls", &format!("{dsn}?sslmode=verify-ca"), timeouts::DATABASE).await.unwrap_err();
}

#[tokio::test]
async fn a_server_that_refuses_is_named_and_the_others_are_migrated() {
    let office = Office::open(Engine::Postgres).await;
    let refusing = "postgres://nobody:hunter22@127.0.0.1:9/nowhere?sslmode=disable";
    let error = ends("a refusal", migrated("Refused", refusing)).await.unwrap_err();
    assert!(with_causes(&error).contains("127.0.0.1:9: Connection refused"), "{}", with_causes(&error));
    let app = office.another_app(|parts| {
        let dsn = office.dsn().to_owned();
        let secrets = [("DSN_DEMOOFFICE", refusing), ("DSN_OTHEROFFICE", &dsn), ("CATALOG_DSN", refusing)];
        parts.secrets = shared::control::Secrets::fixed(secrets);
    });
    // `OtherOffice` points to the database of `DemoOffice`, so it is processed but fails
    // differently.
    let practices = ["DemoOffice", "OtherOffice"].map(str::to_owned).to_vec();
    let task = Task { practices, catalog: true, ..Task::default() };
    let deadline = office.app.clock.now() + SignedDuration::from_mins(15);
    let answer = ends("a migration", migrate::run(&app, task, deadline)).await;
    let error = |at: usize| answer.results[at].outcome.error.clone().unwrap();
    assert!(error(0).contains("127.0.0.1:9: Connection refused"), "{}", error(0));
    assert!(error(1).contains("another practice"), "{}", error(1));
    let catalog = answer.catalog.unwrap().error.unwrap();
    assert!(
        catalog.contains("127.0.0.1:9: Connection refused") && !catalog.contains("hunter22"),
        "{catalog}"
    );
}

/// Opens a connection that bypasses the product.
async fn session(dsn: &str) -> PgConnection {
    let options: PgConnectOptions = dsn.replace("&pooler=transaction", "").parse().unwrap();
    PgConnection::connect_with(&options.extra_float_digits(None)).await.unwrap()
}

/// The same as [`session`], with the product's tables in its search path.
async fn inside(dsn: &str) -> PgConnection {
    let mut session = session(dsn).await;
    session.execute("set search_path = partner_api").await.unwrap();
    session
}

async fn count(session: &mut PgConnection, query: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_one(session).await.unwrap()
}

const OTHERS: &str =
    "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";

async fn interrupted_migration(dsn: String, secret: String) {
    let db = migrated("Broken", &dsn).await.unwrap();
    // Undo the newest migration and block it with another session's lock.
    run_sql(&db, "delete from _sqlx_migrations where version = 9; drop function free_id(regclass, text)")
        .await;
    db.close().await;
    let mut blocker = inside(&dsn).await;
    blocker.execute("begin; lock table _sqlx_migrations").await.unwrap();
    let first = tokio::spawn({
        let secret = secret.clone();
        async move { migrated("Broken", &secret).await.map(|_| ()) }
    });
    let mut looker = inside(&dsn).await;
    let waiting = "select count(*) from pg_locks where not granted and locktype = 'relation'
        and database = (select oid from pg_database where datname = current_database())
        and relation = '_sqlx_migrations'::regclass";
    eventually("a migration that waits", async || (count(&mut looker, waiting).await == 1).then_some(()))
        .await;
    // The second migration returns an error instead of waiting forever.
    let second = ends("the second migration", migrated("Broken", &secret)).await.unwrap_err();
    assert!(matches!(second, sql::Error::Migrating), "{second:?}");
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    // The awaited lock is still held: the server itself must detect that the client is gone.
    eventually("the end of its statement", async || (count(&mut looker, waiting).await == 0).then_some(()))
        .await;
    let locks = "select count(*) from pg_locks where locktype = 'advisory'
        and database = (select oid from pg_database where datname = current_database())";
    assert_eq!(count(&mut looker, locks).await, 0);
    blocker.execute("rollback").await.unwrap();
    ends("the next migration", migrated("Broken", &secret)).await.unwrap();
    assert_eq!(count(&mut looker, "select count(*) from _sqlx_migrations where version = 9").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_migration_blocks_nothing() {
    let dsn = new_database("broken").await;
    interrupted_migration(dsn.clone(), dsn).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_migration_through_a_pooler_blocks_nothing() {
    let dsn = new_database("broken").await;
    let by_pooler = pooled(&dsn);
    interrupted_migration(dsn, by_pooler.clone()).await;
    // Statement names belong to a session, and by now this session serves another client.
    let mut raw = session(&by_pooler).await;
    for _ in 0..4 {
        let left = "select count(*) from pg_prepared_statements";
        let row = sqlx::raw_sql(left).fetch_one(&mut raw).await.unwrap();
        assert_eq!(sqlx::Row::get_unchecked::<String, _>(&row, 0), "0");
    }
}

#[tokio::test]
async fn a_failed_migration_leaves_the_database_unchanged() {
    let dsn = new_database("foreign").await;
    let mut admin = session(&dsn).await;
    // Create part of a migration's result in its schema, but not its first table.
    admin.execute("create schema partner_api; create table partner_api.log (entry text)").await.unwrap();
    let error = migrated("Foreign", &dsn).await.unwrap_err();
    assert!(with_causes(&error).contains("\"log\" already exists"), "{}", with_causes(&error));
    assert_eq!(count(&mut admin, OURS).await, 1);
    eventually("the end of its session", async || (count(&mut admin, OTHERS).await == 0).then_some(())).await;
}

/// Counts the product's tables.
const OURS: &str = "select count(*) from pg_tables where schemaname = 'partner_api'";

/// Returns a session's limits and their sources, as the server reports them.
async fn limits(db: &TenantDb) -> String {
    let of = "select string_agg(setting || ' ' || source, ', ' order by name) from pg_settings
        where name in ('lock_timeout', 'statement_timeout', 'idle_in_transaction_session_timeout')";
    in_transaction!(db, sql::Error, |conn| {
        let Conn::Postgres(connection) = conn else { panic!() };
        let row = sqlx::raw_sql(of).fetch_one(&mut **connection).await.unwrap();
        Ok(sqlx::Row::get::<String, _>(&row, 0))
    })
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_never_stay_in_the_session_of_a_pooler() {
    let dsn = new_database("limits").await;
    let by_pooler = pooled(&dsn);
    migrated("Limits", &dsn).await.unwrap().close().await;
    let server = ServerTimeouts {
        lock: Duration::from_millis(71_001),
        statement: Duration::from_millis(72_001),
        idle: Duration::from_millis(73_001),
    };
    let timeouts = Timeouts { server: Some(server), ..timeouts::DATABASE };
    // The role has no defaults yet, so each session or transaction sets its own.
    let direct = opened("Limits", &dsn, timeouts).await.unwrap();
    let pooled_db = opened("Limits", &by_pooler, timeouts).await.unwrap();
    for db in [&direct, &pooled_db] {
        assert_eq!(limits(db).await, "73001 session, 71001 session, 72001 session");
    }
    let mut raw = session(&by_pooler).await;
    for _ in 0..4 {
        let left = "select count(*) from pg_settings where source = 'session' and name like '%timeout'";
        let row = sqlx::raw_sql(left).fetch_one(&mut raw).await.unwrap();
        assert_eq!(sqlx::Row::get_unchecked::<String, _>(&row, 0), "0");
    }
    assert!(give_defaults(&direct, server).await.unwrap(), "the role has none");
    assert!(!give_defaults(&direct, server).await.unwrap(), "it has them");
    direct.close().await;
    let direct = opened("Limits", &dsn, timeouts).await.unwrap();
    let of_role = "73001 database user, 71001 database user, 72001 database user";
    assert_eq!(limits(&direct).await, of_role);
    // Terminate the pooler's server connections, as happens after an hour.
    let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and application_name = ''";
    pooled_db.close().await;
    drop(raw);
    let mut admin = session(&dsn).await;
    count(&mut admin, end).await;
    let db = eventually("a new connection of the pooler's", async || {
        opened("Limits", &by_pooler, timeouts).await.ok()
    })
    .await;
    assert_eq!(limits(&db).await, of_role);
    // A client that needs other limits still gets them.
    let other =
        Timeouts { server: Some(ServerTimeouts { lock: Duration::from_secs(5), ..server }), ..timeouts };
    for secret in [&dsn, &by_pooler] {
        let db = opened("Limits", secret, other).await.unwrap();
        assert_eq!(limits(&db).await, "73001 session, 5000 session, 72001 session", "{secret}");
    }
}

#[tokio::test]
async fn limits_apply_to_the_login_role_and_to_the_role_it_acts_as() {
    let dsn = new_database("roles").await;
    let (server, _) = dsn.split_once('?').unwrap();
    let (_, name) = server.rsplit_once('/').unwrap();
    let mut admin = session(&dsn).await;
    let roles = format!(
        "create role {name}_a; create role \"{name}_B\" login in role {name}_a; alter role \"{name}_B\" set \
            role {name}_a;
         alter database {name} owner to {name}_a"
    );
    admin.execute(AssertSqlSafe(roles)).await.unwrap();
    let dsn = dsn.replace("postgres@", &format!("{name}_B@"));
    migrated("Roles", &dsn).await.unwrap().close().await;
    let server = ServerTimeouts {
        lock: Duration::from_millis(71_001),
        statement: Duration::from_millis(72_001),
        idle: Duration::from_millis(73_001),
    };
    let timeouts = Timeouts { server: Some(server), ..timeouts::DATABASE };
    let db = opened("Roles", &dsn, timeouts).await.unwrap();
    assert_eq!(limits(&db).await, "73001 session, 71001 session, 72001 session");
    assert!(give_defaults(&db, server).await.unwrap(), "the roles have none");
    assert!(!give_defaults(&db, server).await.unwrap(), "they have them");
    db.close().await;
    let db = opened("Roles", &dsn, timeouts).await.unwrap();
    assert_eq!(limits(&db).await, "73001 database user, 71001 database user, 72001 database user");
    let with_all = "select count(*) from pg_db_role_setting where cardinality(setconfig) = 4
        and setdatabase = (select oid from pg_database where datname = current_database())";
    assert_eq!(count(&mut admin, with_all).await, 2);
    // A limit that was reset manually is set again, for the role that lacks it.
    let reset = format!("alter role \"{name}_B\" in database {name} reset statement_timeout");
    admin.execute(AssertSqlSafe(reset)).await.unwrap();
    assert!(give_defaults(&db, server).await.unwrap());
    assert_eq!(count(&mut admin, with_all).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_through_a_pooler_get_only_their_own_results() {
    let mut office = Office::open(Engine::Postgres).await;
    office.pool();
    let office = Arc::new(office);
    let token: Arc<str> = office.token("all").await.into();
    let names = [(1001, "Ada"), (1002, "Ben"), (1003, "Chloe")];
    let mut callers = Vec::new();
    for caller in 0..24 {
        let (office, token) = (office.clone(), token.clone());
        callers.push(tokio::spawn(async move {
            let (id, first) = names[caller % names.len()];
            for round in 0..6 {
                let get = async |path: String| office.send(&token, "GET", &path, None).await;
                let read = get(format!("/v1/DemoOffice/prospects/{id}")).await;
                assert_eq!(read.expect(200)["data"]["FirstName"], first);
                let found = get(format!("/v1/DemoOffice/prospects?search={first}")).await;
                assert_eq!(found.expect(200)["data"][0]["PatientID"], id);
                let name = format!("Caller{caller}x{round}");
                let new = json!({ "FirstName": name, "LastName": "Pooled", "EMail": "a@example.com" });
                let made = office.send(&token, "POST", "/v1/DemoOffice/prospects", Some(&new)).await;
                assert_eq!(made.expect(201)["data"]["FirstName"], name.as_str());
                get("/v1/DemoOffice/availability/schedule?from=2026-03-10&to=2026-03-11".to_owned()).await;
            }
            let visit = json!({
                "PatientID": id, "ProviderID": 1, "VisitType": "Consult", "VisitDate": "2026-03-10",
                "VisitTime": "10:00", "VisitDuration": 30,
            });
            office.send(&token, "POST", "/v1/DemoOffice/visits/book", Some(&visit)).await.status.as_u16()
        }));
    }
    let mut statuses = Vec::new();
    for caller in callers {
        statuses.push(caller.await.unwrap());
    }
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [201, 409].contains(status)), "{statuses:?}");
    assert_eq!(office.integer("select count(*) from patients where last_name = 'Pooled'").await, 24 * 6);
}
