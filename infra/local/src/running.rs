//! The local stack that runs in a data folder, from its `stack.json`.

use std::path::Path;

use officepro_operator::{EdgeSecret, Invoker, Operator, SecretNames, SecretValues};
use serde::Deserialize;
use shared::control::{Queue, Store, TableNames};

use crate::data_dir::DataDir;
use crate::error::{Error, Result};
use crate::practices::{CATALOG_SECRET, SECRETS_PREFIX};
use crate::template::REGION;

/// A running local stack: its process, and its endpoints.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunningStack {
    pid: i32,
    base_url: String,
    dynamodb_url: String,
    sqs_url: String,
    secrets_manager_url: String,
    invoke_url: String,
    access_key: String,
}

impl RunningStack {
    /// Reads the folder's `stack.json`.
    pub fn of(data_dir: &Path) -> Result<Self> {
        let file = data_dir.join("stack.json");
        let text = std::fs::read(&file)
            .map_err(|_| Error::Refused(format!("no stack is running in {}", data_dir.display())))?;
        serde_json::from_slice(&text).map_err(|error| Error::Refused(format!("{}: {error}", file.display())))
    }

    /// Whether a stack is running in this data folder.
    pub fn is_in(data_dir: &Path) -> bool {
        // A crash leaves the addresses behind, but releases the lock.
        data_dir.join("stack.json").is_file() && DataDir::open(data_dir).is_err()
    }

    /// Makes it deploy the binaries that were just built.
    pub fn take_new_binaries(&self) -> Result<()> {
        use rustix::process::{Pid, Signal, kill_process};
        let gone = || Error::Refused("the stack is no longer running".to_owned());
        let pid = Pid::from_raw(self.pid).ok_or_else(gone)?;
        kill_process(pid, Signal::HUP).map_err(|_| gone())
    }

    /// Connects an operator to its stores.
    pub fn operator(self, data_dir: &Path) -> Operator {
        use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
        let credentials = || Credentials::new(&self.access_key, "local", None, None, "local stack");
        let dynamodb = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&self.dynamodb_url)
            .region(Region::from_static(REGION))
            .credentials_provider(credentials())
            .build();
        let sqs = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&self.sqs_url)
            .region(Region::from_static(REGION))
            .credentials_provider(credentials())
            .build();
        let secrets = aws_sdk_secretsmanager::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&self.secrets_manager_url)
            .region(Region::from_static(REGION))
            .credentials_provider(credentials())
            .build();
        let table = |id: &str| Some(id.to_owned());
        let tables = TableNames {
            control: table("ControlTable"),
            deliveries: table("DeliveriesTable"),
            activity: table("ActivityTable"),
            ephemeral: table("EphemeralTable"),
            delivery_shards: None,
        };
        let url = |id: &str| format!("{}/000000000000/{id}", self.sqs_url);
        let (events, slow, dead_letters) =
            (url("EventsQueue"), url("SlowEventsQueue"), url("EventsDeadLetterQueue"));
        let sqs = aws_sdk_sqs::Client::from_conf(sqs);
        Operator {
            control: Store::with_client(aws_sdk_dynamodb::Client::from_conf(dynamodb), tables),
            queue: Queue::with_client(sqs, events, slow, dead_letters),
            secrets: SecretValues::with_client(aws_sdk_secretsmanager::Client::from_conf(secrets)),
            names: SecretNames {
                token_keys: "TokenKeysSecret".to_owned(),
                admin_secrets: "AdminSecretsSecret".to_owned(),
                catalog: CATALOG_SECRET.to_owned(),
                edge: EdgeSecret { id: "EdgeSecret".to_owned(), shown: None },
                practices: SECRETS_PREFIX.to_owned(),
            },
            invoker: Invoker::Local { url: self.invoke_url, access_key: self.access_key },
            api_url: self.base_url,
            data_dir: Some(data_dir.to_owned()),
        }
    }
}
