//! The Lambda service: runs function binaries as processes and speaks the documented Runtime and Extensions APIs
//! with them. One environment is one process that handles one invocation at a time.

mod api;
mod environment;
pub mod guard;
mod invocation;
mod pool;
mod process;
mod queue;
mod worker;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use crate::error::{Error, Result};
use crate::http;
use crate::template::Function;
use environment::Environment;
pub use invocation::{InvokeError, Outcome};
use pool::Pool;
use process::Launcher;
use queue::Backlog;

/// Environments of a new version that come up at once. In Lambda each has a processor of its own; here all starting together would take
/// the machine from those that serve.
const REPLACED_AT_ONCE: usize = 1;

/// How the host runs functions.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Program that ties a function's life to ours (see [`guard`]); `None` runs binaries as they are.
    pub guard: Option<PathBuf>,
    /// Folder of the functions' logs.
    pub logs: PathBuf,
    /// Most processes of one function.
    pub environments: usize,
    /// Most invocations of one function that wait for a free environment; further ones are rejected.
    pub waiting: usize,
    /// How long an environment that isn't the function's only one may idle.
    pub idle: Duration,
}

/// One function and the binary that it runs.
#[derive(Debug, Clone)]
pub struct Deployed {
    pub function: Function,
    pub binary: PathBuf,
    /// Variables on top of those of the template, e.g. endpoints and secrets.
    pub environment: BTreeMap<String, String>,
}

/// What the Runtime API and all workers share.
struct Shared {
    address: SocketAddr,
    settings: Settings,
    launcher: Launcher,
    /// Taken by each environment of a new version until it has come up.
    replacing: Semaphore,
    /// The invocations that wait, of all functions.
    backlog: Backlog,
    /// Live environments by the unguessable first segment of their base URL.
    environments: Mutex<HashMap<String, Arc<Environment>>>,
    stop: watch::Receiver<bool>,
}

impl Shared {
    fn environments(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Environment>>> {
        self.environments.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The running Lambda service.
pub struct RuntimeHost {
    pools: HashMap<String, Arc<Pool>>,
    api: Mutex<Option<JoinHandle<()>>>,
    stop_workers: watch::Sender<bool>,
    stop_api: watch::Sender<bool>,
}

impl RuntimeHost {
    /// Listens for functions on loopback; a function's first process starts with its first invocation.
    pub async fn start(settings: Settings, functions: Vec<Deployed>) -> Result<Self> {
        std::fs::create_dir_all(&settings.logs).map_err(Error::file(&settings.logs))?;
        let (listener, address) = http::listen(0).await?;
        let (stop_workers, stop) = watch::channel(false);
        let (stop_api, api_stopped) = watch::channel(false);
        let launcher = Launcher::start(settings.guard.clone())?;
        let shared = Arc::new(Shared {
            address,
            settings,
            launcher,
            replacing: Semaphore::new(REPLACED_AT_ONCE),
            backlog: Backlog::new(),
            environments: Mutex::default(),
            stop,
        });
        let mut pools = HashMap::new();
        for deployed in functions {
            process::rotate_log(&shared.settings.logs, &deployed.function.binary)?;
            pools.insert(deployed.function.id.clone(), Pool::new(Arc::clone(&shared), deployed));
        }
        let served = Arc::clone(&shared);
        let handler = move |request| {
            let shared = Arc::clone(&served);
            async move { api::handle(&shared, request).await }
        };
        let api = tokio::spawn(http::serve(listener, handler, api_stopped));
        Ok(Self { pools, api: Mutex::new(Some(api)), stop_workers, stop_api })
    }

    /// Invokes a function and waits for its answer.
    pub async fn invoke(&self, function: &str, event: Bytes) -> std::result::Result<Outcome, InvokeError> {
        let pool = self.pools.get(function).ok_or(InvokeError::UnknownFunction)?;
        pool.invoke(event).await
    }

    /// Makes new versions of the functions the ones that invocations go to, as soon as they have come up; `binaries` are by package
    /// name. Environments of the old ones finish what they have begun and end.
    pub fn deploy(&self, binaries: &BTreeMap<String, PathBuf>) {
        for pool in self.pools.values() {
            if let Some(binary) = binaries.get(&pool.deployed.function.binary) {
                pool.deploy(binary.clone());
            }
        }
    }

    /// Live processes of one function.
    pub fn process_count(&self, function: &str) -> usize {
        self.pools.get(function).map_or(0, |pool| pool.size())
    }

    /// Invocations of one function that wait for an environment.
    pub fn waiting_count(&self, function: &str) -> usize {
        self.pools.get(function).map_or(0, |pool| pool.waiting())
    }

    /// Lets running invocations finish for a moment, then ends every process: SIGTERM first, SIGKILL 2 s later.
    /// Those who still hold the host get [`InvokeError::Stopping`] from then on.
    pub async fn stop(&self) {
        let _ = self.stop_workers.send(true);
        for pool in self.pools.values() {
            pool.stopped().await;
        }
        let _ = self.stop_api.send(true);
        let api = self.api.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(api) = api {
            let _ = api.await;
        }
    }
}
