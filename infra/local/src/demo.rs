//! Demo data: two practices with a plausible history, a catalog, two partners, three API keys and a
//! week of their calls.

mod access;
mod activity;
mod catalog;
mod data;
mod dice;
mod document;
mod patients;
mod postgres;
mod practice;
mod registry;
mod rows;
mod tickets;
mod visits;

use shared::sql;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use officepro_operator::sqlite_dsn;
use shared::in_transaction;
use shared::{
    sql::{Conn, Database},
    tenant::{TenantDb, unindexed_patients},
};
use sqlx::AssertSqlSafe;

use crate::error::{Error, Result, TemplateError};
use crate::practices::{self, ACTIVITY_TABLE, CATALOG_SECRET, CONTROL_TABLE, control_plane, dsn_secret};
use crate::secrets::Secrets;
use crate::stack::Stores;
use crate::template::Template;
use dice::Dice;
use practice::{DemoPractice, PRACTICES};
use rows::Script;
use visits::Today;

pub use document::{Demo, DemoKey};
pub(crate) use postgres::parse as server_url;

const ADMIN_SECRETS: &str = "AdminSecretsSecret";

const LEFT_OUT: &str = "\n  Skipped it; run `migrate` once the cause is fixed";

/// Moves `PostgreSQL`'s sequences above the explicit ids; `SQLite` needs no such step.
const SEQUENCES: &str = "
    select setval(pg_get_serial_sequence('providers', 'provider_id'), (select max(provider_id) from \
    providers));
    select setval(pg_get_serial_sequence('resources', 'resource_id'), (select max(resource_id) from \
    resources));
    select setval(pg_get_serial_sequence('patients', 'patient_id'), (select max(patient_id) from patients));
    select setval(pg_get_serial_sequence('tags', 'tag_id'), (select max(tag_id) from tags));
    select setval(pg_get_serial_sequence('visits', 'visit_id'), (select max(visit_id) from visits));
    select setval(pg_get_serial_sequence('tickets', 'ticket_id'), (select max(ticket_id) from tickets));
    select setval(pg_get_serial_sequence('log', 'log_id'), (select max(log_id) from log));
";

/// Creates the demo data if it is missing, migrates the databases, and returns how to call the
/// demo.
///
/// `None` for a template without a control plane. New databases are created on the `PostgreSQL`
/// server `server`, or in files without one.
pub async fn prepare(stores: &Stores, base_url: &str, server: Option<&str>) -> Result<Option<Demo>> {
    let is_there = |name: &&str| stores.template.tables.iter().any(|table| table.id == **name);
    if ![CONTROL_TABLE, ACTIVITY_TABLE].iter().all(is_there) {
        return Ok(None);
    }
    let file = stores.data_dir().join("demo.json");
    let store = control_plane(&stores.dynamodb.endpoint, stores.access_key());
    let known = Demo::read(&file)?;
    if known.is_none() {
        registry::practices(&store).await?;
    }
    create_databases(stores, server).await?;
    let now = Timestamp::now();
    let registered = store.practices().await.map_err(|error| Error::store("practices", error))?;
    println!("Preparing the catalog and {} practice databases …", registered.len());
    let mut migrations = practices::several(registered, &stores.secrets);
    while let Some((practice, migrated)) = migrations.next().await {
        let db = match migrated {
            Ok(db) => db,
            // Its calls get 503 until it is back. The first start can't continue without it.
            Err(error) if known.is_some() => {
                println!("{error}{LEFT_OUT}");
                continue;
            }
            Err(error) => return Err(error),
        };
        practices::note_schema(&practice, &store).await?;
        let demo = PRACTICES.iter().find(|it| it.practicepass == practice.practicepass.as_str());
        if let Some(demo) = demo.filter(|_| known.is_none()) {
            let rows = rows(demo, &db, now);
            write_once(&db, HAS_PATIENTS, &rows, SEQUENCES)
                .await
                .map_err(practices::failed(demo.practicepass))?;
            unindexed_patients::index(&db, Duration::MAX)
                .await
                .map_err(practices::failed(demo.practicepass))?;
        }
        db.close().await;
    }
    drop(migrations);
    match practices::migrate_catalog(&stores.secrets).await {
        Ok(catalog) => {
            write_once(&catalog, catalog::IS_FILLED, &catalog::rows(now), catalog::SEQUENCES)
                .await
                .map_err(practices::failed("catalog"))?;
            catalog.close().await;
        }
        Err(error) if known.is_some() => {
            println!("{error}{LEFT_OUT}");
        }
        Err(error) => return Err(error),
    }
    let keys = match known {
        Some(known) => known.keys,
        None => registry::partners_and_keys(&store, now).await?,
    };
    let admin_secret = admin_secret(&stores.secrets, &stores.template)?;
    let demo = Demo { base_url: base_url.to_owned(), admin_secret, keys };
    demo.write(&file)?;
    Ok(Some(demo))
}

/// Creates the databases of the practices and the catalog where they are missing, and stores their
/// connection strings.
async fn create_databases(stores: &Stores, server: Option<&str>) -> Result<()> {
    let folder = stores.data_dir().join("practices");
    std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
    let of_practices =
        PRACTICES.iter().map(|it| (dsn_secret(it.practicepass), it.practicepass, folder.as_path()));
    let of_catalog = (CATALOG_SECRET.to_owned(), "catalog", stores.data_dir());
    let databases: Vec<_> = of_practices
        .chain([of_catalog])
        .map(|(secret, name, folder)| (secret, name, sqlite_dsn(folder, name)))
        .collect();
    for (secret, name, sqlite_dsn) in databases {
        // The template's own secret starts as a random text, which is not a connection string.
        let kept = stores.secrets.get(&secret).filter(|dsn| dsn.contains("://"));
        match (kept, server) {
            (None, None) => stores.secrets.set(&secret, &sqlite_dsn?)?,
            (None, Some(server)) => {
                let dsn = postgres::create(server, name).await?;
                stores.secrets.set(&secret, &dsn)?;
            }
            (Some(dsn), Some(_)) if dsn.starts_with("sqlite:") => {
                let message = "this data folder has its databases in files; --practice-db requires --fresh";
                return Err(Error::Refused(message.to_owned()));
            }
            (Some(_), _) => {}
        }
    }
    Ok(())
}

/// Fills a database in one transaction, unless the query `is_filled` shows that it already was.
async fn write_once(
    db: &Database,
    is_filled: &'static str,
    rows: &str,
    sequences: &'static str,
) -> sql::Result<()> {
    in_transaction!(db, sql::Error, |conn| {
        match conn {
            Conn::Sqlite(connection) => {
                if !sqlx::query_scalar(is_filled).fetch_one(&mut **connection).await? {
                    sqlx::raw_sql(AssertSqlSafe(rows.to_owned())).execute(&mut **connection).await?;
                }
            }
            Conn::Postgres(connection) => {
                if !sqlx::query_scalar(is_filled).fetch_one(&mut **connection).await? {
                    sqlx::raw_sql(AssertSqlSafe(rows.to_owned())).execute(&mut **connection).await?;
                    sqlx::raw_sql(sequences).execute(&mut **connection).await?;
                }
            }
        }
        Ok(())
    })
}

const HAS_PATIENTS: &str = "select exists (select 1 from patients)";

fn rows(practice: &DemoPractice, db: &TenantDb, now: Timestamp) -> String {
    let today = Today { zone: db.time_zone(), now, date: db.time_zone().to_datetime(now).date() };
    let mut dice = Dice::new(practice.seed);
    let mut script = Script::default();
    practice.write(&mut script, today.date);
    let patients = patients::write(&mut script, &mut dice, practice, now, today.date);
    visits::write(&mut script, &mut dice, practice, &patients, &today);
    tickets::write(&mut script, now);
    script.text()
}

/// Returns the admin secret from `{"current":"<secret>"}`.
fn admin_secret(secrets: &Secrets, template: &Template) -> Result<String> {
    let missing = || TemplateError(format!("{ADMIN_SECRETS} must be a JSON object with \"current\""));
    if !template.secrets.iter().any(|it| it.id == ADMIN_SECRETS) {
        return Err(missing().into());
    }
    let text = secrets.get(ADMIN_SECRETS).ok_or_else(missing)?;
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|_| missing())?;
    Ok(value["current"].as_str().ok_or_else(missing)?.to_owned())
}
