//! Practice databases of a test's own.

use std::{
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

use jiff::tz::TimeZone;
use shared::{
    auth::{CatalogGrant, PracticeGrant},
    catalog::{self, CatalogDb},
    domain::PracticePass,
    tenant::{Conn, Database, migrate::migrate},
};
use sqlx::{AssertSqlSafe, Connection, Executor};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

pub(crate) struct Created {
    pub(crate) db: shared::tenant::TenantDb,
    pub(crate) dsn: String,
}

pub(crate) async fn create(engine: Engine, folder: &Path, practicepass: &str, time_zone: &str) -> Created {
    let dsn = dsn(engine, folder, practicepass).await;
    let grant = PracticeGrant::for_operations(PracticePass::try_from(practicepass).unwrap());
    migrate(&grant, &dsn, TimeZone::get(time_zone).unwrap()).await.unwrap();
    // Opened anew: the migration's pool has one connection.
    let practices = shared::tenant::Practices::patient(8).with_timeouts(super::timeouts::DATABASE);
    let location = shared::tenant::practices::Location { dsn: dsn.clone(), time_zone: time_zone.to_owned() };
    let now = super::NOW.parse().unwrap();
    let db = practices.open(&grant, now, async || Ok::<_, shared::tenant::Error>(location)).await.unwrap();
    Created { db, dsn }
}

/// The catalog and its DSN.
pub(crate) async fn create_catalog(engine: Engine, folder: &Path) -> (CatalogDb, String) {
    let dsn = dsn(engine, folder, "catalog").await;
    let db = catalog::migrate::migrate(&CatalogGrant::for_operations(), &dsn).await.unwrap();
    (db, dsn)
}

async fn dsn(engine: Engine, folder: &Path, name: &str) -> String {
    match engine {
        Engine::Sqlite => format!("sqlite://{}", folder.join(format!("{name}.sqlite")).display()),
        Engine::Postgres => create_postgres(name).await,
    }
}

/// A new database on the server that `TEST_POSTGRES_URL` names; `tests/run` starts one.
async fn create_postgres(practicepass: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let server = std::env::var("TEST_POSTGRES_URL")
        .expect("TEST_POSTGRES_URL names a PostgreSQL server; tests/run sets it");
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("{}_{}_{number}", practicepass.to_lowercase(), std::process::id());
    let mut admin = sqlx::PgConnection::connect(&server).await.unwrap();
    admin.execute(AssertSqlSafe(format!("create database {name}"))).await.unwrap();
    admin.close().await.unwrap();
    let (base, _) = server.rsplit_once('/').unwrap();
    format!("{base}/{name}?sslmode=disable")
}

pub(crate) async fn execute(db: &Database, statements: &str) {
    try_execute(db, statements).await.unwrap();
}

pub(crate) async fn try_execute(db: &Database, statements: &str) -> shared::tenant::Result<()> {
    let statements = AssertSqlSafe(statements.to_owned());
    match &mut db.connection().await? {
        Conn::Sqlite(connection) => sqlx::raw_sql(statements).execute(&mut **connection).await.map(|_| ())?,
        Conn::Postgres(connection) => {
            sqlx::raw_sql(statements).execute(&mut **connection).await.map(|_| ())?;
        }
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
