//! The drill's own local stack, and calls to it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{Request, StatusCode};
use officepro_operator::Operator;
use officepro_operator::admin_api::{HttpClient, client, exchange};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::data_dir::DataDir;
use crate::demo::{self, Demo};
use crate::error::{Error, Result};
use crate::running::RunningStack;
use crate::stack::{HttpListener, Options, Stack, Stores};

/// The practice that the drill restores.
pub(super) const PRACTICE: &str = "DemoOffice";
/// How long to wait for something before the drill fails.
const LONGEST_WAIT: Duration = Duration::from_mins(2);
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// The configuration of a drill.
pub struct Setting {
    pub root: PathBuf,
    /// The functions' executables by package name.
    pub binaries: BTreeMap<String, PathBuf>,
    pub guard: Option<PathBuf>,
    /// The `PostgreSQL` server for the practices' databases; `None` for SQLite files.
    pub server: Option<String>,
}

pub(super) struct Scene<'a> {
    setting: &'a Setting,
    pub(super) folder: PathBuf,
    stack: Option<Stack>,
    demo: Option<Demo>,
    base: String,
    client: HttpClient,
}

/// The response to a call.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) request_id: String,
    pub(super) is_replay: bool,
    pub(super) body: Value,
}

impl<'a> Scene<'a> {
    pub(super) fn new(setting: &'a Setting, folder: &Path) -> Result<Self> {
        let (folder, base) = (folder.to_owned(), String::new());
        Ok(Self { setting, folder, stack: None, demo: None, base, client: client()? })
    }

    /// Starts the stack; without `events`, the poller does not run and queues are not read.
    pub(super) async fn open(&mut self, events: bool) -> Result<()> {
        let stores =
            Stores::start(&self.setting.root.join("template.yaml"), DataDir::open(&self.folder)?).await?;
        let listener = HttpListener::open(0).await?;
        // The data is created once; later starts must change nothing.
        if self.demo.is_none() {
            self.demo = demo::prepare(&stores, &listener.base_url, self.setting.server.as_deref()).await?;
        }
        let options = Options {
            binaries: self.setting.binaries.clone(),
            portal: self.setting.root.join("infra/portal"),
            guard: self.setting.guard.clone(),
            environments: 4,
            every: Some(Duration::from_secs(1)),
            events,
            variables: Vec::new(),
        };
        self.base.clone_from(&listener.base_url);
        self.stack = Some(Stack::start(stores, listener, options).await?);
        Ok(())
    }

    pub(super) async fn close(&mut self) {
        if let Some(stack) = self.stack.take() {
            stack.stop().await;
        }
    }

    pub(super) fn stores(&self) -> Result<&Stores> {
        let closed = || Error::Refused("the drill's stack is not running".to_owned());
        self.stack.as_ref().map(Stack::stores).ok_or_else(closed)
    }

    pub(super) fn server(&self) -> Option<&str> {
        self.setting.server.as_deref()
    }

    pub(super) fn operator(&self) -> Result<Operator> {
        Ok(RunningStack::of(&self.folder)?.operator(&self.folder))
    }

    pub(super) async fn call(
        &self,
        headers: &[(&str, &str)],
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Reply> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = request.body(body.into()).map_err(|error| Error::store(path, error))?;
        let reply = exchange(&self.client, request).await?;
        let header = |name: &str| reply.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default();
        Ok(Reply {
            status: reply.status,
            request_id: header("x-request-id").to_owned(),
            is_replay: header("idempotent-replayed") == "true",
            body: serde_json::from_slice(&reply.body).unwrap_or_default(),
        })
    }

    /// Makes a call as an administrator, which must succeed; returns the body.
    pub(super) async fn admin(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let reply = self.call(&[("x-admin-secret", self.admin_secret())], method, path, body).await?;
        reply.good(path)
    }

    /// Makes a call as an administrator with an `Idempotency-Key`, which must succeed; returns the
    /// body.
    pub(super) async fn admin_once(
        &self,
        method: &str,
        path: &str,
        body: &Value,
        once: &str,
    ) -> Result<Value> {
        let headers = [("x-admin-secret", self.admin_secret()), ("idempotency-key", once)];
        self.call(&headers, method, path, Some(body)).await?.good(path)
    }

    fn admin_secret(&self) -> &str {
        self.demo.as_ref().map(|it| it.admin_secret.as_str()).unwrap_or_default()
    }

    /// Exchanges an API key for a token; `None` if the key is rejected.
    pub(super) async fn token(&self, api_key: &str) -> Result<Option<String>> {
        let path = format!("/v1/{PRACTICE}/auth/token");
        let reply = self.call(&[], "POST", &path, Some(&json!({ "apiKey": api_key }))).await?;
        Ok(reply.body["accessToken"].as_str().map(str::to_owned))
    }

    /// Makes a call as a partner, which must succeed; returns the body.
    pub(super) async fn partner(
        &self,
        api_key: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value> {
        self.reply(api_key, method, path, body).await?.good(path)
    }

    /// Makes a call as a partner.
    pub(super) async fn reply(
        &self,
        api_key: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Reply> {
        self.keyed(api_key, method, path, body, None).await
    }

    /// Makes a call as a partner with an optional `Idempotency-Key`.
    pub(super) async fn keyed(
        &self,
        api_key: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
        once: Option<&str>,
    ) -> Result<Reply> {
        let refused = || Error::Refused(format!("{path}: the key was rejected"));
        let token = format!("Bearer {}", self.token(api_key).await?.ok_or_else(refused)?);
        let mut headers = vec![("authorization", token.as_str())];
        headers.extend(once.map(|once| ("idempotency-key", once)));
        self.call(&headers, method, path, body).await
    }

    /// Waits for a call's record, which is written after its response.
    pub(super) async fn recorded(&self, request_id: &str) -> Result<()> {
        let path = format!("/v1/admin/activity?requestId={request_id}");
        until("the record of a call", async || {
            Ok(self.admin("GET", &path, None).await?["data"].get(0).is_some())
        })
        .await
    }
}

impl Reply {
    pub(super) fn good(self, path: &str) -> Result<Value> {
        if self.status.is_success() {
            return Ok(self.body);
        }
        Err(Error::Refused(format!("{path}: {}: {}", self.status, self.body)))
    }
}

/// Waits for a condition.
pub(super) async fn until(what: &str, mut holds: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let began = Instant::now();
    while !holds().await? {
        if began.elapsed() > LONGEST_WAIT {
            return Err(Error::Refused(format!("timed out waiting for {what}")));
        }
        sleep(BETWEEN_LOOKS).await;
    }
    Ok(())
}
