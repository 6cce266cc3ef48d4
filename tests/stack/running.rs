//! Local stacks for tests.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, OnceLock},
};

use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::{
    http::{Http, Reply},
    wait::until,
};

/// A running stack. A test's own stack runs until it is dropped, which ends all its processes.
pub(crate) struct Stack {
    /// `None` for a shared stack.
    own: Option<Process>,
    pid: u32,
    pub(crate) base: String,
    pub(crate) folder: PathBuf,
    pub(crate) http: Http,
    demo: Value,
    /// Request ids of calls whose records are expected.
    noted: Mutex<Vec<String>>,
}

/// A stack's process, and a keeper that ends it if the test process is killed.
struct Process {
    stack: Child,
    keeper: Child,
}

/// A stack shared by tests that neither end, stall nor reconfigure it; it ends with the test
/// process.
///
/// Each test uses its own partner, and its own practice where needed, and counts nothing else.
pub(crate) struct Shared(OnceCell<Stack>);

/// For tests of partners' and operators' work.
pub(crate) static EVERYDAY: Shared = Shared(OnceCell::const_new());
/// For tests that change secrets and schemas without disturbing each other; none uses a token from
/// before such a change.
pub(crate) static MAINTAINED: Shared = Shared(OnceCell::const_new());

/// A demo key, as the stack prints it at its start.
pub(crate) struct DemoKey {
    pub(crate) practicepass: String,
    pub(crate) api_key: String,
}

/// Returns the path of the stack's program, building it if needed.
pub(crate) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tools/stack-program");
        let found = Command::new(script).stderr(Stdio::inherit()).output().unwrap();
        assert!(found.status.success(), "building the program failed");
        String::from_utf8(found.stdout).unwrap().trim().into()
    })
}

/// Returns the path of the operators' program for stacks in AWS, which is beside the stack's.
pub(crate) fn operators_program() -> PathBuf {
    program().with_file_name("officepro-operator")
}

/// Options for starting a stack.
#[derive(Default)]
pub(crate) struct Start<'a> {
    pub(crate) options: &'a [&'a str],
    /// Folder of the function binaries, if they are not in the stack's program.
    pub(crate) binaries: Option<&'a Path>,
    /// Environment variables of the stack itself, which its functions don't see.
    pub(crate) environment: &'a [(&'a str, &'a Path)],
}

impl Process {
    fn start(folder: &Path, start: &Start<'_>) -> Self {
        let log = fs::OpenOptions::new().create(true).append(true).open(folder.join("stack.log")).unwrap();
        let mut stack = Command::new(program());
        stack.envs(start.environment.iter().copied());
        stack.args(["--port", "0"]);
        stack.args(start.binaries.iter().flat_map(|folder| [Path::new("--binaries"), folder]));
        stack.arg("--data-dir").arg(folder.join("data")).args(start.options);
        stack.stdout(log.try_clone().unwrap()).stderr(log).stdin(Stdio::null());
        let stack = stack.spawn().unwrap();
        let keeper = Self::keeper(&stack, folder);
        Self { stack, keeper }
    }

    /// Starts a keeper; its standard input closes when this process ends for any reason.
    fn keeper(stack: &Child, folder: &Path) -> Child {
        use std::os::unix::process::CommandExt;

        let mut keeper = Command::new("sh");
        keeper.args(["-c", r#"cat; kill -s KILL "$1"; sleep 1; rm -rf "$2""#, "keeper"]);
        keeper.arg(stack.id().to_string()).arg(folder);
        // Ctrl-C must reach only the tests.
        keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        keeper.spawn().unwrap()
    }

    fn kill(&mut self) {
        // The functions end with the stack.
        let _ = self.stack.kill();
        let _ = self.stack.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
        self.kill();
    }
}

impl Shared {
    /// Returns the test's view of the stack, which the first caller starts.
    pub(crate) async fn stack(&self) -> Stack {
        let start = async || {
            let folder = tempfile::tempdir().unwrap();
            let stack = Stack::start(folder.path(), &["--every", "1", "--environments", "16"]).await;
            // The keeper removes the folder.
            let _ = folder.keep();
            stack
        };
        let stack = self.0.get_or_init(start).await;
        Stack {
            own: None,
            pid: stack.pid,
            base: stack.base.clone(),
            folder: stack.folder.clone(),
            // Each test needs its own connections.
            http: Http::new(),
            demo: stack.demo.clone(),
            noted: Mutex::default(),
        }
    }
}

impl Stack {
    /// Builds the program if needed.
    pub(crate) async fn build() -> &'static Path {
        tokio::task::spawn_blocking(program).await.unwrap()
    }

    /// Starts a stack in a folder that may have an earlier run's data.
    pub(crate) async fn start(folder: &Path, more: &[&str]) -> Self {
        Self::start_as(folder, &Start { options: more, ..Start::default() }).await
    }

    pub(crate) async fn start_as(folder: &Path, start: &Start<'_>) -> Self {
        Self::build().await;
        let described = folder.join("data/stack.json");
        let _ = fs::remove_file(&described);
        let process = Process::start(folder, start);
        let mut stack = Self {
            pid: process.stack.id(),
            own: Some(process),
            base: String::new(),
            folder: folder.to_owned(),
            http: Http::new(),
            demo: Value::Null,
            noted: Mutex::default(),
        };
        until("a healthy stack", async || {
            let read = |path: PathBuf| serde_json::from_slice::<Value>(&fs::read(path).ok()?).ok();
            if let (Some(running), Some(demo)) =
                (read(described.clone()), read(folder.join("data/demo.json")))
            {
                running["baseUrl"].as_str().unwrap().clone_into(&mut stack.base);
                stack.demo = demo;
                if stack.get_status("/v1/health").await == Some(200) {
                    return Ok(());
                }
            }
            let ended = stack.own.as_mut().unwrap().stack.try_wait().unwrap();
            assert!(ended.is_none(), "the stack ended: {}", stack.log());
            Err(stack.log())
        })
        .await;
        stack
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("stack.log")).unwrap_or_default()
    }

    /// Stores the logs of the stack and its functions under the test's name.
    fn keep_logs(&self) {
        let test = std::thread::current().name().unwrap_or("unnamed").replace("::", ".");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let kept = target.join("test-logs").join(test);
        let _ = fs::remove_dir_all(&kept);
        fs::create_dir_all(&kept).unwrap();
        let of_functions = fs::read_dir(self.folder.join("data/logs")).into_iter().flatten();
        let logs = of_functions.map(|entry| entry.unwrap().path()).chain([self.folder.join("stack.log")]);
        for log in logs {
            fs::copy(&log, kept.join(log.file_name().unwrap())).unwrap();
        }
        eprintln!("logs: {}", kept.display());
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

    /// Makes a call, which must return this status; returns the body.
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
        self.note(&reply);
        reply.body
    }

    /// Returns a token of the first demo key of `DemoOffice`, which has all scopes.
    pub(crate) async fn token(&self) -> String {
        self.token_where(|_| true).await
    }

    /// Returns a token of the first demo key of `DemoOffice` that `wanted` accepts.
    pub(crate) async fn token_where(&self, wanted: impl Fn(&Value) -> bool) -> String {
        self.token_from(&self.demo_key(|key| key["practicepass"] == "DemoOffice" && wanted(key))).await
    }

    /// Returns a token of a key for `DemoOffice`.
    pub(crate) async fn token_of(&self, api_key: &str) -> String {
        let practicepass = "DemoOffice".to_owned();
        self.token_from(&DemoKey { practicepass, api_key: api_key.to_owned() }).await
    }

    /// Returns the first demo key that `wanted` accepts.
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

    /// Returns a token of a new partner with all scopes in `DemoOffice`.
    pub(crate) async fn token_of_new_partner(&self, company: &str) -> String {
        let partner = self.admin("/v1/admin/partners", &json!({ "company": company })).await;
        let key = json!({
            "partnerId": partner["data"]["id"], "name": company, "practicepass": "DemoOffice",
            "rateLimit": 100_000,
            "scopes": self.demo["keys"][0]["scopes"],
        });
        let key = self.admin("/v1/admin/keys", &key).await;
        self.token_of(key["data"]["apiKey"].as_str().unwrap()).await
    }

    /// Remembers a call whose record is expected.
    pub(crate) fn note(&self, reply: &Reply) {
        self.noted.lock().unwrap().push(reply.headers["x-request-id"].to_str().unwrap().to_owned());
    }

    /// Waits for the records of all remembered calls.
    pub(crate) async fn all_recorded(&self) {
        let noted = std::mem::take(&mut *self.noted.lock().unwrap());
        for request_id in noted {
            self.recorded(&request_id).await;
        }
    }

    /// Waits for the record of the call with this request id, which is written after its response.
    pub(crate) async fn recorded(&self, request_id: &str) -> Value {
        let path = format!("/v1/admin/activity?requestId={request_id}");
        until(&format!("the record of {request_id}"), async || {
            let mut rows = self.admin_get(&path).await["data"].take();
            rows.get_mut(0).map(Value::take).ok_or_else(String::new)
        })
        .await
    }

    /// Returns the webhook monitor.
    pub(crate) async fn monitor(&self) -> Value {
        self.as_admin("/v1/admin/webhooks/monitor", None, 200).await
    }

    /// Returns the overview of the last two days.
    pub(crate) async fn overview(&self) -> Value {
        self.as_admin("/v1/admin/overview?days=2", None, 200).await["data"].take()
    }

    /// Makes a GET as an administrator.
    pub(crate) async fn admin_get(&self, path: &str) -> Value {
        self.as_admin(path, None, 200).await
    }

    /// Creates something as an administrator.
    pub(crate) async fn admin(&self, path: &str, body: &Value) -> Value {
        self.as_admin(path, Some(body), 201).await
    }

    /// Makes a POST as an administrator, which must return this status.
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

    /// Writes rows to the practice's log as the EMR.
    pub(crate) async fn emit(&self, scope: &str, count: u32) {
        let mut command = Command::new(program());
        command.args(["emit", "DemoOffice", scope, "--count", &count.to_string(), "--data-dir"]);
        command.arg(self.folder.join("data")).stdout(Stdio::null());
        let status = tokio::task::spawn_blocking(move || command.status().unwrap()).await.unwrap();
        assert!(status.success());
    }

    /// Returns the process ids of a function.
    pub(crate) fn processes_of(&self, function: &str) -> Vec<u32> {
        let stack = self.pid();
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
        self.pid
    }

    /// Kills the whole stack.
    pub(crate) fn kill(&mut self) {
        self.own.as_mut().expect("the stack is not shared").kill();
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        drop(self.own.take());
        // In every test: what is denied to a function here would be denied in AWS.
        let refused = self.log().lines().any(|line| line.starts_with("ERROR permissions"));
        if refused || std::thread::panicking() {
            self.keep_logs();
        }
        assert!(!refused || std::thread::panicking(), "{}", self.log());
    }
}

/// Kills one process with SIGKILL.
pub(crate) fn kill(pid: u32) {
    send_signal(pid, "KILL");
}

pub(crate) fn send_signal(pid: u32, signal: &str) {
    let _ = Command::new("kill").args(["-s", signal, &pid.to_string()]).status();
}
