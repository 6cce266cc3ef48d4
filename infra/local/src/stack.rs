//! The whole stack, in two steps: the stores first, so that demo data can be written, then everything that serves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::data_dir::DataDir;
use crate::deployment::Deployment;
use crate::dynamodb::DynamoDb;
use crate::error::{Error, Result};
use crate::gateway::Gateway;
use crate::invoke::InvokeApi;
use crate::permissions::Permissions;
use crate::runtime::{Deployed, RuntimeHost, Settings};
use crate::secrets::{Secrets, SecretsServer};
use crate::sqs::SqsServer;
use crate::template::{REGION, Template, World};
use crate::triggers::Triggers;
use crate::{http, private_file, random};

/// Most invocations of a function that wait, for each of its environments. Lambda would reject them, but has a thousand environments
/// where this machine has a few. A number, not a time: a slow machine serves late, and rejects only what is too much for any.
const WAITING_PER_ENVIRONMENT: usize = 50;

/// Calls wait so many times as long for a database as in Lambda: here all functions, the stores and the databases share a few
/// processors. A call that waits twice still ends before its function's time is up.
const DATABASE_TIMEOUT_FACTOR: u32 = 3;

/// How often messages older than their queue's retention are deleted.
const EXPIRE_EVERY: Duration = Duration::from_mins(1);

/// File in the data folder that says where a running stack serves.
const ADDRESSES: &str = "stack.json";

/// File in the data folder that says, after a run, what each function's role allows and whether it was needed.
const PERMISSIONS: &str = "permissions.json";

/// The running stores.
pub struct Stores {
    pub template: Template,
    pub secrets: Secrets,
    pub dynamodb: DynamoDb,
    pub sqs: SqsServer,
    /// Base URL of the local SQS.
    pub sqs_endpoint: String,
    secrets_server: SecretsServer,
    permissions: Arc<Permissions>,
    /// What operators sign with, for everything; new for each run.
    access_key: String,
    data_dir: DataDir,
}

impl Stores {
    /// Reads the template and opens the stores in the data folder.
    pub async fn start(template: &Path, data_dir: DataDir) -> Result<Self> {
        let (listener, sqs_endpoint) = SqsServer::listen().await?;
        let world = World { sqs_endpoint: sqs_endpoint.clone(), parameters: BTreeMap::new() };
        let template = Template::read(template, &world)?;
        let folder = data_dir.path();
        let secrets = Secrets::open(&folder.join("secrets.json"), &template.secrets)?;
        let access_key = random::alphanumeric(20)?;
        let permissions = Arc::new(Permissions::new(&access_key, &template.identities)?);
        let tables = &template.tables;
        let dynamodb = DynamoDb::start_with(&permissions, &folder.join("dynamodb.sqlite"), tables).await?;
        let (file, endpoint) = (folder.join("sqs.sqlite"), sqs_endpoint.clone());
        let sqs = SqsServer::start_with(&permissions, listener, endpoint, &file, &template.queues)?;
        let released = sqs.service.release_in_flight().await;
        released.map_err(|error| Error::store("the queues", error))?;
        let secrets_server = SecretsServer::start(secrets.clone(), Arc::clone(&permissions)).await?;
        Ok(Self {
            template,
            secrets,
            dynamodb,
            sqs,
            sqs_endpoint,
            secrets_server,
            permissions,
            access_key,
            data_dir,
        })
    }

    /// The data folder.
    pub fn data_dir(&self) -> &Path {
        self.data_dir.path()
    }

    /// What operators sign their calls of the stores with.
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    /// Variables by which the AWS SDK of a function finds the stores instead of AWS, and is known there as this function.
    pub fn sdk_environment(&self, function: &str) -> BTreeMap<String, String> {
        let variables = [
            ("AWS_ENDPOINT_URL_DYNAMODB", self.dynamodb.endpoint.as_str()),
            ("AWS_ENDPOINT_URL_SQS", &self.sqs_endpoint),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &self.secrets_server.endpoint),
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", self.permissions.access_key(function).unwrap_or_default()),
            ("AWS_SECRET_ACCESS_KEY", "local"),
        ];
        variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// Writes where this run serves to `<data-dir>/stack.json`, for other programs and the AWS CLI: all ports but the
    /// gateway's change from run to run.
    fn write_addresses(&self, base_url: &str, invoke_url: &str) -> Result<()> {
        let addresses = serde_json::json!({
            "baseUrl": base_url,
            "dynamodbUrl": self.dynamodb.endpoint,
            "sqsUrl": self.sqs_endpoint,
            "secretsManagerUrl": self.secrets_server.endpoint,
            "invokeUrl": invoke_url,
            "accessKey": self.access_key,
            "pid": std::process::id(),
        });
        let file = self.data_dir().join(ADDRESSES);
        private_file::write(&file, addresses.to_string().as_bytes())
    }

    /// Stops the stores.
    pub async fn stop(self) {
        let report = self.data_dir().join(PERMISSIONS);
        if let Err(error) = self.permissions.write_report(&report) {
            eprintln!("permissions: {error}");
        }
        // Whoever finds the file after a crash finds nobody at its addresses; that is as clear.
        let _ = std::fs::remove_file(self.data_dir().join(ADDRESSES));
        self.secrets_server.stop().await;
        self.sqs.stop().await;
        self.dynamodb.stop().await;
    }
}

/// The gateway's socket, taken before anything else is begun: a port that is in use is known at once.
pub struct FrontDoor {
    /// Where portal and API will be, e.g. `http://127.0.0.1:8080`.
    pub base_url: String,
    listener: TcpListener,
}

impl FrontDoor {
    /// Takes a port of 127.0.0.1; 0 is any free one.
    pub async fn open(port: u16) -> Result<Self> {
        let (listener, address) = http::listen(port).await?;
        Ok(Self { base_url: format!("http://{address}"), listener })
    }
}

/// How the stack serves.
#[derive(Debug, Clone)]
pub struct Options {
    /// The functions' executables by package name.
    pub binaries: BTreeMap<String, PathBuf>,
    /// Folder of the portal's files.
    pub portal: PathBuf,
    /// Program that ties a function's life to ours; see [`crate::runtime::guard`].
    pub guard: Option<PathBuf>,
    /// Most processes of one function.
    pub environments: usize,
    /// Interval of all schedules instead of the template's.
    pub every: Option<Duration>,
    /// Whether schedules and queues invoke functions; without it, only callers do.
    pub events: bool,
    /// Variables of every function's environment, above the template's.
    pub variables: Vec<(String, String)>,
}

/// The running stack.
pub struct Stack {
    /// Where portal and API are, e.g. `http://127.0.0.1:8080`.
    pub base_url: String,
    stores: Stores,
    runtime: Arc<RuntimeHost>,
    gateway: Gateway,
    invoke: InvokeApi,
    triggers: Triggers,
    deployment: Deployment,
    expiry: JoinHandle<()>,
}

impl Stack {
    /// Starts everything that serves, on top of the stores.
    pub async fn start(stores: Stores, door: FrontDoor, options: Options) -> Result<Self> {
        let functions = &stores.template.functions;
        let mut variables = BTreeMap::new();
        for permission in ["WEBHOOK_ALLOW_LOOPBACK", "PORTAL_ALLOW_LOOPBACK"] {
            variables.insert(permission.to_owned(), "true".to_owned());
        }
        let factor = DATABASE_TIMEOUT_FACTOR.to_string();
        variables.insert("DATABASE_TIMEOUT_FACTOR".to_owned(), factor);
        variables.extend(options.variables);
        let mut deployment = Deployment::new(options.binaries)?;
        let binaries = deployment.next_version()?;
        let mut deployed = vec![];
        for function in functions {
            let binary = binaries.get(&function.binary).cloned();
            let mut environment = stores.sdk_environment(&function.id);
            environment.extend(variables.clone());
            deployed.push(Deployed {
                function: function.clone(),
                binary: binary
                    .ok_or_else(|| Error::Build(format!("there is no binary of {}", function.binary)))?,
                environment,
            });
        }
        let settings = Settings {
            guard: options.guard,
            logs: stores.data_dir().join("logs"),
            environments: options.environments,
            waiting: options.environments * WAITING_PER_ENVIRONMENT,
            idle: Duration::from_mins(1),
        };
        let runtime = Arc::new(RuntimeHost::start(settings, deployed).await?);
        let throttling = stores.template.throttling;
        let gateway =
            Gateway::start(door.listener, functions, Arc::clone(&runtime), options.portal, throttling);
        let invoke = InvokeApi::start(Arc::clone(&runtime), Arc::clone(&stores.permissions)).await?;
        let invoked = if options.events { functions.as_slice() } else { &[] };
        let triggers =
            Triggers::start(invoked, &runtime, &stores.sqs.service, options.every, options.environments);
        let queues = Arc::clone(&stores.sqs.service);
        let expiry = tokio::spawn(async move {
            loop {
                tokio::time::sleep(EXPIRE_EVERY).await;
                if let Err(error) = queues.expire().await {
                    eprintln!("sqs: expired messages: {error}");
                }
            }
        });
        stores.write_addresses(&door.base_url, &invoke.endpoint)?;
        Ok(Self { base_url: door.base_url, stores, runtime, gateway, invoke, triggers, deployment, expiry })
    }

    /// The stores below.
    pub fn stores(&self) -> &Stores {
        &self.stores
    }

    /// Takes the functions' binaries as they are now: new invocations go to new environments; what runs in the old ones ends there.
    pub fn redeploy(&mut self) -> Result<()> {
        self.runtime.deploy(&self.deployment.next_version()?);
        Ok(())
    }

    /// Stops in the order in which nothing that was begun is cut off: callers, triggers, functions, stores.
    pub async fn stop(self) {
        self.triggers.stop_taking();
        self.gateway.stop().await;
        self.invoke.stop().await;
        self.runtime.stop().await;
        self.triggers.finished().await;
        self.expiry.abort();
        self.stores.stop().await;
    }
}
