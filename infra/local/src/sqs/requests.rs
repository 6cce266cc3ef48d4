//! The bodies of SQS requests, in AWS JSON 1.0.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::Fault;
use super::service::Send;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OfQueue {
    pub(super) queue_url: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetQueueUrl {
    pub(super) queue_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListQueues {
    pub(super) queue_name_prefix: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetQueueAttributes {
    #[serde(default)]
    pub(super) attribute_names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SendEntry {
    pub(super) id: Option<String>,
    message_body: Option<String>,
    delay_seconds: Option<u64>,
    #[serde(default)]
    message_attributes: Map<String, Value>,
    message_group_id: Option<String>,
}

impl SendEntry {
    pub(super) fn into_send(self) -> Send {
        Send {
            body: self.message_body.unwrap_or_default(),
            delay: self.delay_seconds.map(Duration::from_secs),
            attributes: self.message_attributes,
            group_id: self.message_group_id,
        }
    }
}

/// An entry of a batch that names a message by its receipt.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReceiptEntry {
    pub(super) id: Option<String>,
    pub(super) receipt_handle: Option<String>,
    pub(super) visibility_timeout: Option<u64>,
}

impl ReceiptEntry {
    pub(super) fn receipt(&self) -> Result<&str, Fault> {
        self.receipt_handle.as_deref().ok_or_else(|| Fault::MissingParameter("ReceiptHandle".to_owned()))
    }

    pub(super) fn visibility(&self) -> Result<Duration, Fault> {
        let seconds = self.visibility_timeout;
        seconds
            .map(Duration::from_secs)
            .ok_or_else(|| Fault::MissingParameter("VisibilityTimeout".to_owned()))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Batch<Entry> {
    #[serde(default = "Vec::new")]
    entries: Vec<Entry>,
}

impl<Entry> Batch<Entry> {
    /// The entries with their ids, by SQS's rules for batches.
    pub(super) fn checked(self, id: impl Fn(&Entry) -> Option<&str>) -> Result<Vec<(String, Entry)>, Fault> {
        if self.entries.is_empty() {
            return Err(Fault::EmptyBatch);
        }
        if self.entries.len() > 10 {
            return Err(Fault::TooManyEntries);
        }
        let mut checked: Vec<(String, Entry)> = Vec::with_capacity(self.entries.len());
        for entry in self.entries {
            let id = id(&entry).ok_or_else(|| Fault::MissingParameter("Id".to_owned()))?.to_owned();
            let is_valid = (1..=80).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
            if !is_valid {
                return Err(Fault::InvalidEntryId);
            }
            if checked.iter().any(|(other, _)| *other == id) {
                return Err(Fault::IdsNotDistinct);
            }
            checked.push((id, entry));
        }
        Ok(checked)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReceiveMessage {
    pub(super) max_number_of_messages: Option<usize>,
    pub(super) visibility_timeout: Option<u64>,
    pub(super) wait_time_seconds: Option<u64>,
    /// The older name of `message_system_attribute_names`.
    #[serde(default)]
    pub(super) attribute_names: Vec<String>,
    #[serde(default)]
    pub(super) message_system_attribute_names: Vec<String>,
    #[serde(default)]
    pub(super) message_attribute_names: Vec<String>,
}

impl ReceiveMessage {
    pub(super) fn wants_system(&self, name: &str) -> bool {
        let mut names = self.attribute_names.iter().chain(&self.message_system_attribute_names);
        names.any(|wanted| wanted == "All" || wanted == name)
    }

    pub(super) fn wants(&self, name: &str) -> bool {
        self.message_attribute_names.iter().any(|wanted| match wanted.strip_suffix(".*") {
            Some(prefix) => name.starts_with(prefix),
            None => wanted == "All" || wanted == name,
        })
    }
}
