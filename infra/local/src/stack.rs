//! The whole stack, started in two steps: first the stores, so that demo data can be written, then
//! everything that serves.

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
use crate::template::{LocalResources, REGION, Template};
use crate::triggers::Triggers;
use crate::{http, private_file, random};

/// Maximum number of waiting invocations per environment of a function.
///
/// Lambda would reject them, but has a thousand environments where this machine has a few. The
/// limit is a number, not a time, so that a slow machine is late but rejects only what no machine
/// could handle.
const WAITING_PER_ENVIRONMENT: usize = 50;

/// Factor of the database time-outs compared to Lambda: here all functions, stores and databases
/// share a few processors. A call that waits twice still ends within its function's time-out.
const DATABASE_TIMEOUT_FACTOR: u32 = 3;

/// How often to delete messages older than their queue's retention.
const EXPIRE_EVERY: Duration = Duration::from_mins(1);

/// File in the data folder with the endpoints of a running stack.
const ADDRESSES: &str = "stack.json";

/// File in the data folder that lists, after a run, what each function's role allows and whether it
/// was used.
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
    /// The operators' access key, which may do everything; new for each run.
    access_key: String,
    data_dir: DataDir,
}

impl Stores {
    /// Reads the template and opens the stores in the data folder.
    pub async fn start(template: &Path, data_dir: DataDir) -> Result<Self> {
        let (listener, sqs_endpoint) = SqsServer::listen().await?;
        let local = LocalResources { sqs_endpoint: sqs_endpoint.clone(), parameters: BTreeMap::new() };
        let template = Template::read(template, &local)?;
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

    /// Returns the access key with which operators sign calls to the stores.
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    /// Returns the variables that point a function's AWS SDK to the stores and identify the
    /// function.
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

    /// Writes the endpoints of this run to `<data-dir>/stack.json`, for other programs and the AWS
    /// CLI.
    ///
    /// All ports but the gateway's change from run to run.
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
        // After a crash the file stays, but its addresses don't respond, which is just as clear.
        let _ = std::fs::remove_file(self.data_dir().join(ADDRESSES));
        self.secrets_server.stop().await;
        self.sqs.stop().await;
        self.dynamodb.stop().await;
    }
}

/// The gateway's socket, opened before anything else so that a port in use is reported immediately.
pub struct HttpListener {
    /// Base URL of the portal and the API, e.g. `http://127.0.0.1:8080`.
    pub base_url: String,
    listener: TcpListener,
}

impl HttpListener {
    /// Binds a port of 127.0.0.1; 0 selects a free one.
    pub async fn open(port: u16) -> Result<Self> {
        let (listener, address) = http::listen(port).await?;
        Ok(Self { base_url: format!("http://{address}"), listener })
    }
}

/// Options of a running stack.
#[derive(Debug, Clone)]
pub struct Options {
    /// The functions' executables by package name.
    pub binaries: BTreeMap<String, PathBuf>,
    /// Folder of the portal's files.
    pub portal: PathBuf,
    /// Program that makes functions end with the stack; see [`crate::runtime::guard`].
    pub guard: Option<PathBuf>,
    /// Maximum number of processes per function.
    pub environments: usize,
    /// Interval of all schedules instead of the template's.
    pub every: Option<Duration>,
    /// Whether schedules and queues invoke functions; otherwise only callers do.
    pub events: bool,
    /// Environment variables for every function, overriding the template's.
    pub variables: Vec<(String, String)>,
}

/// The running stack.
pub struct Stack {
    /// Base URL of the portal and the API, e.g. `http://127.0.0.1:8080`.
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
    /// Starts everything that serves, using the stores.
    pub async fn start(stores: Stores, listener: HttpListener, options: Options) -> Result<Self> {
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
                    .ok_or_else(|| Error::Refused(format!("there is no binary for {}", function.binary)))?,
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
            Gateway::start(listener.listener, functions, Arc::clone(&runtime), options.portal, throttling);
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
        stores.write_addresses(&listener.base_url, &invoke.endpoint)?;
        Ok(Self {
            base_url: listener.base_url,
            stores,
            runtime,
            gateway,
            invoke,
            triggers,
            deployment,
            expiry,
        })
    }

    /// Returns the stores.
    pub fn stores(&self) -> &Stores {
        &self.stores
    }

    /// Deploys the functions' current binaries: new invocations go to new environments, and running
    /// ones finish in the old ones.
    pub fn redeploy(&mut self) -> Result<()> {
        self.runtime.deploy(&self.deployment.next_version()?);
        Ok(())
    }

    /// Stops callers, triggers, functions and stores, in the order that interrupts no work in
    /// progress.
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
