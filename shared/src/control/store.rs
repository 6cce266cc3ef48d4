//! Reads and writes DynamoDB items. Each entity's module defines their contents.

use std::{collections::HashMap, sync::OnceLock};

use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, KeysAndAttributes, Put, TransactWriteItem, builders::PutBuilder},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{Error, Result, aws, id_blocks::Ids, pending_outcomes::PendingOutcomes};

pub(super) const SERVICE: &str = "DynamoDB";

/// DynamoDB's limit of keys per batch read.
const AT_ONCE: usize = 100;

pub type Item = HashMap<String, AttributeValue>;

/// The tables, by purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Long-lived state. Key `pk`, `sk`; indexes `gsi1`, `gsi2`, `heldBack`.
    ///
    /// Partners, API keys, access requests, practices, subscriptions, dispatch states, runs of the
    /// log poller, data problems, id counters, the audit log.
    Control,
    /// Webhook deliveries. Key `pk`; indexes `byPractice`, `feed`, `due`.
    Deliveries,
    /// Call records, usage counters, copies of audit records. Key `pk`, `sk`.
    Activity,
    /// Short-lived items: idempotency records, rate windows, portal sessions. Key `pk`.
    Ephemeral,
}

impl Table {
    pub const ALL: [Self; 4] = [Self::Control, Self::Deliveries, Self::Activity, Self::Ephemeral];

    /// Returns the logical id in the template.
    pub const fn logical_id(self) -> &'static str {
        match self {
            Self::Control => "ControlTable",
            Self::Deliveries => "DeliveriesTable",
            Self::Activity => "ActivityTable",
            Self::Ephemeral => "EphemeralTable",
        }
    }
}

/// The names of the tables that the function uses, and the number of delivery shards.
#[derive(Clone, Debug, Default)]
pub struct TableNames {
    /// From `CONTROL_TABLE`.
    pub control: Option<String>,
    /// From `DELIVERIES_TABLE`.
    pub deliveries: Option<String>,
    /// From `ACTIVITY_TABLE`.
    pub activity: Option<String>,
    /// From `EPHEMERAL_TABLE`.
    pub ephemeral: Option<String>,
    /// From `DELIVERY_SHARDS`, default 4, a power of two: partitions of the list of deliveries.
    pub delivery_shards: Option<i64>,
}

/// The control plane. The client is built on first use.
#[derive(Debug, Default)]
pub struct Store {
    client: OnceLock<Client>,
    names: TableNames,
    pub(super) ids: Ids,
    pub(super) outcomes: PendingOutcomes,
}

impl Store {
    pub fn new(names: TableNames) -> Self {
        Self { names, ..Self::default() }
    }

    /// Creates a store with a given client, for tests and the local stack.
    pub fn with_client(client: Client, names: TableNames) -> Self {
        Self { client: client.into(), names, ids: Ids::default(), outcomes: PendingOutcomes::default() }
    }

    /// Returns the number of partitions of the lists of all and of due deliveries.
    pub fn delivery_shards(&self) -> i64 {
        self.names.delivery_shards.unwrap_or(4).max(1)
    }

    pub(super) fn table_names(&self) -> &TableNames {
        &self.names
    }

    pub(super) fn client(&self) -> &Client {
        self.client.get_or_init(|| {
            Client::from_conf(aws::config!(aws_sdk_dynamodb::Config::builder(), "AWS_ENDPOINT_URL_DYNAMODB"))
        })
    }

    pub(super) fn name(&self, table: Table) -> Result<&str> {
        let (name, variable) = match table {
            Table::Control => (&self.names.control, "CONTROL_TABLE"),
            Table::Deliveries => (&self.names.deliveries, "DELIVERIES_TABLE"),
            Table::Activity => (&self.names.activity, "ACTIVITY_TABLE"),
            Table::Ephemeral => (&self.names.ephemeral, "EPHEMERAL_TABLE"),
        };
        name.as_deref().ok_or(Error::NotConfigured(variable))
    }

    /// Returns the item with this key; `consistent` selects a strongly consistent read.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        table: Table,
        key: Item,
        consistent: bool,
    ) -> Result<Option<T>> {
        let output = self
            .client()
            .get_item()
            .table_name(self.name(table)?)
            .set_key(Some(key))
            .consistent_read(consistent)
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error))?;
        output.item.map(from_item).transpose()
    }

    /// Returns the existing items with these keys, in any order.
    ///
    /// Recent writes may appear a moment later.
    pub(super) async fn get_all<T: DeserializeOwned>(&self, table: Table, keys: Vec<Item>) -> Result<Vec<T>> {
        let name = self.name(table)?;
        let batches = keys.chunks(AT_ONCE).map(async |keys| {
            let mut items: Vec<Item> = Vec::new();
            let mut left = keys.to_vec();
            while !left.is_empty() {
                let asked = KeysAndAttributes::builder().set_keys(Some(left)).build();
                let asked = asked.map_err(|error| Error::Malformed(error.to_string()))?;
                let read = self.client().batch_get_item().request_items(name, asked).send().await;
                let read = read.map_err(|error| Error::from_sdk(SERVICE, &error))?;
                items.extend(read.responses.into_iter().flatten().flat_map(|(_, items)| items));
                left =
                    read.unprocessed_keys.into_iter().flatten().flat_map(|(_, asked)| asked.keys).collect();
            }
            Ok::<_, Error>(items)
        });
        let items = futures::future::try_join_all(batches).await?;
        items.into_iter().flatten().map(from_item).collect()
    }

    /// Writes an item that must not exist yet.
    ///
    /// # Errors
    /// [`Error::ConditionFailed`] if it exists.
    pub(super) async fn put_new(&self, table: Table, item: Item) -> Result<()> {
        self.client()
            .put_item()
            .table_name(self.name(table)?)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error))?;
        Ok(())
    }

    /// Writes an item, whether or not it exists.
    pub(super) async fn put(&self, table: Table, item: Item) -> Result<()> {
        self.client()
            .put_item()
            .table_name(self.name(table)?)
            .set_item(Some(item))
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error))?;
        Ok(())
    }

    /// Builds the write of an item that must not exist yet, for a transaction.
    pub(super) fn new_item_write(&self, table: Table, item: Item) -> Result<TransactWriteItem> {
        self.put_write(table, Put::builder().condition_expression("attribute_not_exists(pk)"), item)
    }

    /// Builds the write of a new item (version 1) or of one over its previous version.
    pub(super) fn next_version_write(
        &self,
        table: Table,
        item: Item,
        version: i64,
    ) -> Result<TransactWriteItem> {
        if version == 1 {
            return self.new_item_write(table, item);
        }
        let before = AttributeValue::N((version - 1).to_string());
        let put = Put::builder()
            .condition_expression("version = :before")
            .expression_attribute_values(":before", before);
        self.put_write(table, put, item)
    }

    fn put_write(&self, table: Table, put: PutBuilder, item: Item) -> Result<TransactWriteItem> {
        let put = put.table_name(self.name(table)?).set_item(Some(item)).build();
        let put = put.map_err(|error| Error::Malformed(error.to_string()))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// Performs all of the writes or none.
    ///
    /// # Errors
    /// [`Error::ConditionFailed`] if the condition of one of them fails.
    pub async fn transact(&self, writes: Vec<TransactWriteItem>) -> Result<()> {
        let request = self.client().transact_write_items().set_transact_items(Some(writes));
        request.send().await.map_err(|error| Error::from_sdk(SERVICE, &error))?;
        Ok(())
    }
}

/// Builds the item of an entity, with its keys for the table and its indexes.
pub(super) fn to_item(entity: &impl Serialize, place: &[(&str, String)]) -> Result<Item> {
    let mut item: Item =
        serde_dynamo::to_item(entity).map_err(|error| Error::Malformed(error.to_string()))?;
    item.extend(place.iter().map(|(name, value)| ((*name).to_owned(), AttributeValue::S(value.clone()))));
    Ok(item)
}

pub(super) fn from_item<T: DeserializeOwned>(item: Item) -> Result<T> {
    serde_dynamo::from_item(item).map_err(|error| Error::Malformed(error.to_string()))
}

pub(super) fn from_items<T: DeserializeOwned>(items: Option<Vec<Item>>) -> Result<Vec<T>> {
    items.unwrap_or_default().into_iter().map(from_item).collect()
}

/// Builds the key `{pk, sk}`.
pub(super) fn key(pk: impl Into<String>, sk: impl Into<String>) -> Item {
    HashMap::from([
        ("pk".to_owned(), AttributeValue::S(pk.into())),
        ("sk".to_owned(), AttributeValue::S(sk.into())),
    ])
}

/// Builds the key `{pk}`.
pub(super) fn pk(pk: impl Into<String>) -> Item {
    HashMap::from([("pk".to_owned(), AttributeValue::S(pk.into()))])
}
