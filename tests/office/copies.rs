//! Databases with their schema and the fixture's rows: created once per process, and copied for
//! each test.

use shared::sql;
use std::{collections::HashMap, path::Path, sync::Arc};

use shared::{
    auth::CatalogGrant,
    catalog::{self, CatalogDb, Catalogs},
    sql::Database,
    tenant::migrate::migrate,
};
use tokio::sync::Mutex;

use super::{
    database::{self, Created, Engine},
    fixture, large, timeouts,
};

const CATALOG: &str = "catalog";

/// The original of a copy.
#[derive(Clone)]
enum Original {
    /// A file's bytes.
    Sqlite(Arc<[u8]>),
    /// The name of a database that accepts no connections.
    Postgres(String),
}

/// How many rows a copy has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Size {
    /// Those of the fixture.
    Small,
    /// Also those of `large`. On `PostgreSQL`, the database reports each statement's plan.
    Large,
}

pub(super) async fn practice(
    engine: Engine,
    size: Size,
    folder: &Path,
    practicepass: &str,
    time_zone: &str,
) -> Created {
    let dsn = copy(engine, size, folder, practicepass, time_zone).await;
    let created = database::open(dsn, practicepass, time_zone).await;
    if is_attached(engine, practicepass) && database::mariadb::is_attached() {
        database::mariadb::copy(&created.db, &database::new_name("emr")).await;
    }
    created
}

/// Returns the catalog and its DSN.
pub(super) async fn catalog(engine: Engine, size: Size, folder: &Path) -> (CatalogDb, String) {
    let dsn = copy(engine, size, folder, CATALOG, "UTC").await;
    let catalogs = Catalogs::for_background_work(8).with_timeouts(timeouts::DATABASE);
    let (grant, now) = (CatalogGrant::for_operations(), super::NOW.parse().unwrap());
    let db = catalogs.open(&grant, now, async || Ok::<_, sql::Error>(dsn.as_str().into())).await.unwrap();
    (db, dsn)
}

/// A `MariaDB` database for each practice takes time, so only the practice that most tests use has
/// one.
fn is_attached(engine: Engine, name: &str) -> bool {
    let is_one = !database::mariadb::is_attached() || name == "DemoOffice";
    engine == Engine::Postgres && database::is_attached() && is_one
}

/// Each name has one time zone.
async fn copy(engine: Engine, size: Size, folder: &Path, name: &str, time_zone: &str) -> String {
    match original(engine, size, name, time_zone).await {
        Original::Sqlite(bytes) => {
            let dsn = database::dsn(engine, folder, name).await;
            std::fs::write(dsn.strip_prefix("sqlite://").unwrap(), bytes).unwrap();
            dsn
        }
        Original::Postgres(original) => {
            let name = database::new_name(name);
            database::on_server(&format!("create database {name} template {original}")).await;
            if size == Size::Large {
                database::on_server(&large::reporting_plans(&name)).await;
            }
            database::postgres_dsn(&name)
        }
    }
}

async fn original(engine: Engine, size: Size, name: &str, time_zone: &str) -> Original {
    type Originals = HashMap<(Engine, Size, String), Original>;
    static MADE: Mutex<Option<Originals>> = Mutex::const_new(None);
    let mut made = MADE.lock().await;
    let made = made.get_or_insert_default();
    let key = (engine, size, name.to_owned());
    if !made.contains_key(&key) {
        made.insert(key.clone(), make(engine, size, name, time_zone).await);
    }
    made[&key].clone()
}

async fn make(engine: Engine, size: Size, name: &str, time_zone: &str) -> Original {
    let folder = tempfile::tempdir().unwrap();
    let dsn = database::dsn(engine, folder.path(), name).await;
    if name == CATALOG {
        let db = catalog::migrate::migrate(&CatalogGrant::for_operations(), &dsn).await.unwrap();
        fixture::fill_catalog(&db).await;
        if size == Size::Large {
            large::fill_catalog(&db, engine).await;
        }
        close(engine, folder.path(), &db, &dsn).await
    } else {
        let now = super::NOW.parse().unwrap();
        let db = migrate(&database::grant(name), &dsn, time_zone, now).await.unwrap().db;
        fixture::fill(&db).await;
        if is_attached(engine, name) {
            database::attach(&db).await;
        }
        if size == Size::Large {
            large::fill(&db, engine).await;
        }
        close(engine, folder.path(), &db, &dsn).await
    }
}

async fn close(engine: Engine, folder: &Path, db: &Database, dsn: &str) -> Original {
    if engine == Engine::Sqlite {
        let whole = folder.join("whole.sqlite");
        database::execute(db, &format!("vacuum into '{}'", whole.display())).await;
        return Original::Sqlite(std::fs::read(whole).unwrap().into());
    }
    let (_, name) = dsn.rsplit_once('/').unwrap();
    let (name, _) = name.split_once('?').unwrap();
    database::on_server(&format!("alter database {name} with allow_connections false")).await;
    let end = "select pg_terminate_backend(pid, 60000) from pg_stat_activity where datname";
    database::on_server(&format!("{end} = '{name}'")).await;
    Original::Postgres(name.to_owned())
}
