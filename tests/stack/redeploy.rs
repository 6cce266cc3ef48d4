//! New binaries are deployed under load: no write and no event is lost, and no call fails.

use std::{
    collections::HashSet,
    os::unix::fs::MetadataExt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use serde_json::json;
use sqlx::{Connection, SqliteConnection};

use crate::{
    load::{Call, Caller},
    partner::Endpoint,
    running::{Stack, Start, program, send_signal},
    wait::until_true,
};

const ENVIRONMENTS: usize = 4;
/// More than there are environments, so that some calls always wait for one.
const CALLERS: usize = 6;
const REDEPLOYS: u32 = 3;
/// Successful calls between two deployments.
const CALLS: usize = 200;
const EVENTS: u32 = 10;
/// The functions used by the load, and those of the pipeline.
const USED: [&str; 4] = ["prospects", "tags", "log-poller", "webhook-fanout"];

/// The test's own programs, one for each function.
struct Build(tempfile::TempDir);

impl Build {
    /// Creates it beside the real one, so that hard links are possible.
    fn new() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let functions = concat!(env!("CARGO_MANIFEST_DIR"), "/../functions");
        for function in std::fs::read_dir(functions).unwrap() {
            let name = function.unwrap().file_name();
            std::fs::hard_link(program(), folder.path().join(&name)).unwrap();
        }
        Self(folder)
    }

    fn binary(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Replaces the files of the used functions, as cargo does.
    fn replace(&self) {
        for name in USED {
            let new = self.binary("new");
            std::fs::copy(program(), &new).unwrap();
            std::fs::rename(&new, self.binary(name)).unwrap();
        }
    }

    fn inode(&self, name: &str) -> u64 {
        std::fs::metadata(self.binary(name)).unwrap().ino()
    }
}

/// Returns the inodes of the binaries that a function's processes run.
fn running(stack: &Stack, function: &str) -> HashSet<u64> {
    let programs = stack.processes_of(function).into_iter();
    programs.filter_map(|pid| Some(std::fs::metadata(format!("/proc/{pid}/exe")).ok()?.ino())).collect()
}

/// Makes a call; one in four writes.
async fn call(caller: Caller, number: usize) -> Call {
    match number % 4 {
        0 => {
            let key = format!("swap-{number}");
            let body = json!({ "FirstName": "Swap", "LastName": key, "EMail": format!("{key}@example.com") });
            caller.post("/v1/DemoOffice/prospects", &key, &body).await
        }
        1 => caller.get("/v1/DemoOffice/tags").await,
        _ => caller.get("/v1/DemoOffice/prospects?limit=5").await,
    }
}

/// Makes calls without a pause until told to stop; returns the failed ones and the created
/// patients.
async fn calls(
    caller: Caller,
    first: usize,
    is_over: Arc<AtomicBool>,
    good: Arc<AtomicUsize>,
) -> (Vec<Call>, Vec<i64>) {
    let (mut failed, mut created) = (Vec::new(), Vec::new());
    let mut number = first;
    while !is_over.load(Ordering::Relaxed) {
        let done = call(caller.clone(), number).await;
        number += CALLERS;
        if !done.is_good() {
            failed.push(done);
            continue;
        }
        good.fetch_add(1, Ordering::Relaxed);
        if done.status() == 201 {
            created.push(done.reply.unwrap().body["data"]["PatientID"].as_i64().unwrap());
        }
    }
    (failed, created)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_binaries_replace_old_ones_under_load_without_loss() {
    let folder = tempfile::tempdir().unwrap();
    Stack::build().await;
    let build = Build::new();
    let environments = ENVIRONMENTS.to_string();
    let options = ["--every", "1", "--environments", &environments];
    let start = Start { options: &options, binaries: Some(build.0.path()), ..Start::default() };
    let stack = Stack::start_as(folder.path(), &start).await;
    let token = stack.token().await;
    let endpoint = Endpoint::open().await;
    let signup = json!({ "hookUrl": endpoint.url, "scopes": ["Claims"] });
    stack.expect(&token, "POST", "/v1/webhooks/signup", Some(&signup), 201).await;

    let caller = Caller::new(&stack, &token);
    let (is_over, good) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let callers: Vec<_> = (0..CALLERS)
        .map(|first| tokio::spawn(calls(caller.clone(), first, is_over.clone(), good.clone())))
        .collect();
    let more_calls = async || {
        let before = good.load(Ordering::Relaxed);
        until_true("calls are answered", async || good.load(Ordering::Relaxed) >= before + CALLS).await;
    };
    more_calls().await;
    for _ in 0..REDEPLOYS {
        tokio::task::block_in_place(|| build.replace());
        send_signal(stack.pid(), "HUP");
        stack.emit("Claims", EVENTS).await;
        more_calls().await;
    }
    // An old environment finishes its work, including a poller run, which may take a minute.
    for function in USED {
        let new = HashSet::from([build.inode(function)]);
        until_true(&format!("only the new {function} runs"), async || running(&stack, function) == new).await;
    }
    is_over.store(true, Ordering::Relaxed);

    let done = futures::future::join_all(callers).await.into_iter().map(Result::unwrap);
    let (failed, created): (Vec<_>, Vec<_>) = done.unzip();
    let failed: Vec<Call> = failed.into_iter().flatten().collect();
    let count = good.load(Ordering::Relaxed);
    assert!(failed.is_empty(), "{} calls failed, {count} were good: {:#?}", failed.len(), failed.first());
    endpoint.receives((EVENTS * REDEPLOYS) as usize, |it| it["event"] == "Claims").await;
    let practice = format!("sqlite://{}", folder.path().join("data/practices/DemoOffice.sqlite").display());
    let mut practice = SqliteConnection::connect(&practice).await.unwrap();
    let patients: HashSet<i64> = sqlx::query_scalar("select patient_id from patients")
        .fetch_all(&mut practice)
        .await
        .unwrap()
        .into_iter()
        .collect();
    let created: Vec<i64> = created.into_iter().flatten().collect();
    assert!(!created.is_empty());
    for id in created {
        assert!(patients.contains(&id), "patient {id} is lost");
    }
}
