//! A test's own practice databases.

use std::{
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

use shared::{
    auth::PracticeGrant,
    domain::PracticePass,
    sql::{Conn, Database},
    tenant::{Bridge, bridge, migrate::migrate},
};
use sqlx::{AssertSqlSafe, Connection, Executor};

#[path = "mariadb.rs"]
#[allow(dead_code, reason = "only some use all of it")]
pub(crate) mod mariadb;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

pub(crate) struct Created {
    pub(crate) db: shared::tenant::TenantDb,
    pub(crate) dsn: String,
}

#[allow(dead_code, reason = "the benches use it")]
pub(crate) async fn create(engine: Engine, folder: &Path, practicepass: &str, time_zone: &str) -> Created {
    let dsn = dsn(engine, folder, practicepass).await;
    migrate(&grant(practicepass), &dsn, time_zone, super::NOW.parse().unwrap()).await.unwrap();
    // Reopened, because the migration's pool has one connection.
    open(dsn, practicepass, time_zone).await
}

pub(super) fn grant(practicepass: &str) -> PracticeGrant {
    PracticeGrant::for_operations(PracticePass::try_from(practicepass).unwrap())
}

pub(super) async fn open(dsn: String, practicepass: &str, time_zone: &str) -> Created {
    let practices =
        shared::tenant::Practices::for_background_work(8).with_timeouts(super::timeouts::DATABASE);
    let location = shared::tenant::practices::Location { dsn: dsn.clone(), time_zone: time_zone.to_owned() };
    let now = super::NOW.parse().unwrap();
    let grant = grant(practicepass);
    let opened = practices.open(&grant, now, async || Ok::<_, shared::sql::Error>(location));
    let db = opened.await.unwrap();
    Created { db, dsn }
}

/// The address of a new database.
pub(super) async fn dsn(engine: Engine, folder: &Path, name: &str) -> String {
    match engine {
        Engine::Sqlite => format!("sqlite://{}", folder.join(format!("{name}.sqlite")).display()),
        Engine::Postgres => {
            let name = new_name(name);
            on_server(&format!("create database {name}")).await;
            postgres_dsn(&name)
        }
    }
}

/// Returns the connection string of a new, empty database on the server.
#[allow(dead_code, reason = "only some use it")]
pub(crate) async fn new_database(name: &str) -> String {
    dsn(Engine::Postgres, Path::new(""), name).await
}

/// Returns the same database through the pooler in front of the server.
#[allow(dead_code, reason = "only some use it")]
pub(crate) fn pooled(dsn: &str) -> String {
    let pooler =
        std::env::var("TEST_POOLER_URL").expect("TEST_POOLER_URL names a PgBouncer; tests/postgres sets it");
    let base = |url: &str| url.rsplit_once('/').unwrap().0.to_owned();
    if !dsn.starts_with("postgres:") {
        return dsn.to_owned();
    }
    format!("{}&pooler=transaction", dsn.replace(&base(&server()), &base(&pooler)))
}

/// Returns a unique database name.
pub(crate) fn new_name(name: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("{}_{}_{number}", name.to_lowercase(), std::process::id())
}

/// Returns the server that `TEST_POSTGRES_URL` names; `tests/run` starts one.
fn server() -> String {
    std::env::var("TEST_POSTGRES_URL")
        .expect("TEST_POSTGRES_URL names a PostgreSQL server; tests/run sets it")
}

pub(super) fn postgres_dsn(name: &str) -> String {
    let server = server();
    let (base, _) = server.rsplit_once('/').unwrap();
    format!("{base}/{name}?sslmode=disable")
}

pub(super) async fn on_server(statement: &str) {
    let mut admin = sqlx::PgConnection::connect(&server()).await.unwrap();
    admin.execute(AssertSqlSafe(statement.to_owned())).await.unwrap();
    admin.close().await.unwrap();
}

/// Whether `PostgreSQL`'s practices have an EMR in their database, connected by a bridge:
/// `TEST_ATTACHED`.
pub(crate) fn is_attached() -> bool {
    std::env::var_os("TEST_ATTACHED").is_some()
}

/// Creates an EMR with the rows of the fixture beside a practice's tables, and attaches the
/// practice to it.
pub(crate) async fn attach(db: &shared::tenant::TenantDb) {
    if mariadb::is_attached() {
        return attach_to_mariadb(db, &new_name("emr")).await;
    }
    let emr = concat!("set search_path = public;", include_str!("../bridges/openemr.sql"));
    let same = "update patient_data set sex = '', \"DOB\" = null, email = '', \"providerID\" = null;
        set search_path = partner_api;";
    execute(db, &format!("{emr};{same}")).await;
    let bridge = Bridge::named("openemr-postgresql").unwrap();
    bridge.install(db).await.unwrap();
    // The fixture's rooms belong to the EMR.
    execute(db, "insert into bridge_rooms (room, resource_id) values ('r1', 101), ('r2', 102)").await;
    bridge::load(db, true, |_| true).await.unwrap();
    let findings = bridge::check(db).await.unwrap();
    assert!(findings.is_empty(), "{findings:?}");
}

/// Attaches a practice to an EMR with the same rows, on `MariaDB`, in a database of this name.
pub(crate) async fn attach_to_mariadb(db: &shared::tenant::TenantDb, emr: &str) {
    execute(db, "create extension if not exists mysql_fdw schema public").await;
    let bridge = Bridge::named("openemr-mariadb").unwrap();
    bridge.install_with(db, &format!("postgres://\n{}", mariadb::create(emr))).await.unwrap();
    mariadb::raw(db, "insert into bridge_rooms (room, resource_id) values ('r1', 101), ('r2', 102)").await;
    bridge::load(db, true, |_| true).await.unwrap();
    let findings = bridge::check(db).await.unwrap();
    assert!(findings.is_empty(), "{findings:?}");
}

pub(crate) async fn execute(db: &Database, statements: &str) {
    try_execute(db, statements).await.unwrap();
}

/// Visit types that a test creates must exist in the EMR, too, or they could not be booked.
const CATEGORIES: &str = "
    do $$ begin
        if to_regclass('public.openemr_postcalendar_categories') is not null and \
        to_regclass('partner_api.visit_types') is not null then
            insert into public.openemr_postcalendar_categories (pc_catid, pc_catname, pc_cattype, pc_active)
            select (select max(pc_catid) from public.openemr_postcalendar_categories) + row_number() over \
            (), visit_type, 0, active::int
            from partner_api.visit_types where visit_type not in (select pc_catname from \
            public.openemr_postcalendar_categories);
        end if;
    end $$";

pub(crate) async fn try_execute(db: &Database, statements: &str) -> shared::sql::Result<()> {
    // In an attached practice, tests write our own columns as the bridge does.
    let alone = "set partner_api.writing = 'emr';";
    let is_postgres = matches!(db.connection().await?, Conn::Postgres(_));
    let statements = if is_postgres && is_attached() {
        format!("{alone}{statements};{CATEGORIES}")
    } else {
        statements.to_owned()
    };
    let for_emr = mariadb::is_attached().then(|| statements.clone());
    let statements = AssertSqlSafe(statements);
    match &mut db.connection().await? {
        Conn::Sqlite(connection) => sqlx::raw_sql(statements).execute(&mut **connection).await.map(|_| ())?,
        Conn::Postgres(connection) => {
            sqlx::raw_sql(statements).execute(&mut **connection).await.map(|_| ())?;
        }
    }
    if let (true, Some(statements)) = (is_postgres, for_emr) {
        mariadb::follow(db, &statements).await;
    }
    Ok(())
}

pub(crate) async fn integer(db: &Database, query: &str) -> i64 {
    let query = AssertSqlSafe(query.to_owned());
    match &mut db.connection().await.unwrap() {
        Conn::Sqlite(connection) => sqlx::query_scalar(query).fetch_one(&mut **connection).await.unwrap(),
        Conn::Postgres(connection) => sqlx::query_scalar(query).fetch_one(&mut **connection).await.unwrap(),
    }
}
