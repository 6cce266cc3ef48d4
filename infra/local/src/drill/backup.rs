//! Backups of a practice's database and of the control plane, like those of point-in-time recovery.

use std::path::{Path, PathBuf};

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use jiff::Timestamp;
use rusqlite::Connection;
use shared::control::{Item, Store};
use shared::sql::ConnectionString;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use url::Url;

use super::scene::{PRACTICE, Scene};
use crate::demo::server_url;
use crate::error::{Error, Result};
use crate::practices::{CONTROL_TABLE, control_plane, dsn_secret};
use crate::template::REGION;

/// Name of the table that the control plane is restored to.
pub(super) const RESTORED_TABLE: &str = "ControlTable-restored";

/// A backup of a practice's database.
pub(super) struct DatabaseBackup {
    pub(super) at: Timestamp,
    kept: BackupLocation,
}

enum BackupLocation {
    File(PathBuf),
    /// A database on the same server, and the connection string of the original.
    Copy {
        name: String,
        dsn: Url,
    },
}

/// A backup of the control table.
pub(super) struct ControlBackup {
    pub(super) at: Timestamp,
    items: Vec<Item>,
}

impl DatabaseBackup {
    pub(super) async fn take(scene: &Scene<'_>, file: &Path) -> Result<Self> {
        let dsn = dsn(scene)?;
        let at = Timestamp::now();
        if let Some(source) = path_of(&dsn) {
            vacuum_into(&source, file)?;
            return Ok(Self { at, kept: BackupLocation::File(file.to_owned()) });
        }
        let dsn = Url::parse(&dsn).map_err(|error| Error::store("the connection string", error))?;
        let source = dsn.path().trim_start_matches('/').to_owned();
        let name = format!("{source}_backup");
        copy_database(scene, &source, &name, &dsn).await?;
        Ok(Self { at, kept: BackupLocation::Copy { name, dsn } })
    }

    /// Restores it beside the original; returns its connection string.
    pub(super) async fn restore(&self, scene: &Scene<'_>) -> Result<String> {
        match &self.kept {
            BackupLocation::File(file) => {
                let beside = scene.folder.join("practices").join(format!("{PRACTICE}-restored.sqlite"));
                std::fs::copy(file, &beside).map_err(Error::file(&beside))?;
                let beside = std::fs::canonicalize(&beside).map_err(Error::file(&beside))?;
                Ok(format!("sqlite://{}", beside.display()))
            }
            BackupLocation::Copy { name, dsn } => {
                let restored = format!("{}_restored", dsn.path().trim_start_matches('/'));
                copy_database(scene, name, &restored, dsn).await?;
                let mut dsn = dsn.clone();
                dsn.set_path(&restored);
                Ok(dsn.into())
            }
        }
    }
}

/// Deletes the practice's database.
pub(super) async fn lose_database(scene: &Scene<'_>, dsn: &str) -> Result<()> {
    if let Some(file) = path_of(dsn) {
        for end in ["", "-wal", "-shm"] {
            let file = PathBuf::from(format!("{}{end}", file.display()));
            if file.exists() {
                std::fs::remove_file(&file).map_err(Error::file(&file))?;
            }
        }
        return Ok(());
    }
    let name = Url::parse(dsn).map(|it| it.path().trim_start_matches('/').to_owned());
    let name = name.map_err(|error| Error::store("the connection string", error))?;
    on_server(scene, &[format!("drop database {name} with (force)")]).await
}

/// Drops the databases that the drill created on a server.
pub(super) async fn clean_server(scene: &Scene<'_>, dsn: &str) -> Result<()> {
    let Ok(dsn) = Url::parse(dsn) else { return Ok(()) };
    if scene.server().is_none() {
        return Ok(());
    }
    let name = dsn.path().trim_start_matches('/');
    let drops =
        ["", "_backup", "_restored"].map(|end| format!("drop database if exists {name}{end} with (force)"));
    on_server(scene, &drops).await
}

impl ControlBackup {
    pub(super) async fn take(scene: &Scene<'_>) -> Result<Self> {
        let at = Timestamp::now();
        let items = control(scene)?.control_items().await.map_err(|error| refused(&error))?;
        Ok(Self { at, items })
    }

    /// Restores it in place of the lost table, as is possible for a deleted table.
    pub(super) async fn take_its_place(&self, scene: &Scene<'_>) -> Result<()> {
        let mut items = self.items.clone();
        for item in &mut items {
            // The poller's leases last a minute; outside a drill they would have expired.
            item.remove("leaseUntil");
        }
        fill(&control(scene)?, &items).await
    }

    /// Restores it to a table with another name.
    pub(super) async fn restore(&self, scene: &Scene<'_>) -> Result<()> {
        let attribute = |name: &str| {
            AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build()
        };
        let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
        let built = |error: aws_sdk_dynamodb::error::BuildError| Error::store(RESTORED_TABLE, error);
        client(scene)?
            .create_table()
            .table_name(RESTORED_TABLE)
            .billing_mode(BillingMode::PayPerRequest)
            .attribute_definitions(attribute("pk").map_err(built)?)
            .attribute_definitions(attribute("sk").map_err(built)?)
            .key_schema(key("pk", KeyType::Hash).map_err(built)?)
            .key_schema(key("sk", KeyType::Range).map_err(built)?)
            .send()
            .await
            .map_err(|error| Error::store(RESTORED_TABLE, error.into_service_error()))?;
        fill(&control(scene)?.with_control_table(RESTORED_TABLE), &self.items).await
    }
}

async fn fill(store: &Store, items: &[Item]) -> Result<()> {
    for item in items {
        store.put_control_item(item.clone(), None).await.map_err(|error| refused(&error))?;
    }
    Ok(())
}

/// Deletes the control table's items, except the audit log if it is kept; returns their number.
pub(super) async fn lose_control(scene: &Scene<'_>, keep_audit: bool) -> Result<usize> {
    let client = client(scene)?;
    let mut items = control(scene)?.control_items().await.map_err(|error| refused(&error))?;
    items.retain(|it| !(keep_audit && it["pk"].as_s().is_ok_and(|pk| pk == "AUDIT")));
    for item in &items {
        let key = ["pk", "sk"].map(|name| (name.to_owned(), item[name].clone()));
        let delete = client.delete_item().table_name(CONTROL_TABLE).set_key(Some(key.into()));
        delete.send().await.map_err(|error| Error::store(CONTROL_TABLE, error.into_service_error()))?;
    }
    Ok(items.len())
}

/// Returns the connection string of the practice's database.
pub(super) fn dsn(scene: &Scene<'_>) -> Result<String> {
    let missing = || Error::Refused("the practice has no connection string".to_owned());
    scene.stores()?.secrets.get(&dsn_secret(PRACTICE)).ok_or_else(missing)
}

fn path_of(dsn: &str) -> Option<PathBuf> {
    dsn.strip_prefix("sqlite://").map(PathBuf::from)
}

/// Copies a SQLite file consistently while others write to it.
fn vacuum_into(source: &Path, copy: &Path) -> Result<()> {
    let failed = |error: rusqlite::Error| Error::store(&source.display().to_string(), error);
    let open = Connection::open(source).map_err(failed)?;
    open.execute("vacuum into ?1", [copy.display().to_string()]).map(|_| ()).map_err(failed)
}

/// Copies a database. The server requires that nobody is connected to the source, so it is closed
/// meanwhile; functions reconnect.
async fn copy_database(scene: &Scene<'_>, source: &str, copy: &str, dsn: &Url) -> Result<()> {
    let owner = dsn.username();
    let end = format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{source}'");
    let closed = |allowed| format!("alter database {source} allow_connections {allowed}");
    let create = format!("create database {copy} template {source} owner {owner}");
    on_server(scene, &[closed(false), end, create, closed(true)]).await
}

async fn on_server(scene: &Scene<'_>, statements: &[String]) -> Result<()> {
    let failed = |error: sqlx::Error| Error::store("--practice-db", error);
    let server = server_url(scene.server().unwrap_or_default())?;
    let options = ConnectionString::of(server.as_str()).options();
    let options = options.map_err(|error| Error::store("--practice-db", error))?;
    let mut admin = PgConnection::connect_with(&options).await.map_err(failed)?;
    for statement in statements {
        admin.execute(AssertSqlSafe(statement.clone())).await.map_err(failed)?;
    }
    admin.close().await.map_err(failed)
}

fn control(scene: &Scene<'_>) -> Result<Store> {
    let stores = scene.stores()?;
    Ok(control_plane(&stores.dynamodb.endpoint, stores.access_key()))
}

fn client(scene: &Scene<'_>) -> Result<aws_sdk_dynamodb::Client> {
    use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
    let stores = scene.stores()?;
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(&stores.dynamodb.endpoint)
        .region(Region::from_static(REGION))
        .credentials_provider(Credentials::new(stores.access_key(), "local", None, None, "local"))
        .build();
    Ok(aws_sdk_dynamodb::Client::from_conf(config))
}

fn refused(error: &shared::control::Error) -> Error {
    Error::Refused(error.to_string())
}
