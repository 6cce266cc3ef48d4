//! The log lines of the functions.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use shared::telemetry;
use tracing_subscriber::EnvFilter;

/// The lines of code that runs with its subscriber, with metrics in the namespace `Tests`.
#[derive(Clone, Default)]
pub(crate) struct Logs(Arc<Mutex<Vec<u8>>>);

impl Logs {
    pub(crate) fn subscriber(&self) -> impl tracing::Subscriber + Send + Sync + use<> {
        self.filtered("info", Some("Tests"))
    }

    pub(crate) fn filtered(
        &self,
        filter: &str,
        namespace: Option<&str>,
    ) -> impl tracing::Subscriber + Send + Sync + use<> {
        super::statements::listen();
        let kept = self.0.clone();
        let sink = Arc::new(move |line: &[u8]| kept.lock().unwrap().extend(line));
        telemetry::subscriber("tests", namespace.map(str::to_owned), EnvFilter::new(filter), sink)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    pub(crate) fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Returns the lines with this message.
    pub(crate) fn of(&self, message: &str) -> Vec<Value> {
        self.lines().into_iter().filter(|line| line["message"] == message).collect()
    }

    /// Returns the lines from which CloudWatch extracts metrics.
    pub(crate) fn metrics(&self) -> Vec<Value> {
        self.lines().into_iter().filter(|line| line.get("_aws").is_some()).collect()
    }
}
