//! Serves the secrets on loopback.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Secrets, protocol};
use crate::error::Result;
use crate::http;
use crate::permissions::Permissions;

/// The running Secrets Manager.
pub struct SecretsServer {
    /// Base URL.
    pub endpoint: String,
    task: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl SecretsServer {
    /// Serves callers that the permissions know, on a free port that any process on the machine can
    /// reach.
    pub async fn start(secrets: Secrets, permissions: Arc<Permissions>) -> Result<Self> {
        let (listener, address) = http::listen(0).await?;
        let (stop, stopped) = watch::channel(false);
        let handler = move |request| {
            let (secrets, permissions) = (secrets.clone(), Arc::clone(&permissions));
            async move { protocol::handle(&secrets, &permissions, request).await }
        };
        let task = tokio::spawn(http::serve(listener, handler, stopped));
        Ok(Self { endpoint: format!("http://{address}"), task, stop })
    }

    /// Stops serving. Every change is already in the file.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}
