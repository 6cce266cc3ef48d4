//! SQS in process, with the queues of template.yaml.

use std::{
    path::Path,
    sync::{Arc, mpsc},
};

use aws_sdk_sqs::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
};
use officepro_local::sqs::{Service, SqsServer};
use shared::control::Queue;

use super::template;

pub(crate) struct Started {
    pub(crate) client: Queue,
    pub(crate) service: Arc<Service>,
}

/// A server on a thread of its own, for as long as the test binary runs.
pub(crate) async fn start(file: &Path) -> Started {
    let (sender, receiver) = mpsc::channel();
    let file = file.to_owned();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let (listener, endpoint) = SqsServer::listen().await.unwrap();
            let server = SqsServer::start(listener, endpoint.clone(), &file, &template().queues).unwrap();
            sender.send((endpoint, server.service.clone())).unwrap();
            std::future::pending::<()>().await;
        });
    });
    let (endpoint, service) = tokio::task::spawn_blocking(move || receiver.recv().unwrap()).await.unwrap();
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(&endpoint)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "tests"))
        .build();
    let url = format!("{endpoint}/000000000000/EventsQueue");
    Started { client: Queue::with_client(Client::from_conf(config), url), service }
}
