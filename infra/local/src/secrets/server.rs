//! Secrets on loopback.

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Secrets, protocol};
use crate::error::Result;
use crate::http;

/// The running Secrets Manager.
pub struct SecretsServer {
    /// Its base URL.
    pub endpoint: String,
    task: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl SecretsServer {
    /// Serves on a free port whoever signs with this access key: others on the machine can reach the port, too.
    pub async fn start(secrets: Secrets, access_key: &str) -> Result<Self> {
        let (listener, address) = http::listen(0).await?;
        let (stop, stopped) = watch::channel(false);
        let access_key = access_key.to_owned();
        let handler = move |request| {
            let (secrets, access_key) = (secrets.clone(), access_key.clone());
            async move { protocol::handle(&secrets, &access_key, request).await }
        };
        let task = tokio::spawn(http::serve(listener, handler, stopped));
        Ok(Self { endpoint: format!("http://{address}"), task, stop })
    }

    /// Stops serving; what was put is in the file already.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}
