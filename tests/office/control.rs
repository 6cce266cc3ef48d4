//! DynamoDB in process, or the server that `TEST_AWS_ENDPOINT` names, with the tables of
//! template.yaml.

use std::{
    path::Path,
    sync::{Arc, LazyLock, Mutex},
};

use aws_sdk_dynamodb::{
    Client,
    config::{
        BehaviorVersion, ConfigBag, Credentials, Intercept, Region, RuntimeComponents,
        StalledStreamProtectionConfig,
        http::HttpRequest,
        interceptors::{
            AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
            BeforeTransmitInterceptorContextRef,
        },
    },
    error::BoxError,
    types::{
        AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
        ProjectionType, ScalarAttributeType,
    },
};
use officepro_local::{
    dynamodb::DynamoDb,
    template::{KeyAttribute, LocalResources, Table, Template},
};

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Executor, SqliteConnection};
use tokio::sync::OnceCell;

use super::{server::Server, timeouts};

pub(crate) fn template() -> &'static Template {
    static READ: LazyLock<Template> = LazyLock::new(|| {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml");
        let local = LocalResources {
            sqs_endpoint: "http://127.0.0.1:9".into(),
            parameters: std::collections::BTreeMap::default(),
        };
        Template::read(Path::new(path), &local).unwrap()
    });
    &READ
}

/// Returns the external server that stands in for DynamoDB and SQS, if there is one.
pub(crate) fn external() -> Option<String> {
    std::env::var("TEST_AWS_ENDPOINT").ok()
}

/// Returns the name of the template's table in this office; on a shared server, it is unique.
pub(crate) fn table_name(table: &str, office: &str) -> String {
    if external().is_some() { format!("{table}-{office}") } else { table.to_owned() }
}

/// Records the requested DynamoDB operations in order, and their cost. Keeps the server running.
#[derive(Clone, Debug)]
pub(crate) struct StoreCalls {
    operations: Arc<Mutex<Vec<String>>>,
    /// Capacity units, if they are counted.
    units: Arc<Mutex<Option<Units>>>,
    _server: Option<Arc<Server>>,
}

/// Capacity units, including those of indexes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Units {
    pub(crate) read: f64,
    pub(crate) written: f64,
}

impl StoreCalls {
    /// Returns the operations since the last call, e.g. `GetItem`.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.operations.lock().unwrap())
    }

    /// Makes the store report the cost of each call from now on.
    pub(crate) fn meter(&self) {
        *self.units.lock().unwrap() = Some(Units::default());
    }

    /// Returns the units since then.
    pub(crate) fn units(&self) -> Units {
        self.units.lock().unwrap().take().unwrap()
    }

    /// Returns the write units since then.
    pub(crate) fn written(&self) -> f64 {
        self.units().written
    }
}

const WRITES: [&str; 4] = ["PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"];
const READS: [&str; 4] = ["GetItem", "BatchGetItem", "Query", "Scan"];

fn operation(request: &HttpRequest) -> &str {
    let target = request.headers().get("x-amz-target").unwrap_or_default();
    target.rsplit_once('.').map_or(target, |(_, operation)| operation)
}

impl Intercept for StoreCalls {
    fn name(&self) -> &'static str {
        "StoreCalls"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.operations.lock().unwrap().push(operation(context.request()).to_owned());
        Ok(())
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let operation = operation(context.request());
        let (writes, reads) = (WRITES.contains(&operation), READS.contains(&operation));
        if self.units.lock().unwrap().is_some() && (writes || reads) {
            let mut body: Value = serde_json::from_slice(context.request().body().bytes().unwrap())?;
            // Only the responses to writes name the shares of the table and of its indexes.
            body["ReturnConsumedCapacity"] = if writes { "INDEXES" } else { "TOTAL" }.into();
            let body = body.to_string();
            let request = context.request_mut();
            request.headers_mut().insert("content-length", body.len().to_string());
            *request.body_mut() = body.into();
        }
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let mut counted = self.units.lock().unwrap();
        let Some(units) = counted.as_mut() else { return Ok(()) };
        let answer: Value = serde_json::from_slice(context.response().body().bytes().unwrap_or_default())?;
        let consumed = &answer["ConsumedCapacity"];
        let each = consumed.as_array().map_or(std::slice::from_ref(consumed), Vec::as_slice);
        for one in each {
            let sum = if one["Table"].is_null() { &mut units.read } else { &mut units.written };
            *sum += one["CapacityUnits"].as_f64().unwrap_or_default();
        }
        Ok(())
    }
}

/// Returns a client, its recorded requests, and the server's address.
pub(crate) async fn start(file: &Path, office: &str) -> (Client, StoreCalls, String) {
    let own = external();
    let server = if own.is_some() { None } else { Some(Arc::new(in_process(file).await)) };
    let endpoint = own.clone().or_else(|| Some(server.as_ref()?.endpoint.clone())).unwrap();
    let calls = StoreCalls { operations: Arc::default(), units: Arc::default(), _server: server };
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(&endpoint)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "tests"))
        .timeout_config(timeouts::of_stores())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .interceptor(calls.clone())
        .build();
    let client = Client::from_conf(config);
    if own.is_some() {
        for table in &template().tables {
            create(&client, table, office).await;
        }
    }
    (client, calls, endpoint)
}

/// Returns the template's tables without expiry: the sweep uses the machine's clock, by which
/// everything written at the office's time has long expired.
fn tables() -> Vec<Table> {
    let lasting = |table: &Table| Table { expiry_attribute: None, ..table.clone() };
    template().tables.iter().map(lasting).collect()
}

/// Returns the file of a server with empty tables, created once per process.
async fn empty_file() -> &'static [u8] {
    static MADE: OnceCell<Vec<u8>> = OnceCell::const_new();
    let make = async || {
        let folder = tempfile::tempdir().unwrap();
        let (file, whole) = (folder.path().join("dynamodb.sqlite"), folder.path().join("whole.sqlite"));
        DynamoDb::start(&file, &tables()).await.unwrap().stop().await;
        let address = format!("sqlite://{}", file.display());
        let mut connection = SqliteConnection::connect(&address).await.unwrap();
        let copy = format!("vacuum into '{}'", whole.display());
        connection.execute(AssertSqlSafe(copy)).await.unwrap();
        std::fs::read(whole).unwrap()
    };
    MADE.get_or_init(make).await
}

async fn in_process(file: &Path) -> Server {
    std::fs::write(file, empty_file().await).unwrap();
    let file = file.to_owned();
    Server::start(async move || {
        let server = DynamoDb::start(&file, &tables()).await.unwrap();
        (server.endpoint.clone(), server)
    })
    .await
}

async fn create(client: &Client, table: &Table, office: &str) {
    let keys = |keys: &[KeyAttribute]| -> Vec<KeySchemaElement> {
        let kinds = [KeyType::Hash, KeyType::Range];
        let element = |(key, kind): (&KeyAttribute, KeyType)| {
            KeySchemaElement::builder().attribute_name(&key.name).key_type(kind).build().unwrap()
        };
        keys.iter().zip(kinds).map(element).collect()
    };
    let mut attributes: Vec<&KeyAttribute> = Vec::new();
    for key in table.keys.iter().chain(table.indexes.iter().flat_map(|index| &index.keys)) {
        if !attributes.contains(&key) {
            attributes.push(key);
        }
    }
    let attribute = |key: &&KeyAttribute| {
        let kind = ScalarAttributeType::from(key.kind.as_str());
        AttributeDefinition::builder().attribute_name(&key.name).attribute_type(kind).build().unwrap()
    };
    let projection = |attributes: &Option<Vec<String>>| match attributes {
        None => Projection::builder().projection_type(ProjectionType::All).build(),
        Some(named) => Projection::builder()
            .projection_type(ProjectionType::Include)
            .set_non_key_attributes(Some(named.clone()))
            .build(),
    };
    let indexes: Vec<GlobalSecondaryIndex> = table
        .indexes
        .iter()
        .map(|index| {
            let schema = Some(keys(&index.keys));
            let built = GlobalSecondaryIndex::builder().index_name(&index.name).set_key_schema(schema);
            built.projection(projection(&index.attributes)).build().unwrap()
        })
        .collect();
    let request = client
        .create_table()
        .table_name(table_name(&table.id, office))
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(Some(attributes.iter().map(attribute).collect()))
        .set_key_schema(Some(keys(&table.keys)))
        .set_global_secondary_indexes((!indexes.is_empty()).then_some(indexes));
    request.send().await.unwrap();
}
