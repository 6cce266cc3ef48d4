//! An emulation of the Lambda service: runs function binaries as processes, and serves them the
//! documented Runtime and Extensions APIs.
//!
//! One environment is one process, which handles one invocation at a time.

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
pub use invocation::{InvocationResult, InvokeError};
use pool::Pool;
use process::Launcher;
use queue::Backlog;

/// How many environments of a new version start at a time.
///
/// In Lambda each has its own processor; here, starting all of them together would slow down those
/// that serve.
const REPLACED_AT_ONCE: usize = 1;

/// Settings of the host.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Program that makes functions end with the stack (see [`guard`]); `None` runs binaries
    /// directly.
    pub guard: Option<PathBuf>,
    /// Folder for the functions' logs.
    pub logs: PathBuf,
    /// Maximum number of processes per function.
    pub environments: usize,
    /// Maximum number of invocations per function that wait for an environment; more are rejected.
    pub waiting: usize,
    /// How long an environment may be idle, unless it is the function's only one.
    pub idle: Duration,
}

/// A function and its binary.
#[derive(Debug, Clone)]
pub struct Deployed {
    pub function: Function,
    pub binary: PathBuf,
    /// Variables that override the template's, e.g. endpoints.
    pub environment: BTreeMap<String, String>,
}

/// State shared by the Runtime API and all workers.
struct Shared {
    address: SocketAddr,
    settings: Settings,
    launcher: Launcher,
    /// Held by each environment of a new version while it starts.
    replacing: Semaphore,
    /// The waiting invocations of all functions.
    backlog: Backlog,
    /// Live environments by the secret first segment of their base URL.
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
    /// Serves functions on loopback; a function's first process starts with its first invocation.
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
            process::rotate_log(&shared.settings.logs, &deployed.function.name())?;
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

    /// Invokes a function and waits for its response.
    pub async fn invoke(
        &self,
        function: &str,
        event: Bytes,
    ) -> std::result::Result<InvocationResult, InvokeError> {
        let pool = self.pools.get(function).ok_or(InvokeError::UnknownFunction)?;
        pool.invoke(event).await
    }

    /// Deploys new binaries, given by package name. Invocations go to environments of the new
    /// version as soon as these have started; those of the old one finish their work and end.
    pub fn deploy(&self, binaries: &BTreeMap<String, PathBuf>) {
        for pool in self.pools.values() {
            if let Some(binary) = binaries.get(&pool.deployed.function.binary) {
                pool.deploy(binary.clone());
            }
        }
    }

    /// Returns the number of live processes of a function.
    pub fn process_count(&self, function: &str) -> usize {
        self.pools.get(function).map_or(0, |pool| pool.size())
    }

    /// Returns the number of invocations of a function that wait for an environment.
    pub fn waiting_count(&self, function: &str) -> usize {
        self.pools.get(function).map_or(0, |pool| pool.waiting())
    }

    /// Waits a moment for running invocations to finish, then ends every process: SIGTERM first,
    /// SIGKILL 2 s later. From then on, [`Self::invoke`] returns [`InvokeError::Stopping`].
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
