//! Demo data on both engines. `TEST_POSTGRES_URL` names a `PostgreSQL` server; tests/run starts
//! one.

use shared::sql;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{Span, Timestamp};
use officepro_local::data_dir::DataDir;
use officepro_local::demo::{self, Demo};
use officepro_local::practices::{dsn_secret, migrate_all};
use officepro_local::stack::Stores;
use officepro_local::{emit, secrets::Secrets};
use serde_json::Value;
use shared::auth::{CatalogGrant, PracticeGrant};
use shared::catalog::{CatalogDb, Catalogs};
use shared::domain::schedule::Minutes;
use shared::domain::webhook_event::{Action, classify};
use shared::domain::{EventScope, PracticePass, Scope, ids::ProviderId};
use shared::tenant::calendar::{AvailabilityQuery, CalendarLookup, read};
use shared::tenant::practices::Location;
use shared::{
    sql::{Conn, Database},
    tenant::{Practices, TenantDb, log},
};
use sqlx::{AssertSqlSafe, Connection, Executor};

const BASE: &str = "http://127.0.0.1:8080";

fn template() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml")
}

fn server() -> String {
    std::env::var("TEST_POSTGRES_URL")
        .expect("TEST_POSTGRES_URL names a PostgreSQL server; tests/run sets it")
}

/// Starts the stack as far as its stores.
async fn start(folder: &Path, base: &str, server: Option<&str>) -> Result<Demo, String> {
    let data_dir = DataDir::open(folder).unwrap();
    let stores = Stores::start(&template(), data_dir).await.unwrap();
    let demo = demo::prepare(&stores, base, server).await;
    stores.stop().await;
    demo.map(Option::unwrap).map_err(|error| error.to_string())
}

async fn open(folder: &Path, practicepass: &str) -> TenantDb {
    let secrets = Secrets::open(&folder.join("secrets.json"), &[]).unwrap();
    let dsn = secrets.get(&dsn_secret(practicepass)).unwrap();
    let grant = PracticeGrant::for_operations(PracticePass::try_from(practicepass).unwrap());
    let location = Location { dsn, time_zone: "America/New_York".to_owned() };
    let now = Timestamp::now();
    Practices::default().open(&grant, now, async || Ok::<_, sql::Error>(location)).await.unwrap()
}

async fn count(db: &Database, of: &str) -> i64 {
    let query = AssertSqlSafe(format!("select count(*) from {of}"));
    match &mut db.connection().await.unwrap() {
        Conn::Sqlite(connection) => sqlx::query_scalar(query).fetch_one(&mut **connection).await.unwrap(),
        Conn::Postgres(connection) => sqlx::query_scalar(query).fetch_one(&mut **connection).await.unwrap(),
    }
}

async fn catalog(folder: &Path) -> CatalogDb {
    let secrets = Secrets::open(&folder.join("secrets.json"), &[]).unwrap();
    let dsn: Arc<str> = secrets.get("CatalogDsnSecret").unwrap().into();
    let grant = CatalogGrant::for_operations();
    Catalogs::default().open(&grant, Timestamp::now(), async || Ok::<_, sql::Error>(dsn)).await.unwrap()
}

async fn counts(folder: &Path) -> Vec<i64> {
    let tables = ["patients", "patient_words", "patient_tags", "visits", "log", "working_hours", "tags"];
    let mut counts = vec![];
    for practicepass in ["DemoOffice", "LakesideClinic"] {
        let db = open(folder, practicepass).await;
        for table in tables {
            counts.push(count(&db, table).await);
        }
    }
    let catalog = catalog(folder).await;
    counts.push(count(&catalog, "products").await);
    counts.push(count(&catalog, "kb_articles").await);
    counts
}

async fn is_made_once(server: Option<&str>) {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("data");
    let first = start(&folder, BASE, server).await.unwrap();
    let filled = counts(&folder).await;
    let second = start(&folder, "http://127.0.0.1:9090", None).await.unwrap();
    assert_eq!(counts(&folder).await, filled);
    assert_eq!(second, Demo { base_url: "http://127.0.0.1:9090".to_owned(), ..first });

    let db = open(&folder, "DemoOffice").await;
    assert!(count(&db, "patients").await >= 1000);
    let unfound = "patients where patient_id not in (select patient_id from patient_words)";
    assert_eq!(count(&db, unfound).await, 0);
    for status in ["Completed", "Scheduled", "Confirmed", "Cancelled", "NoShow"] {
        assert!(count(&db, &format!("visits where status = '{status}'")).await > 0, "{status}");
    }
    assert_eq!(count(&db, "visits where visit_type = 'Consult' and room_id is null").await, 0);
    let catalog = catalog(&folder).await;
    assert_eq!((count(&catalog, "products").await, count(&catalog, "kb_articles").await), (200, 20));
    assert_eq!(
        count(&catalog, "kb_articles where kb_id = 12 and title = 'Insurance Verification Workflow'").await,
        1
    );
    assert_eq!(count(&catalog, "products where cost_cents >= retail_price_cents").await, 0);
    let on_server = matches!(catalog.connection().await.unwrap(), Conn::Postgres(_));
    assert_eq!(on_server, server.is_some(), "the catalog is where the practices are");
    migrate_all(&template(), &folder, 0).await.unwrap();
    assert_eq!(counts(&folder).await, filled);
}

#[tokio::test]
async fn demo_data_in_files_is_created_once() {
    is_made_once(None).await;
}

#[tokio::test]
async fn demo_data_on_a_server_is_created_once() {
    is_made_once(Some(&server())).await;
}

async fn events_are_emitted(server: Option<&str>) {
    let root = tempfile::tempdir().unwrap();
    start(root.path(), BASE, server).await.unwrap();
    let db = open(root.path(), "LakesideClinic").await;
    let highest = log::highest(&mut db.connection().await.unwrap()).await.unwrap();
    for scope in EventScope::ALL {
        emit::emit(root.path(), "LakesideClinic", *scope, 201).await.unwrap();
    }
    let rows = log::above(&mut db.connection().await.unwrap(), highest, 2000).await.unwrap();
    assert_eq!(rows.len(), 201 * EventScope::ALL.len());
    for (row, scope) in rows.iter().zip(EventScope::ALL.iter().flat_map(|it| std::iter::repeat_n(it, 201))) {
        let entry = row.entry.as_ref().unwrap();
        let (found, action) = classify(&entry.table_name, &entry.action).unwrap();
        assert_eq!(found, *scope);
        assert!(matches!(action, Action::Created | Action::Updated));
    }
    let mut records: Vec<i64> = rows[..201].iter().map(|row| row.entry.as_ref().unwrap().record_id).collect();
    records.sort_unstable();
    records.dedup();
    assert_eq!(records.len(), 201, "they are about different patients");
    let known = format!("patients where patient_id between {} and {}", records[0], records[200]);
    assert_eq!(count(&db, &known).await, 201);

    let other = emit::emit(root.path(), "lakesideclinic", EventScope::Claims, 1).await;
    assert!(other.unwrap_err().to_string().contains("no practice lakesideclinic"));
    assert!(emit::emit(&root.path().join("none"), "DemoOffice", EventScope::Claims, 1).await.is_err());
}

#[tokio::test]
async fn the_emr_can_be_simulated_in_files() {
    events_are_emitted(None).await;
}

#[tokio::test]
async fn the_emr_can_be_simulated_on_a_server() {
    events_are_emitted(Some(&server())).await;
}

#[tokio::test]
async fn demo_json_lists_the_keys_for_its_owner_only() {
    let root = tempfile::tempdir().unwrap();
    let demo = start(root.path(), BASE, None).await.unwrap();
    let file = root.path().join("demo.json");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let written: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&written), ["adminSecret", "baseUrl", "keys"]);
    assert_eq!(written["baseUrl"], BASE);
    assert!(written["adminSecret"].as_str().unwrap().len() >= 32);
    let keys = written["keys"].as_array().unwrap();
    assert!(keys.iter().all(|key| names(key) == ["apiKey", "name", "practicepass", "scopes"]));
    let of = |key: &Value| (key["practicepass"].clone(), key["scopes"].as_array().unwrap().len());
    let all = Scope::ALL.len();
    let expected = [("DemoOffice", all), ("DemoOffice", 1), ("LakesideClinic", all)];
    assert_eq!(keys.iter().map(of).collect::<Vec<_>>(), expected.map(|(name, count)| (name.into(), count)));
    let shown = demo.to_string();
    assert!(keys.iter().all(|key| shown.contains(key["apiKey"].as_str().unwrap())));
}

#[tokio::test]
async fn the_demo_databases_are_closed_before_functions_open_them() {
    let root = tempfile::tempdir().unwrap();
    let stores = Stores::start(&template(), DataDir::open(root.path()).unwrap()).await.unwrap();
    demo::prepare(&stores, BASE, None).await.unwrap();
    // SQLite removes the write-ahead log of a file when its last connection closes.
    let logs =
        ["practices/DemoOffice.sqlite-wal", "practices/LakesideClinic.sqlite-wal", "catalog.sqlite-wal"];
    let open: Vec<_> = logs.into_iter().filter(|log| root.path().join(log).exists()).collect();
    stores.stop().await;
    assert_eq!(open, Vec::<&str>::new(), "a function that opens one now may find it locked");
}

#[tokio::test]
async fn the_demo_schedule_has_time_left_for_new_visits() {
    let root = tempfile::tempdir().unwrap();
    start(root.path(), BASE, None).await.unwrap();
    let db = open(root.path(), "DemoOffice").await;
    let (now, half_hour) = (Timestamp::now(), Minutes::new(30).unwrap());
    let today = db.time_zone().to_datetime(now).date();
    for provider in [1, 2] {
        let query = AvailabilityQuery {
            provider: ProviderId(provider),
            visit_type: Some("Consult"),
            dates: (today, today + Span::new().days(7)),
            now,
            except: None,
        };
        let mut conn = db.connection().await.unwrap();
        let CalendarLookup::Calendar(calendar) = read(&mut conn, db.time_zone(), &query).await.unwrap()
        else {
            panic!("there is no calendar of provider {provider}");
        };
        assert!(calendar.next_slot(half_hour).is_some());
    }
}

#[tokio::test]
async fn the_server_user_needs_only_createdb() {
    let mut admin = sqlx::PgConnection::connect(&server()).await.unwrap();
    let role = format!("plain_{}", std::process::id());
    let create = format!("create role {role} login createdb password 'plain'");
    admin.execute(AssertSqlSafe(create)).await.unwrap();
    let mut url = url::Url::parse(&server()).unwrap();
    url.set_username(&role).unwrap();
    url.set_password(Some("plain")).unwrap();
    let root = tempfile::tempdir().unwrap();
    start(root.path(), BASE, Some(url.as_str())).await.unwrap();
    let db = open(root.path(), "DemoOffice").await;
    assert!(count(&db, "patients").await >= 1000);
}

#[tokio::test]
async fn practices_change_servers_only_with_fresh() {
    let root = tempfile::tempdir().unwrap();
    start(root.path(), BASE, None).await.unwrap();
    let moved = start(root.path(), BASE, Some("postgres://nobody@127.0.0.1:9/postgres")).await;
    assert!(moved.unwrap_err().contains("--fresh"));
}
