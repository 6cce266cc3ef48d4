//! The webhook endpoint of the drill's partners.

use std::sync::{Arc, Mutex, PoisonError};

use http::{Request, StatusCode};
use hyper::body::Incoming;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::error::Result;
use crate::http::{self as server, answer, listen, read_body};

/// Maximum body size in bytes; events contain only ids.
const LIMIT: usize = 64 * 1024;

/// One received event.
#[derive(Clone, Debug)]
pub(super) struct Received {
    /// The path of the partner's endpoint.
    pub(super) path: String,
    pub(super) body: Value,
}

impl Received {
    pub(super) fn event_id(&self) -> &str {
        self.body["eventId"].as_str().unwrap_or_default()
    }

    /// Returns its content without its id: the log row, the record and the time.
    pub(super) fn says(&self) -> (i64, i64, String) {
        let number = |name: &str| self.body[name].as_i64().unwrap_or_default();
        (number("logId"), number("recordId"), self.body["occurredAt"].to_string())
    }
}

pub(super) struct Endpoint {
    base: String,
    received: Arc<Mutex<Vec<Received>>>,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

impl Endpoint {
    pub(super) async fn start() -> Result<Self> {
        let (listener, address) = listen(0).await?;
        let (stop, stopped) = watch::channel(false);
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let taken = Arc::clone(&received);
        let handler = move |request: Request<Incoming>| {
            let taken = Arc::clone(&taken);
            async move {
                let path = request.uri().path().to_owned();
                let Ok(body) = read_body(request.into_body(), LIMIT).await else {
                    return answer(StatusCode::BAD_REQUEST, "text/plain", "");
                };
                let body = serde_json::from_slice(&body).unwrap_or_default();
                taken.lock().unwrap_or_else(PoisonError::into_inner).push(Received { path, body });
                answer(StatusCode::OK, "text/plain", "")
            }
        };
        let server = tokio::spawn(server::serve(listener, handler, stopped));
        Ok(Self { base: format!("http://{address}"), received, stop, server })
    }

    pub(super) fn url(&self, partner: &str) -> String {
        format!("{}/{partner}", self.base)
    }

    /// Returns all events received so far, including duplicates.
    pub(super) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.server.await;
    }
}
