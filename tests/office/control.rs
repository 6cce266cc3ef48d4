//! DynamoDB in process, with the tables of template.yaml.

use std::{path::Path, sync::mpsc};

use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
};
use officepro_local::{
    dynamodb::DynamoDb,
    template::{Template, World},
};
use shared::control::{Store, TableNames};

pub(crate) fn template() -> Template {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml");
    let world = World {
        sqs_endpoint: "http://127.0.0.1:9".into(),
        parameters: std::collections::BTreeMap::default(),
    };
    Template::read(Path::new(path), &world).unwrap()
}

/// A server on a thread of its own, for as long as the test binary runs.
pub(crate) async fn start(file: &Path, names: TableNames) -> Store {
    let (sender, receiver) = mpsc::channel();
    let file = file.to_owned();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let server = DynamoDb::start(&file, &template().tables).await.unwrap();
            sender.send(server.endpoint.clone()).unwrap();
            std::future::pending::<()>().await;
        });
    });
    let endpoint = tokio::task::spawn_blocking(move || receiver.recv().unwrap()).await.unwrap();
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "tests"))
        .build();
    Store::with_client(Client::from_conf(config), names)
}
