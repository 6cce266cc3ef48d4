//! Stores that accept connections and never respond.

use std::time::Duration;

use aws_sdk_dynamodb::config::{
    BehaviorVersion, Credentials, Region, StalledStreamProtectionConfig, timeout::TimeoutConfig,
};
use shared::control::{Queue, Store};

use super::{arrange, check, read, wrong};
use crate::office::{
    Engine, Office,
    aws_proxy::{self, AwsCall},
    ends,
};

/// Returns a configuration whose client waits forever.
macro_rules! patient {
    ($builder:expr, $endpoint:expr) => {
        $builder
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url($endpoint)
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new("local", "local", None, None, "tests"))
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build()
    };
}

/// Starts a server that accepts connections and sends nothing; returns its address.
async fn silent_server() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut connections = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            connections.push(connection);
        }
    });
    address
}

fn queue_without_timeout(endpoint: &str) -> Queue {
    let client = aws_sdk_sqs::Client::from_conf(patient!(aws_sdk_sqs::Config::builder(), endpoint));
    let url = |name| format!("{endpoint}/000000000000/{name}");
    Queue::with_client(client, url("EventsQueue"), url("SlowEventsQueue"), url("EventsDeadLetterQueue"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_queue_times_out_and_delays_no_other_check() {
    let mut office = Office::open(Engine::Sqlite).await;
    arrange(&office).await;
    let endpoint = silent_server().await;
    let app = office.another_app(|parts| {
        parts.queue = queue_without_timeout(&endpoint);
        parts.config.timeouts.readiness_check = Duration::from_millis(500);
    });
    office.answer_with(app);
    let data = ends("the answer", read(&office)).await;
    assert_eq!(wrong(&data), ["events failed", "slowEvents failed", "deadLetters failed"], "{data}");
    assert_eq!(check(&data, "events")["detail"], "There was no response within 500 ms.");
}

/// Starts a proxy to DynamoDB on which requests for the deliveries table hang forever; returns its
/// address.
async fn hanging_deliveries(office: &Office) -> String {
    let answer = async |call: AwsCall| {
        if call.body.contains("Deliveries") {
            std::future::pending::<()>().await;
        }
        call.forward().await
    };
    aws_proxy::before(office.store_endpoint.clone(), answer).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_table_is_named_and_delays_no_other_check() {
    let mut office = Office::open(Engine::Sqlite).await;
    arrange(&office).await;
    let endpoint = hanging_deliveries(&office).await;
    let config = patient!(aws_sdk_dynamodb::Config::builder(), endpoint);
    let app = office.another_app(|parts| {
        let client = aws_sdk_dynamodb::Client::from_conf(config);
        parts.control = Store::with_client(client, parts.config.tables.clone());
        parts.config.timeouts.readiness_check = Duration::from_secs(2);
    });
    office.answer_with(app);
    let data = ends("the answer", read(&office)).await;
    assert_eq!(wrong(&data), ["controlPlane failed", "dueRetries failed"], "{data}");
    assert_eq!(check(&data, "controlPlane")["detail"], "These tables cannot be read: DeliveriesTable.");
}
