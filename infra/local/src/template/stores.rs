//! Reads tables, queues and secrets.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{Result, text, whole_number};
use crate::error::TemplateError;

/// A DynamoDB table; its local name is its logical id.
#[derive(Debug, Clone)]
pub struct Table {
    pub id: String,
    /// Partition key first, then the sort key if there is one.
    pub keys: Vec<KeyAttribute>,
    pub indexes: Vec<Index>,
    /// Attribute with the expiry in epoch seconds.
    pub expiry_attribute: Option<String>,
}

/// A global secondary index.
#[derive(Debug, Clone)]
pub struct Index {
    pub name: String,
    pub keys: Vec<KeyAttribute>,
    /// What it holds besides keys; `None`: all attributes.
    pub attributes: Option<Vec<String>>,
}

/// A key attribute and its type: `S`, `N` or `B`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyAttribute {
    pub name: String,
    pub kind: String,
}

/// An SQS standard queue; its local name is its logical id.
#[derive(Debug, Clone)]
pub struct Queue {
    pub id: String,
    pub visibility_timeout: Duration,
    pub delay: Duration,
    /// How long a receive waits by default.
    pub receive_wait: Duration,
    pub retention: Duration,
    pub redrive: Option<Redrive>,
}

/// Where messages go after too many receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redrive {
    /// Logical id of the dead-letter queue.
    pub queue: String,
    pub maximum_receives: u32,
}

/// A Secrets Manager secret, whose local name is its logical id, and how to generate its first
/// value.
#[derive(Debug, Clone)]
pub struct Secret {
    pub id: String,
    pub value: SecretValue,
}

/// How to generate a secret's first value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretValue {
    /// A random text of `length` letters and digits.
    Random { length: usize },
    /// A JSON object with a random text of `length` letters and digits under `key`.
    RandomKey { object: Map<String, Value>, key: String, length: usize },
}

pub(super) fn table(id: &str, properties: &Map<String, Value>) -> Result<Table> {
    let kind_of = |name: &str| {
        let definitions = properties.get("AttributeDefinitions").and_then(Value::as_array);
        let definition = definitions
            .into_iter()
            .flatten()
            .find(|one| one.get("AttributeName").is_some_and(|it| it == name));
        let kind = definition.and_then(|one| one.get("AttributeType")).and_then(Value::as_str);
        kind.map(str::to_owned).ok_or_else(|| TemplateError(format!("{id}: {name} has no AttributeType")))
    };
    let keys_of = |owner: &Map<String, Value>| -> Result<Vec<KeyAttribute>> {
        let schema = owner.get("KeySchema").and_then(Value::as_array);
        let mut schema: Vec<_> = schema.into_iter().flatten().filter_map(Value::as_object).collect();
        schema.sort_by_key(|key| key.get("KeyType").is_some_and(|kind| kind == "RANGE"));
        let key = |key: &Map<String, Value>| {
            let name = text(key, "AttributeName")?;
            Ok(KeyAttribute { name: name.to_owned(), kind: kind_of(name)? })
        };
        schema.into_iter().map(key).collect()
    };
    if properties.contains_key("LocalSecondaryIndexes") {
        return Err(TemplateError(format!("{id}: the local stack does not support local secondary indexes")));
    }
    let empty = Map::new();
    let mut indexes = vec![];
    for index in properties.get("GlobalSecondaryIndexes").and_then(Value::as_array).into_iter().flatten() {
        let index =
            index.as_object().ok_or_else(|| TemplateError(format!("{id}: an index is not a mapping")))?;
        let projection = index.get("Projection").and_then(Value::as_object).unwrap_or(&empty);
        let attributes = match projection.get("ProjectionType").and_then(Value::as_str) {
            Some("ALL") => None,
            Some("KEYS_ONLY") => Some(vec![]),
            Some("INCLUDE") => {
                let named =
                    projection.get("NonKeyAttributes").and_then(Value::as_array).into_iter().flatten();
                Some(named.filter_map(Value::as_str).map(str::to_owned).collect())
            }
            _ => {
                return Err(TemplateError(format!(
                    "{id}: an index's ProjectionType must be ALL, KEYS_ONLY or INCLUDE"
                )));
            }
        };
        indexes.push(Index { name: text(index, "IndexName")?.to_owned(), keys: keys_of(index)?, attributes });
    }
    let expiry = properties.get("TimeToLiveSpecification").and_then(Value::as_object);
    let expiry = expiry.filter(|it| it.get("Enabled").is_some_and(|enabled| enabled == true));
    Ok(Table {
        id: id.to_owned(),
        keys: keys_of(properties)?,
        indexes,
        expiry_attribute: expiry.map(|it| text(it, "AttributeName").map(str::to_owned)).transpose()?,
    })
}

pub(super) fn queue(id: &str, properties: &Map<String, Value>) -> Result<Queue> {
    if properties.get("FifoQueue").is_some_and(|fifo| fifo == true) {
        return Err(TemplateError(format!("{id}: the local stack supports standard queues only")));
    }
    let seconds = |name, default| {
        let number = whole_number(properties, name)?.unwrap_or(default);
        Ok::<_, TemplateError>(Duration::from_secs(number.into()))
    };
    let redrive = match properties.get("RedrivePolicy").and_then(Value::as_object) {
        None => None,
        Some(policy) => {
            let arn = text(policy, "deadLetterTargetArn")?;
            let receives = whole_number(policy, "maxReceiveCount")?;
            Some(Redrive {
                queue: arn.rsplit(':').next().unwrap_or(arn).to_owned(),
                maximum_receives: receives
                    .ok_or_else(|| TemplateError(format!("{id}: RedrivePolicy lacks maxReceiveCount")))?,
            })
        }
    };
    Ok(Queue {
        id: id.to_owned(),
        visibility_timeout: seconds("VisibilityTimeout", 30)?,
        delay: seconds("DelaySeconds", 0)?,
        receive_wait: seconds("ReceiveMessageWaitTimeSeconds", 0)?,
        retention: seconds("MessageRetentionPeriod", 345_600)?,
        redrive,
    })
}

pub(super) fn secret(id: &str, properties: &Map<String, Value>) -> Result<Secret> {
    if properties.contains_key("SecretString") {
        return Err(TemplateError(format!("{id}: a secret must not be in a template")));
    }
    let empty = Map::new();
    let generate = properties.get("GenerateSecretString").and_then(Value::as_object).unwrap_or(&empty);
    // AWS's default length is 32. A local secret is never shorter than the template requires.
    let length = usize::try_from(whole_number(generate, "PasswordLength")?.unwrap_or(32)).unwrap_or(32);
    let value = match generate.get("GenerateStringKey").and_then(Value::as_str) {
        None => SecretValue::Random { length },
        Some(key) => {
            let frame = text(generate, "SecretStringTemplate")?;
            let object = serde_json::from_str(frame)
                .map_err(|error| TemplateError(format!("{id}: SecretStringTemplate: {error}")))?;
            SecretValue::RandomKey { object, key: key.to_owned(), length }
        }
    };
    Ok(Secret { id: id.to_owned(), value })
}
