//! DynamoDB on loopback, over a SQLite file: tables from the template, expired items swept every
//! minute.

mod proxy;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dynoxide::Database;
use dynoxide::actions::create_table::CreateTableRequest;
use dynoxide::actions::update_time_to_live::{TimeToLiveSpecification, UpdateTimeToLiveRequest};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::error::{Error, Result};
use crate::http;
use crate::permissions::Permissions;
use crate::permissions::dynamodb::Keys;
use crate::shutdown::stopped;
use crate::template::{Index, KeyAttribute, Table};
use proxy::AuthorizingProxy;

/// How often expired items are deleted. AWS may take two days, so readers must filter anyway.
const SWEEP_EVERY: Duration = Duration::from_mins(1);

/// The running DynamoDB server.
pub struct DynamoDb {
    /// Base URL, e.g. `http://127.0.0.1:8000`.
    pub endpoint: String,
    /// The proxy in front of the server; `None` if the server accepts every caller.
    proxy: Option<JoinHandle<()>>,
    database: Database,
    server: JoinHandle<()>,
    sweeper: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl DynamoDb {
    /// Like [`Self::start`], but allows only the callers and actions that the permissions list.
    pub async fn start_with(permissions: &Arc<Permissions>, file: &Path, tables: &[Table]) -> Result<Self> {
        let mut dynamodb = Self::start(file, tables).await?;
        let inside = dynamodb.endpoint.parse().map_err(|error| Error::store("dynamodb", error))?;
        let proxy = Arc::new(AuthorizingProxy::new(
            dynamodb.database.clone(),
            permissions,
            Keys::new(tables),
            inside,
        ));
        let (listener, address) = http::listen(0).await?;
        let handler = move |request| {
            let proxy = Arc::clone(&proxy);
            async move { proxy.handle(request).await }
        };
        dynamodb.proxy = Some(tokio::spawn(http::serve(listener, handler, dynamodb.stop.subscribe())));
        dynamodb.endpoint = format!("http://{address}");
        Ok(dynamodb)
    }

    /// Opens the file, creates missing tables and serves them on a free port to every caller,
    /// without authentication or authorization.
    pub async fn start(file: &Path, tables: &[Table]) -> Result<Self> {
        let path = file.to_str().ok_or_else(|| Error::Store(format!("{} is not UTF-8", file.display())))?;
        let database = Database::new(path).map_err(|error| Error::store(path, error))?;
        relax_durability(&database).map_err(|error| Error::store(path, error))?;
        for table in tables {
            create(&database, table)?;
        }
        let (listener, address) = http::listen(0).await?;
        let (stop, watched) = watch::channel(false);
        let mut until = watched.clone();
        let shared = database.clone();
        let server = tokio::spawn(async move {
            let shutdown = async move { stopped(&mut until).await };
            if let Err(error) = dynoxide::server::serve_with_shutdown(listener, shared, shutdown).await {
                eprintln!("dynamodb: {error}");
            }
        });
        let sweeper = tokio::spawn(sweep(database.clone(), watched));
        Ok(Self { endpoint: format!("http://{address}"), proxy: None, database, server, sweeper, stop })
    }

    /// Stops serving.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        if let Some(proxy) = self.proxy {
            let _ = proxy.await;
        }
        // A client with a busy connection must not delay the stop.
        let _ = tokio::time::timeout(Duration::from_secs(2), self.server).await;
        let _ = self.sweeper.await;
    }
}

/// Syncs the file at checkpoints instead of at each write.
///
/// An acknowledged write survives the end of this process; only a power failure can undo it. All
/// calls share one lock, so a slow sync would also delay reads until the functions' clients time
/// out.
fn relax_durability(database: &Database) -> dynoxide::Result<()> {
    // The settings after a bulk load are the usual ones, except that `synchronous` is NORMAL.
    database.disable_bulk_loading()
}

async fn sweep(database: Database, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(SWEEP_EVERY) => {}
            () = stopped(&mut stop) => return,
        }
        let database = database.clone();
        match tokio::task::spawn_blocking(move || database.sweep_ttl()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => eprintln!("dynamodb: expired items: {error}"),
            Err(error) => eprintln!("dynamodb: expired items: {error}"),
        }
    }
}

/// Creates a table unless it exists; fails if its shape differs from the template's.
fn create(database: &Database, table: &Table) -> Result<()> {
    let failed = |error: &dyn std::fmt::Display| Error::Store(format!("table {}: {error}", table.id));
    let expected = shape(&request(table));
    if let Some(metadata) = database.get_table_metadata(&table.id).map_err(|error| failed(&error))? {
        let described = describe(database, &metadata.table_name)?;
        if shape(&described) == expected {
            return Ok(());
        }
        let message = "its keys or indexes in template.yaml have changed; start once with --fresh";
        return Err(failed(&message));
    }
    let create: CreateTableRequest =
        serde_json::from_value(request(table)).map_err(|error| failed(&error))?;
    database.create_table(create).map_err(|error| failed(&error))?;
    if let Some(attribute) = &table.expiry_attribute {
        let specification = TimeToLiveSpecification { attribute_name: attribute.clone(), enabled: true };
        let request = UpdateTimeToLiveRequest {
            table_name: table.id.clone(),
            time_to_live_specification: specification,
        };
        database.update_time_to_live(request).map_err(|error| failed(&error))?;
    }
    Ok(())
}

fn describe(database: &Database, name: &str) -> Result<Value> {
    let failed = |error: &dyn std::fmt::Display| Error::Store(format!("table {name}: {error}"));
    let request = serde_json::from_value(json!({ "TableName": name })).map_err(|error| failed(&error))?;
    let described = database.describe_table(request).map_err(|error| failed(&error))?;
    let described = serde_json::to_value(described).map_err(|error| failed(&error))?;
    Ok(described.get("Table").cloned().unwrap_or_default())
}

/// The shape of a table: its keys with types, and its indexes with their projections.
fn shape(table: &Value) -> Value {
    let list = |name: &str| table.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let sorted = |mut items: Vec<String>| {
        items.sort();
        items
    };
    let schema = |owner: &Value| owner.get("KeySchema").cloned().unwrap_or_default().to_string();
    let projection = |index: &Value| {
        let projection = index.get("Projection").cloned().unwrap_or_default();
        let named = projection.get("NonKeyAttributes").and_then(Value::as_array).cloned().unwrap_or_default();
        format!("{} {:?}", projection["ProjectionType"], sorted(named.iter().map(Value::to_string).collect()))
    };
    let index = |index: &Value| format!("{} {} {}", index["IndexName"], schema(index), projection(index));
    let attribute = |it: &Value| format!("{} {}", it["AttributeName"], it["AttributeType"]);
    json!({
        "keys": schema(table),
        "attributes": sorted(list("AttributeDefinitions").iter().map(attribute).collect()),
        "indexes": sorted(list("GlobalSecondaryIndexes").iter().map(index).collect()),
    })
}

fn projection(index: &Index) -> Value {
    match &index.attributes {
        None => json!({ "ProjectionType": "ALL" }),
        Some(none) if none.is_empty() => json!({ "ProjectionType": "KEYS_ONLY" }),
        Some(attributes) => json!({ "ProjectionType": "INCLUDE", "NonKeyAttributes": attributes }),
    }
}

fn request(table: &Table) -> Value {
    let schema = |keys: &[KeyAttribute]| {
        let kinds = ["HASH", "RANGE"];
        keys.iter()
            .zip(kinds)
            .map(|(key, kind)| json!({ "AttributeName": key.name, "KeyType": kind }))
            .collect::<Vec<_>>()
    };
    let mut attributes: Vec<Value> = vec![];
    for key in table.keys.iter().chain(table.indexes.iter().flat_map(|index| &index.keys)) {
        let attribute = json!({ "AttributeName": key.name, "AttributeType": key.kind });
        if !attributes.contains(&attribute) {
            attributes.push(attribute);
        }
    }
    let index = |index: &Index| {
        json!({
            "IndexName": index.name,
            "KeySchema": schema(&index.keys),
            "Projection": projection(index),
        })
    };
    let mut request = json!({
        "TableName": table.id,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": attributes,
        "KeySchema": schema(&table.keys),
    });
    if !table.indexes.is_empty() {
        request["GlobalSecondaryIndexes"] = table.indexes.iter().map(index).collect();
    }
    request
}
