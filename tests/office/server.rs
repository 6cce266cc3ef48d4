//! Servers in this process that stand in for AWS.

use tokio::sync::oneshot;

/// A server on its own thread. It ends, and closes its files, when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(super) endpoint: String,
    _ends: oneshot::Sender<()>,
}

impl Server {
    /// Runs what `start` returns: an endpoint, and the server, which ends when it is dropped.
    pub(super) async fn start<S>(start: impl AsyncFnOnce() -> (String, S) + Send + 'static) -> Self {
        let (sender, endpoint) = oneshot::channel();
        let (ends, ended) = oneshot::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let (endpoint, _server) = start().await;
                sender.send(endpoint).unwrap();
                // An error: the other side was dropped.
                let _: Result<(), _> = ended.await;
            });
        });
        Self { endpoint: endpoint.await.unwrap(), _ends: ends }
    }
}
