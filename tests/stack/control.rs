//! The control plane of a running stack, read directly instead of through the product's code.

use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
};

use crate::running::Stack;

pub(crate) struct Control(Client);

/// A stored delivery.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) event_id: String,
    pub(crate) status: String,
    /// The number of attempts whose process was killed before their outcome was recorded.
    pub(crate) interrupted: usize,
}

impl Delivery {
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.status.as_str(), "pending" | "retrying")
    }
}

impl Control {
    pub(crate) fn of(stack: &Stack) -> Self {
        let file = std::fs::read(stack.folder.join("data/stack.json")).unwrap();
        let addresses: serde_json::Value = serde_json::from_slice(&file).unwrap();
        let key = addresses["accessKey"].as_str().unwrap();
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(addresses["dynamodbUrl"].as_str().unwrap())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new(key, "local", None, None, "tests"))
            .build();
        Self(Client::from_conf(config))
    }

    /// Returns all deliveries.
    pub(crate) async fn deliveries(&self) -> Vec<Delivery> {
        let mut found = Vec::new();
        let mut start = None;
        loop {
            let page = self
                .0
                .scan()
                .table_name("DeliveriesTable")
                .projection_expression("payload.eventId, #status, #history")
                .expression_attribute_names("#status", "status")
                .expression_attribute_names("#history", "history")
                .set_exclusive_start_key(start)
                .send()
                .await
                .unwrap();
            for item in page.items.unwrap_or_default() {
                let payload = item["payload"].as_m().unwrap();
                let attempts = item["history"].as_l().unwrap().iter().map(|it| it.as_m().unwrap());
                found.push(Delivery {
                    event_id: payload["eventId"].as_s().unwrap().clone(),
                    status: item["status"].as_s().unwrap().clone(),
                    interrupted: attempts.filter(|it| it["durationMs"].is_null()).count(),
                });
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return found;
            }
        }
    }
}
