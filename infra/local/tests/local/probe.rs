//! A function whose process only exists; the test itself calls the Runtime and Extensions APIs in
//! its name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use officepro_local::runtime::{Deployed, RuntimeHost, Settings};
use officepro_local::template::Function;
use serde_json::Value;

/// A host with one function named `Probe`.
pub(crate) struct Bench {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) host: std::sync::Arc<RuntimeHost>,
    seen: std::sync::Mutex<Vec<PathBuf>>,
}

/// One process of the function.
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) variables: BTreeMap<String, String>,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// A function without routes and triggers.
pub(crate) fn function(timeout: Duration) -> Function {
    Function {
        id: "Probe".to_owned(),
        binary: "probe".to_owned(),
        timeout,
        memory: 256,
        environment: BTreeMap::from([("FROM_TEMPLATE".to_owned(), "yes".to_owned())]),
        routes: vec![],
        queues: vec![],
        schedules: vec![],
    }
}

/// Maximum number of invocations that wait for an environment.
pub(crate) const WAITING: usize = 3;

/// How long a slow machine may take.
pub(crate) const SLOWEST: Duration = Duration::from_mins(2);

pub(crate) fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/local/function.sh")
}

/// Whether this is the name of a file that the script has finished writing.
pub(crate) fn is_word(name: &str) -> bool {
    name.strip_prefix("started.").is_some_and(|pid| pid.parse::<u32>().is_ok())
}

/// Waits for something that another process does.
pub(crate) async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < SLOWEST, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Returns the result of work that could wait forever.
pub(crate) async fn ends<T>(what: &str, work: impl Future<Output = T>) -> T {
    let Ok(result) = tokio::time::timeout(SLOWEST, work).await else { panic!("still waiting for {what}") };
    result
}

/// Whether a process exists and is not a zombie.
pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

impl Bench {
    pub(crate) async fn new(timeout: Duration, environments: usize, idle: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let probe = folder.path().to_str().unwrap().to_owned();
        let deployed = Deployed {
            function: function(timeout),
            binary: script(),
            environment: BTreeMap::from([("PROBE_FOLDER".to_owned(), probe)]),
        };
        let settings =
            Settings { guard: None, logs: folder.path().join("logs"), environments, waiting: WAITING, idle };
        let host = RuntimeHost::start(settings, vec![deployed]).await.unwrap();
        Self { folder, host: std::sync::Arc::new(host), seen: std::sync::Mutex::default() }
    }

    /// Starts an invocation in the background.
    pub(crate) fn invoke(
        &self,
        event: &'static str,
    ) -> tokio::task::JoinHandle<
        Result<officepro_local::runtime::InvocationResult, officepro_local::runtime::InvokeError>,
    > {
        let host = std::sync::Arc::clone(&self.host);
        tokio::spawn(async move { host.invoke("Probe", Bytes::from(event)).await })
    }

    /// Waits until this many invocations wait for an environment.
    pub(crate) async fn waits(&self, count: usize) {
        eventually("the wait", || (self.host.waiting_count("Probe") == count).then_some(())).await;
    }

    /// Waits for the next process to start.
    pub(crate) async fn process(&self) -> Process {
        eventually("the start of a process", || self.started()).await
    }

    /// Returns a started process that has not been returned yet.
    pub(crate) fn started(&self) -> Option<Process> {
        let mut seen = self.seen.lock().unwrap();
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut files = entries.map(|entry| entry.unwrap().path());
        let file = files.find(|file| {
            let name = file.file_name().unwrap().to_str().unwrap();
            is_word(name) && !seen.contains(file)
        })?;
        seen.push(file.clone());
        Some(Process::read(&file))
    }
}

impl Process {
    pub(crate) fn read(file: &Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap();
        let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            pid: file.extension().unwrap().to_str().unwrap().parse().unwrap(),
            variables: text.lines().filter_map(pair).collect(),
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// Returns another client of the same process.
    pub(crate) fn copy(&self) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { pid: self.pid, variables: self.variables.clone(), client }
    }

    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (StatusCode, HeaderMap, Bytes) {
        let uri = format!("{}{path}", self.variables["AWS_LAMBDA_RUNTIME_API"]);
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
        let (parts, body) = self.client.request(request).await.unwrap().into_parts();
        (parts.status, parts.headers, body.collect().await.unwrap().to_bytes())
    }

    /// Makes the runtime's call to `next`; returns the request's id and the event.
    pub(crate) async fn next(&self) -> (String, Bytes) {
        let (status, headers, event) =
            self.call(Method::GET, "/2018-06-01/runtime/invocation/next", &[], "").await;
        assert_eq!(status, 200);
        (headers["lambda-runtime-aws-request-id"].to_str().unwrap().to_owned(), event)
    }

    pub(crate) async fn respond(&self, id: &str, body: &str) -> StatusCode {
        let path = format!("/2018-06-01/runtime/invocation/{id}/response");
        self.call(Method::POST, &path, &[], body).await.0
    }

    /// Registers an internal extension and returns its id.
    pub(crate) async fn register(&self, name: &str, events: &str) -> (StatusCode, String, Value) {
        let headers = [("Lambda-Extension-Name", name), ("Lambda-Extension-Accept-Feature", "accountId")];
        let body = format!("{{\"events\":{events}}}");
        let (status, headers, body) =
            self.call(Method::POST, "/2020-01-01/extension/register", &headers, &body).await;
        let id = headers.get("lambda-extension-identifier").map(|id| id.to_str().unwrap().to_owned());
        (status, id.unwrap_or_default(), serde_json::from_slice(&body).unwrap())
    }

    pub(crate) async fn extension_next(&self, id: &str) -> Value {
        let headers = [("Lambda-Extension-Identifier", id)];
        let (status, _, body) =
            self.call(Method::GET, "/2020-01-01/extension/event/next", &headers, "").await;
        assert_eq!(status, 200);
        serde_json::from_slice(&body).unwrap()
    }

    /// Kills the process with SIGKILL.
    pub(crate) fn kill(&self) {
        let killed = std::process::Command::new("kill").args(["-9", &self.pid.to_string()]).status().unwrap();
        assert!(killed.success());
    }
}
