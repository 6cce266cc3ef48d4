//! What operators do to webhooks by hand: dead letters once more, events of the past once more. Here or in AWS.

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use shared::control::{self, Queue, Store, TableNames};
use shared::domain::PracticePass;

use crate::error::{Error, Result};
use crate::template::REGION;

/// The stores that an operator works on.
pub struct Operator {
    control: Store,
    queue: Queue,
}

/// What a running stack says of itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Addresses {
    dynamodb_url: String,
    sqs_url: String,
}

/// The stack that runs on a data folder.
#[derive(Deserialize)]
pub struct RunningStack {
    pid: i32,
}

impl RunningStack {
    /// As its file says.
    pub fn of(data_dir: &Path) -> Result<Self> {
        read_description(data_dir)
    }

    /// Has it deploy the binaries that are there now.
    pub fn take_new_binaries(&self) -> Result<()> {
        use rustix::process::{Pid, Signal, kill_process};
        let gone = || Error::Refused("the stack is gone".to_owned());
        let pid = Pid::from_raw(self.pid).ok_or_else(gone)?;
        kill_process(pid, Signal::HUP).map_err(|_| gone())
    }
}

fn read_description<T: DeserializeOwned>(data_dir: &Path) -> Result<T> {
    let file = data_dir.join("stack.json");
    let text = std::fs::read(&file)
        .map_err(|_| Error::Refused(format!("no stack runs on {}", data_dir.display())))?;
    serde_json::from_slice(&text).map_err(|error| Error::Refused(format!("{}: {error}", file.display())))
}

/// A name for a replay: the second it was asked for.
pub fn new_name() -> String {
    Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string()
}

impl Operator {
    /// In AWS by the environment, or in the stack that runs on this data folder.
    pub fn of(aws: bool, data_dir: &Path) -> Result<Self> {
        if aws {
            let config = shared::config::Config::from_env();
            let (url, dead_letters) = (config.events_queue_url, config.dead_letter_queue_url);
            return Ok(Self {
                control: Store::new(config.tables),
                queue: Queue::new(url, None, dead_letters),
            });
        }
        Ok(Self::local(&read_description(data_dir)?))
    }

    /// The stores of a local stack.
    fn local(addresses: &Addresses) -> Self {
        use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
        let credentials = || Credentials::new("local", "local", None, None, "local stack");
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
        let table = |id: &str| Some(id.to_owned());
        let names = TableNames {
            control: table("ControlTable"),
            deliveries: table("DeliveriesTable"),
            ..TableNames::default()
        };
        let url = |id: &str| format!("{}/000000000000/{id}", addresses.sqs_url);
        let (events, slow, dead_letters) =
            (url("EventsQueue"), url("SlowEventsQueue"), url("EventsDeadLetterQueue"));
        let sqs = aws_sdk_sqs::Client::from_conf(sqs);
        Self {
            control: Store::with_client(aws_sdk_dynamodb::Client::from_conf(dynamodb), names),
            queue: Queue::with_client(sqs, events, slow, dead_letters),
        }
    }

    /// Moves dead letters back to the queue of events; how many.
    pub async fn redrive(&self) -> Result<usize> {
        self.queue.redrive().await.map_err(|error| refused(&error))
    }

    /// Sends a subscription's events once more; how many.
    pub async fn replay(
        &self,
        practice: &str,
        subscription: i64,
        time: (Timestamp, Timestamp),
        all: bool,
        name: &str,
    ) -> Result<usize> {
        let practicepass = PracticePass::try_from(practice)
            .map_err(|reason| Error::Refused(format!("{practice}: {reason}")))?;
        let subscriptions =
            self.control.subscriptions_of(&practicepass).await.map_err(|error| refused(&error))?;
        let found = subscriptions.iter().find(|it| it.id.0 == subscription && it.is_active());
        let found = found
            .ok_or_else(|| Error::Refused(format!("{practice} has no active subscription {subscription}")))?;
        let sent = self.control.replay(&self.queue, found, time, all, name).await;
        sent.map_err(|error| refused(&error))
    }
}

fn refused(error: &control::Error) -> Error {
    Error::Refused(error.to_string())
}
