//! Operator commands, on the local stack or in AWS; `infra/runbook.md` says when to use each.

pub mod access;
mod activity;
pub(crate) mod admin_api;
mod admin_secret;
mod bridge;
mod dsn;
mod edge_secret;
mod first_partner;
mod input;
mod invoke;
pub(crate) mod migrate;
mod practice;
pub mod reconcile;
pub mod removal;
mod secret_pair;
mod secret_values;
mod token_keys;
mod webhooks;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, de::DeserializeOwned};
use shared::control::{self, Queue, Store, TableNames, secrets};

use crate::data_dir::DataDir;
use crate::error::{Error, Result};
use crate::practices::{CATALOG_SECRET, SECRETS_PREFIX};
use crate::template::REGION;
use admin_api::AdminApi;
use edge_secret::EdgeSecret;
pub use first_partner::FirstPartner;
pub use input::{read_connection_string, read_stdin};
use invoke::Invoker;
pub use practice::NewPractice;
use secret_values::SecretValues;
pub use webhooks::{new_name, replayable};

/// How long after a change of a secret every process has the new value or may ask for it: the
/// pause between two reads, plus a margin for Secrets Manager to become consistent.
const ROLL_OUT: Duration = Duration::from_secs(secrets::PAUSE.as_secs().unsigned_abs() + 5);

/// The stores and endpoints of the stack that an operator works on.
pub struct Operator {
    control: Store,
    queue: Queue,
    secrets: SecretValues,
    names: Names,
    invoker: Invoker,
    api_url: String,
    /// The data folder of a local stack.
    data_dir: Option<PathBuf>,
}

/// The names of a stack's secrets.
struct Names {
    token_keys: String,
    admin_secrets: String,
    catalog: String,
    /// `None` for a stack deployed before this secret existed.
    edge: Option<EdgeSecret>,
    /// Prefix of the practices' secrets. `None` for a stack deployed before it existed.
    practices: Option<String>,
}

/// The endpoints of a running local stack, from its `stack.json`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Addresses {
    base_url: String,
    dynamodb_url: String,
    sqs_url: String,
    secrets_manager_url: String,
    invoke_url: String,
    access_key: String,
}

/// The local stack running in a data folder.
#[derive(Deserialize)]
pub struct RunningStack {
    pid: i32,
}

impl RunningStack {
    /// Reads the process id from the folder's `stack.json`.
    pub fn of(data_dir: &Path) -> Result<Self> {
        read_description(data_dir)
    }

    /// Makes it deploy the binaries that were just built.
    pub fn take_new_binaries(&self) -> Result<()> {
        use rustix::process::{Pid, Signal, kill_process};
        let gone = || Error::Refused("the stack is no longer running".to_owned());
        let pid = Pid::from_raw(self.pid).ok_or_else(gone)?;
        kill_process(pid, Signal::HUP).map_err(|_| gone())
    }
}

fn read_description<T: DeserializeOwned>(data_dir: &Path) -> Result<T> {
    let file = data_dir.join("stack.json");
    let text = std::fs::read(&file)
        .map_err(|_| Error::Refused(format!("no stack is running in {}", data_dir.display())))?;
    serde_json::from_slice(&text).map_err(|error| Error::Refused(format!("{}: {error}", file.display())))
}

impl Operator {
    /// Connects to AWS as the environment says, or to the local stack running in this data folder.
    pub fn of(aws: bool, data_dir: &Path) -> Result<Self> {
        if aws {
            return Self::in_aws();
        }
        Ok(Self::local(read_description(data_dir)?, data_dir))
    }

    /// Whether a stack is running in this data folder.
    pub fn is_running(data_dir: &Path) -> bool {
        // A crash leaves the addresses behind, but releases the lock.
        data_dir.join("stack.json").is_file() && DataDir::open(data_dir).is_err()
    }

    fn in_aws() -> Result<Self> {
        let variable = |name: &str| {
            let value = std::env::var(name).ok().filter(|value| !value.is_empty());
            value.ok_or_else(|| {
                Error::Refused(format!("{name} isn't set; run the command through infra/operate STACK"))
            })
        };
        let config = shared::config::Config::from_env();
        Ok(Self {
            control: Store::new(config.tables),
            queue: Queue::new(config.events_queue_url, None, config.dead_letter_queue_url),
            secrets: SecretValues::in_aws(variable("DATA_KEY_ARN").ok()),
            names: Names {
                token_keys: variable("TOKEN_KEYS_SECRET")?,
                admin_secrets: variable("ADMIN_SECRETS_SECRET")?,
                catalog: variable("CATALOG_DSN_SECRET")?,
                edge: variable("EDGE_SECRET").ok().map(|id| EdgeSecret {
                    id,
                    shown: Some(variable("EDGE_SECRET_VERSION").unwrap_or_default()),
                }),
                practices: variable("PRACTICE_SECRETS_PREFIX").ok(),
            },
            invoker: Invoker::Aws { function: variable("MIGRATE_FUNCTION")? },
            api_url: variable("API_URL")?,
            data_dir: None,
        })
    }

    /// Connects to the stores of a local stack.
    fn local(addresses: Addresses, data_dir: &Path) -> Self {
        use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
        let credentials = || Credentials::new(&addresses.access_key, "local", None, None, "local stack");
        let dynamodb = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&addresses.dynamodb_url)
            .region(Region::from_static(REGION))
            .credentials_provider(credentials())
            .build();
        let sqs = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&addresses.sqs_url)
            .region(Region::from_static(REGION))
            .credentials_provider(credentials())
            .build();
        let secrets = aws_sdk_secretsmanager::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&addresses.secrets_manager_url)
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
        let url = |id: &str| format!("{}/000000000000/{id}", addresses.sqs_url);
        let (events, slow, dead_letters) =
            (url("EventsQueue"), url("SlowEventsQueue"), url("EventsDeadLetterQueue"));
        let sqs = aws_sdk_sqs::Client::from_conf(sqs);
        Self {
            control: Store::with_client(aws_sdk_dynamodb::Client::from_conf(dynamodb), tables),
            queue: Queue::with_client(sqs, events, slow, dead_letters),
            secrets: SecretValues::with_client(aws_sdk_secretsmanager::Client::from_conf(secrets)),
            names: Names {
                token_keys: "TokenKeysSecret".to_owned(),
                admin_secrets: "AdminSecretsSecret".to_owned(),
                catalog: CATALOG_SECRET.to_owned(),
                edge: Some(EdgeSecret { id: "EdgeSecret".to_owned(), shown: None }),
                practices: Some(SECRETS_PREFIX.to_owned()),
            },
            invoker: Invoker::Local { url: addresses.invoke_url, access_key: addresses.access_key },
            api_url: addresses.base_url,
            data_dir: Some(data_dir.to_owned()),
        }
    }

    /// Returns a client of the administrators' endpoints with the current admin secret.
    async fn admin_api(&self) -> Result<AdminApi> {
        let secrets = secret_pair::read(&self.secrets, &self.names.admin_secrets).await?;
        AdminApi::new(&self.api_url, secrets.current)
    }
}

/// Waits until every process can know a changed secret.
async fn roll_out(what: &str) {
    println!("{what}; waiting {} s until every process can know it …", ROLL_OUT.as_secs());
    tokio::time::sleep(ROLL_OUT).await;
}

fn refused(error: &control::Error) -> Error {
    Error::Refused(error.to_string())
}
