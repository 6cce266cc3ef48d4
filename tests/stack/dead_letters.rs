//! Events stopped by a fault of our own: operators see them, redrive them once it is fixed, and
//! each is delivered once.

use aws_sdk_sqs::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    types::QueueAttributeName::{
        ApproximateNumberOfMessages, ApproximateNumberOfMessagesDelayed,
        ApproximateNumberOfMessagesNotVisible,
    },
};
use serde_json::{Value, json};

use crate::{
    control::Control,
    partner::Endpoint,
    running::Stack,
    store_gate::{Fault, StoreGate},
    wait::until_true,
};

/// Only the record of a new delivery has a payload.
const NEW_DELIVERIES: Fault = Fault::Of("\"payload\"");

/// The queues of a stack, read directly instead of through the product's code.
struct Queues {
    client: Client,
    base: String,
}

impl Queues {
    fn of(stack: &Stack) -> Self {
        let file = std::fs::read(stack.folder.join("data/stack.json")).unwrap();
        let addresses: Value = serde_json::from_slice(&file).unwrap();
        let text = |name: &str| addresses[name].as_str().unwrap().to_owned();
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(text("sqsUrl"))
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new(text("accessKey"), "local", None, None, "tests"))
            .build();
        Self { client: Client::from_conf(config), base: text("sqsUrl") }
    }

    fn url(&self, queue: &str) -> String {
        format!("{}/000000000000/{queue}", self.base)
    }

    /// Returns the bodies of the dead letters; they can be received again immediately.
    async fn read_dead_letters(&self) -> Vec<String> {
        let request = self.client.receive_message().queue_url(self.url("EventsDeadLetterQueue"));
        let received = request.max_number_of_messages(10).visibility_timeout(0).send().await.unwrap();
        received.messages.unwrap_or_default().into_iter().map(|it| it.body.unwrap()).collect()
    }

    async fn send(&self, event: &str) {
        let request = self.client.send_message().queue_url(self.url("EventsQueue"));
        request.message_body(event).message_group_id("tests").send().await.unwrap();
    }

    /// Whether no event is waiting, in flight or delayed.
    async fn are_empty(&self) -> bool {
        let states = [
            ApproximateNumberOfMessages,
            ApproximateNumberOfMessagesDelayed,
            ApproximateNumberOfMessagesNotVisible,
        ];
        for queue in ["EventsQueue", "SlowEventsQueue"] {
            let request = self.client.get_queue_attributes().queue_url(self.url(queue));
            let found = request.set_attribute_names(Some(states.to_vec())).send().await.unwrap();
            if found.attributes.unwrap().values().any(|count| count != "0") {
                return false;
            }
        }
        true
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redriven_dead_letters_are_sent_unless_delivered_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let mut gate = StoreGate::open(folder.path().join("data/stack.json")).await;
    let store = format!("AWS_ENDPOINT_URL_DYNAMODB={}", gate.url());
    let stack = Stack::start(folder.path(), &["--every", "1", "--set", &store]).await;
    let (endpoint, queues, token) = (Endpoint::open().await, Queues::of(&stack), stack.token().await);
    let hook = json!({ "hookUrl": endpoint.url, "scopes": ["Patients"] });
    stack.expect(&token, "POST", "/v1/webhooks/signup", Some(&hook), 201).await;
    let dead_letters = async || stack.monitor().await["queue"]["deadLetters"].clone();

    gate.set(NEW_DELIVERIES).await;
    stack.emit("Patients", 2).await;
    until_true("two dead letters", async || dead_letters().await == 2).await;
    assert!(endpoint.arrivals().is_empty(), "nothing is sent without a record");
    let letters = queues.read_dead_letters().await;
    assert_eq!(letters.len(), 2);

    gate.set(Fault::None).await;
    // A duplicate message of one of them.
    queues.send(&letters[0]).await;
    let meanwhile = endpoint.receives(1, |_| true).await[0].header("x-officepro-event-id").to_owned();
    let control = Control::of(&stack);
    until_true("its outcome", async || {
        let deliveries = control.deliveries().await;
        deliveries.iter().any(|it| it.event_id == meanwhile && !it.is_open())
    })
    .await;

    let said = stack.operate(&["redrive"]).await.expect();
    assert!(said.starts_with("2 dead letters"), "{said}");
    endpoint.receives(2, |_| true).await;
    until_true("empty queues", async || queues.are_empty().await).await;
    let arrived: Vec<String> =
        endpoint.arrivals().iter().map(|it| it.header("x-officepro-event-id").to_owned()).collect();
    assert_eq!(arrived.len(), 2, "each event arrives once: {arrived:?}");
    assert_eq!(dead_letters().await, 0);
    assert!(stack.operate(&["redrive"]).await.expect().starts_with("0 dead letters"));
}
