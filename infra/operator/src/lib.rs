//! The operators' commands, on a stack in AWS or on the local stack.
//!
//! `infra/runbook.md` says when to use each. The program of this crate, which `infra/operate` runs,
//! works on a stack in AWS. The local stack's program has the same commands.

pub mod access;
mod activity;
pub mod admin_api;
mod admin_secret;
mod bridge;
pub mod commands;
mod dsn;
mod edge_secret;
pub mod error;
mod first_partner;
mod input;
mod invoke;
pub mod migrate;
mod practice;
pub mod private_file;
pub mod random;
pub mod reconcile;
pub mod removal;
pub mod secret_pair;
mod secret_values;
mod token_keys;
mod webhooks;

use std::path::PathBuf;
use std::time::Duration;

use shared::control::{self, Queue, Store, secrets};

use admin_api::AdminApi;
pub use edge_secret::EdgeSecret;
use error::{Error, Result};
pub use first_partner::FirstPartner;
pub use input::{read_connection_string, read_stdin};
pub use invoke::Invoker;
pub use practice::{NewPractice, sqlite_dsn};
pub use secret_values::SecretValues;
pub use webhooks::{new_name, replayable};

/// How long after a change of a secret every process has the new value or may ask for it: the
/// pause between two reads, plus a margin for Secrets Manager to become consistent.
const ROLL_OUT: Duration = Duration::from_secs(secrets::PAUSE.as_secs().unsigned_abs() + 5);

/// The stores and endpoints of the stack that an operator works on.
pub struct Operator {
    pub control: Store,
    pub queue: Queue,
    pub secrets: SecretValues,
    pub names: SecretNames,
    pub invoker: Invoker,
    /// The API's base URL.
    pub api_url: String,
    /// The data folder of a local stack.
    pub data_dir: Option<PathBuf>,
}

/// The names of a stack's secrets.
pub struct SecretNames {
    pub token_keys: String,
    pub admin_secrets: String,
    pub catalog: String,
    pub edge: EdgeSecret,
    /// Prefix of the practices' secrets.
    pub practices: String,
}

impl Operator {
    /// Connects to a stack in AWS, as the environment says.
    ///
    /// # Errors
    /// If a variable that `infra/operate` sets is missing.
    pub fn in_aws() -> Result<Self> {
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
            secrets: SecretValues::in_aws(variable("DATA_KEY_ARN")?),
            names: SecretNames {
                token_keys: variable("TOKEN_KEYS_SECRET")?,
                admin_secrets: variable("ADMIN_SECRETS_SECRET")?,
                catalog: variable("CATALOG_DSN_SECRET")?,
                edge: EdgeSecret {
                    id: variable("EDGE_SECRET")?,
                    shown: Some(variable("EDGE_SECRET_VERSION")?),
                },
                practices: variable("PRACTICE_SECRETS_PREFIX")?,
            },
            invoker: Invoker::Aws { function: variable("MIGRATE_FUNCTION")? },
            api_url: variable("API_URL")?,
            data_dir: None,
        })
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
