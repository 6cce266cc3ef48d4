//! SQS standard queues: the service (rules), the store (messages) and the protocol of the SDK (AWS
//! JSON 1.0 on loopback).

mod attributes;
mod database;
mod fault;
mod messages;
mod protocol;
mod requests;
mod service;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::error::Result;
use crate::http;
use crate::permissions::Permissions;
use crate::template::Queue;
pub use fault::Fault;
pub use messages::Message;
pub use service::{Receive, Send, Sent, Service};

/// The running SQS server.
pub struct SqsServer {
    /// The queues, for callers in this process.
    pub service: Arc<Service>,
    task: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl SqsServer {
    /// Returns a listener on a free port and its base URL, e.g. `http://127.0.0.1:9324`, which is
    /// needed before the queues are known.
    pub async fn listen() -> Result<(TcpListener, String)> {
        let (listener, address) = http::listen(0).await?;
        Ok((listener, endpoint(address)))
    }

    /// Opens the messages stored in `file` and serves the queues to every caller, without
    /// authentication or authorization.
    pub fn start(listener: TcpListener, endpoint: String, file: &Path, queues: &[Queue]) -> Result<Self> {
        Self::serve(listener, endpoint, file, queues, None)
    }

    /// Like [`Self::start`], but allows only the callers and actions that the permissions list.
    pub fn start_with(
        permissions: &Arc<Permissions>,
        listener: TcpListener,
        endpoint: String,
        file: &Path,
        queues: &[Queue],
    ) -> Result<Self> {
        Self::serve(listener, endpoint, file, queues, Some(Arc::clone(permissions)))
    }

    fn serve(
        listener: TcpListener,
        endpoint: String,
        file: &Path,
        queues: &[Queue],
        permissions: Option<Arc<Permissions>>,
    ) -> Result<Self> {
        let service = Arc::new(Service::open(file, queues)?);
        let (stop, stopped) = watch::channel(false);
        let served = Arc::clone(&service);
        let handler = move |request| {
            let (service, endpoint, permissions) =
                (Arc::clone(&served), endpoint.clone(), permissions.clone());
            async move { protocol::handle(&service, &endpoint, permissions.as_deref(), request).await }
        };
        let task = tokio::spawn(http::serve(listener, handler, stopped));
        Ok(Self { service, task, stop })
    }

    /// Stops serving; every acknowledged message is already in the file.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}

fn endpoint(address: SocketAddr) -> String {
    format!("http://{address}")
}
