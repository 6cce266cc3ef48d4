//! Derives the actions and resources of a DynamoDB request, with the values that conditions check.
//!
//! See "Using IAM policy conditions for fine-grained access control" and "Using IAM with DynamoDB
//! transactions" in AWS's documentation.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{Call, expression};
use crate::template::{ACCOUNT, REGION, Table};

/// The key names of all tables and indexes.
#[derive(Debug)]
pub(crate) struct Keys(HashMap<String, TableKeys>);

#[derive(Debug)]
struct TableKeys {
    /// The table's own keys, partition key first.
    own: Vec<String>,
    /// Partition keys by index.
    indexes: HashMap<String, String>,
}

impl Keys {
    pub(crate) fn new(tables: &[Table]) -> Self {
        let keys = |table: &Table| {
            let own = table.keys.iter().map(|key| key.name.clone()).collect();
            let first =
                |index: &crate::template::Index| Some((index.name.clone(), index.keys.first()?.name.clone()));
            (table.id.clone(), TableKeys { own, indexes: table.indexes.iter().filter_map(first).collect() })
        };
        Self(tables.iter().map(keys).collect())
    }

    /// Returns the calls that a request consists of.
    ///
    /// A transaction consists of its parts, each with its own key. A batch is one call per table,
    /// with the batch's own action and the keys of all items.
    pub(crate) fn calls(&self, operation: &str, body: &Value) -> Vec<Call> {
        match operation {
            "TransactWriteItems" | "TransactGetItems" => {
                let parts = body["TransactItems"].as_array().into_iter().flatten();
                let parts = parts.filter_map(Value::as_object).flatten();
                parts.map(|(kind, part)| self.of_item(action_of(kind), part)).collect()
            }
            "BatchGetItem" | "BatchWriteItem" => {
                let tables = body["RequestItems"].as_object().into_iter().flatten();
                tables.map(|(table, asked)| self.batch(operation, table, asked)).collect()
            }
            "Query" => vec![self.query(body)],
            "Scan" => vec![of_index("Scan", body)],
            "GetItem" | "PutItem" | "UpdateItem" | "DeleteItem" => vec![self.of_item(operation, body)],
            other => vec![match body["TableName"].as_str() {
                Some(table) => Call::of(format!("dynamodb:{other}"), table_arn(table)),
                None => Call::of(format!("dynamodb:{other}"), "*".to_owned()),
            }],
        }
    }

    fn of_item(&self, operation: &str, body: &Value) -> Call {
        let table = body["TableName"].as_str().unwrap_or_default();
        let own = self.own(table);
        let mut call = Call::of(format!("dynamodb:{operation}"), table_arn(table));
        call.leading_keys = vec![leading(own, body)];
        let mut attributes: Vec<String> = own.to_vec();
        attributes.extend(body["Item"].as_object().into_iter().flat_map(Map::keys).cloned());
        for place in ["UpdateExpression", "ConditionExpression", "ProjectionExpression"] {
            attributes.extend(expression::attributes(body, place));
        }
        attributes.sort();
        attributes.dedup();
        call.attributes = attributes;
        call
    }

    fn batch(&self, operation: &str, table: &str, asked: &Value) -> Call {
        let own = self.own(table);
        let mut call = Call::of(format!("dynamodb:{operation}"), table_arn(table));
        let reads = asked["Keys"].as_array().into_iter().flatten();
        call.leading_keys.extend(reads.map(|key| key_text(own, key)));
        let writes = asked.as_array().into_iter().flatten().filter_map(Value::as_object).flatten();
        call.leading_keys.extend(writes.map(|(_, write)| leading(own, write)));
        call
    }

    fn query(&self, body: &Value) -> Call {
        let table = name_of(body["TableName"].as_str().unwrap_or_default());
        let keys = self.0.get(table);
        let partition = match body["IndexName"].as_str() {
            Some(index) => keys.and_then(|keys| keys.indexes.get(index)),
            None => keys.and_then(|keys| keys.own.first()),
        };
        let mut call = of_index("Query", body);
        let value = partition.and_then(|partition| expression::equal_to(body, partition));
        call.leading_keys = vec![value.and_then(value_text).unwrap_or_default()];
        call
    }

    fn own(&self, table: &str) -> &[String] {
        self.0.get(name_of(table)).map_or(&[], |keys| &keys.own)
    }
}

fn action_of(kind: &str) -> &'static str {
    match kind {
        "Get" => "GetItem",
        "Put" => "PutItem",
        "Update" => "UpdateItem",
        "Delete" => "DeleteItem",
        _ => "ConditionCheckItem",
    }
}

fn of_index(operation: &str, body: &Value) -> Call {
    let table = table_arn(body["TableName"].as_str().unwrap_or_default());
    let resource = match body["IndexName"].as_str() {
        Some(index) => format!("{table}/index/{index}"),
        None => table,
    };
    Call::of(format!("dynamodb:{operation}"), resource)
}

/// Returns a table's name, which requests may give as an ARN.
fn name_of(table: &str) -> &str {
    table.rsplit('/').next().unwrap_or(table)
}

fn table_arn(table: &str) -> String {
    format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{}", name_of(table))
}

/// Returns the partition key's value in the request's key or item.
fn leading(own: &[String], body: &Value) -> String {
    key_text(own, body.get("Key").unwrap_or(&body["Item"]))
}

/// Returns the partition key's value as text. A key without it, which DynamoDB rejects, yields an
/// empty text that only `*` matches.
fn key_text(own: &[String], item: &Value) -> String {
    own.first().and_then(|name| value_text(&item[name])).unwrap_or_default()
}

/// Returns the text of `{"S":"…"}`, `{"N":"…"}` or `{"B":"…"}`.
fn value_text(value: &Value) -> Option<String> {
    value.as_object()?.values().next()?.as_str().map(str::to_owned)
}
