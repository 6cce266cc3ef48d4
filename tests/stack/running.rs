//! A local stack of a test's own.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::http::{Http, Reply};

/// Read by every test here, written by one that measures: then nothing else runs.
pub(crate) static MACHINE: tokio::sync::RwLock<()> = tokio::sync::RwLock::const_new(());

/// Runs until it is dropped; then every process of it is gone.
pub(crate) struct Stack {
    process: Child,
    pub(crate) base: String,
    pub(crate) folder: PathBuf,
    pub(crate) http: Http,
    demo: Value,
}

/// A key as the stack shows it when it starts.
pub(crate) struct DemoKey {
    pub(crate) practicepass: String,
    pub(crate) api_key: String,
}

/// Builds stack and functions once; the path of the stack's program.
pub(crate) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--workspace", "--exclude", "tests", "--bins"])
            .current_dir(root)
            .status()
            .unwrap();
        assert!(built.success(), "the binaries don't build");
        let test = std::env::current_exe().unwrap();
        test.ancestors().nth(2).unwrap().join("officepro-local")
    })
}

impl Stack {
    /// Builds what is not built yet.
    pub(crate) async fn build() -> &'static Path {
        tokio::task::spawn_blocking(program).await.unwrap()
    }

    /// Starts on a folder that may hold an earlier run's data.
    pub(crate) async fn start(folder: &Path, more: &[&str]) -> Self {
        Self::start_with_target(folder, more, None).await
    }

    /// As [`Self::start`], with the functions of another target folder than cargo's.
    pub(crate) async fn start_with_target(folder: &Path, more: &[&str], target: Option<&Path>) -> Self {
        let program = Self::build().await;
        let log =
            std::fs::OpenOptions::new().create(true).append(true).open(folder.join("stack.log")).unwrap();
        let described = folder.join("data/stack.json");
        let _ = std::fs::remove_file(&described);
        let binaries = target.or(program.parent()).unwrap();
        let process = Command::new(program)
            .args(["--port", "0", "--binaries"])
            .arg(binaries)
            .arg("--data-dir")
            .arg(folder.join("data"))
            .args(more)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut stack = Self {
            process,
            base: String::new(),
            folder: folder.to_owned(),
            http: Http::new(),
            demo: Value::Null,
        };
        let began = Instant::now();
        loop {
            let read = |path: PathBuf| serde_json::from_slice::<Value>(&std::fs::read(path).ok()?).ok();
            if let (Some(running), Some(demo)) =
                (read(described.clone()), read(folder.join("data/demo.json")))
            {
                stack.base = running["baseUrl"].as_str().unwrap().to_owned();
                stack.demo = demo;
                if stack.get_status("/v1/health").await == Some(200) {
                    return stack;
                }
            }
            assert!(stack.process.try_wait().unwrap().is_none(), "the stack ended: {}", stack.log());
            assert!(began.elapsed() < Duration::from_mins(1), "the stack didn't start: {}", stack.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("stack.log")).unwrap_or_default()
    }

    async fn get_status(&self, path: &str) -> Option<u16> {
        self.http.send("GET", &format!("{}{path}", self.base), None, None).await.map(|it| it.status)
    }

    pub(crate) async fn send(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Option<Reply> {
        self.http.send(method, &format!("{}{path}", self.base), Some(token), body).await
    }

    /// The answer's body, which must come with this status.
    pub(crate) async fn expect(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
        status: u16,
    ) -> Value {
        let reply = self
            .send(token, method, path, body)
            .await
            .unwrap_or_else(|| panic!("no answer to {method} {path}"));
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.body);
        assert!(reply.headers.contains_key("x-request-id"));
        reply.body
    }

    /// A token of the first demo key of `DemoOffice`, which has all scopes.
    pub(crate) async fn token(&self) -> String {
        self.token_where(|_| true).await
    }

    /// A token of the first demo key of `DemoOffice` that is as wanted.
    pub(crate) async fn token_where(&self, wanted: impl Fn(&Value) -> bool) -> String {
        self.token_from(&self.demo_key(|key| key["practicepass"] == "DemoOffice" && wanted(key))).await
    }

    /// A token of a key for `DemoOffice`.
    pub(crate) async fn token_of(&self, api_key: &str) -> String {
        let practicepass = "DemoOffice".to_owned();
        self.token_from(&DemoKey { practicepass, api_key: api_key.to_owned() }).await
    }

    /// The first demo key that is as wanted.
    pub(crate) fn demo_key(&self, wanted: impl Fn(&Value) -> bool) -> DemoKey {
        let keys = self.demo["keys"].as_array().unwrap();
        let key = keys.iter().find(|key| wanted(key)).unwrap();
        let text = |name: &str| key[name].as_str().unwrap().to_owned();
        DemoKey { practicepass: text("practicepass"), api_key: text("apiKey") }
    }

    pub(crate) async fn token_from(&self, key: &DemoKey) -> String {
        let body = json!({ "apiKey": key.api_key });
        let url = format!("{}/v1/{}/auth/token", self.base, key.practicepass);
        let reply = self.http.send("POST", &url, None, Some(&body)).await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.body["accessToken"].as_str().unwrap().to_owned()
    }

    /// What an administrator sees of webhooks.
    pub(crate) async fn monitor(&self) -> Value {
        self.as_admin("/v1/admin/webhooks/monitor", None, 200).await
    }

    /// The overview of the last two days.
    pub(crate) async fn overview(&self) -> Value {
        self.as_admin("/v1/admin/overview?days=2", None, 200).await["data"].take()
    }

    /// What an administrator sees.
    pub(crate) async fn admin_get(&self, path: &str) -> Value {
        self.as_admin(path, None, 200).await
    }

    /// What an administrator creates.
    pub(crate) async fn admin(&self, path: &str, body: &Value) -> Value {
        self.as_admin(path, Some(body), 201).await
    }

    /// What an administrator changes.
    pub(crate) async fn admin_with_status(&self, path: &str, body: &Value, status: u16) -> Value {
        self.as_admin(path, Some(body), status).await
    }

    pub(crate) fn admin_secret(&self) -> String {
        self.demo["adminSecret"].as_str().unwrap().to_owned()
    }

    async fn as_admin(&self, path: &str, body: Option<&Value>, status: u16) -> Value {
        let secret = self.demo["adminSecret"].as_str().unwrap();
        let reply = self.http.send_as_admin(&format!("{}{path}", self.base), secret, body).await.unwrap();
        assert_eq!(reply.status, status, "{path}: {}", reply.body);
        reply.body
    }

    /// The EMR writes rows into the practice's log.
    pub(crate) async fn emit(&self, scope: &str, count: u32) {
        let mut command = Command::new(program());
        command.args(["emit", "DemoOffice", scope, "--count", &count.to_string(), "--data-dir"]);
        command.arg(self.folder.join("data")).stdout(Stdio::null());
        let status = tokio::task::spawn_blocking(move || command.status().unwrap()).await.unwrap();
        assert!(status.success());
    }

    /// Process ids of the running binaries of a function.
    pub(crate) fn processes_of(&self, function: &str) -> Vec<u32> {
        let stack = self.process.id();
        let all =
            std::fs::read_dir("/proc").unwrap().filter_map(|it| it.ok()?.file_name().to_str()?.parse().ok());
        all.filter(|pid: &u32| {
            let of_stack = std::fs::read_to_string(format!("/proc/{pid}/stat"))
                .ok()
                .and_then(|stat| stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse::<u32>().ok())
                == Some(stack);
            let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
            of_stack && program.file_name().is_some_and(|name| name == function)
        })
        .collect()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Makes sure that the whole stack is gone.
    pub(crate) fn kill(&mut self) {
        let _ = self.process.kill();
        self.process.wait().unwrap();
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // The functions end with their parent.
        let _ = self.process.kill();
        let _ = self.process.wait();
        // Whatever the test was about: what a function is refused here it is refused in AWS.
        let refused = self.log().lines().any(|line| line.starts_with("ERROR permissions"));
        assert!(!refused || std::thread::panicking(), "{}", self.log());
    }
}

/// kill -9 of one process.
pub(crate) fn kill(pid: u32) {
    send_signal(pid, "KILL");
}

pub(crate) fn send_signal(pid: u32, signal: &str) {
    let _ = Command::new("kill").args(["-s", signal, &pid.to_string()]).status();
}
