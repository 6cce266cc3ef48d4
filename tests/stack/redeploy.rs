//! New binaries are swapped in under load: no write and no event is lost, and no caller notices.

use std::{
    collections::HashSet,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use sqlx::{Connection, SqliteConnection};

use crate::{
    load::{Call, Caller, at_rate},
    partner::Endpoint,
    running::{MACHINE, Stack, send_signal},
};

/// Or four tenths of what a slow machine can do.
const CALLS_A_SECOND: u32 = 100;
const TIME: Duration = Duration::from_secs(24);
const REDEPLOYS: u32 = 3;
const EVENTS: u32 = 10;
/// The functions that the load uses, and those of the pipeline.
const USED: [&str; 4] = ["prospects", "tags", "log-poller", "webhook-fanout"];

/// A build's output of the test's own.
struct Build(tempfile::TempDir);

impl Build {
    /// Beside the real one, so that links can be made.
    fn new() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let debug = folder.path().join("debug");
        std::fs::create_dir(&debug).unwrap();
        let functions = concat!(env!("CARGO_MANIFEST_DIR"), "/../functions");
        for function in std::fs::read_dir(functions).unwrap() {
            let name = function.unwrap().file_name();
            std::fs::hard_link(Self::original(Path::new(&name)), debug.join(&name)).unwrap();
        }
        Self(folder)
    }

    fn original(name: &Path) -> PathBuf {
        let test = std::env::current_exe().unwrap();
        test.ancestors().nth(2).unwrap().join(name)
    }

    fn binary(&self, name: &str) -> PathBuf {
        self.0.path().join("debug").join(name)
    }

    /// Puts new files in the places of the used functions, as cargo does.
    fn replace(&self) {
        for name in USED {
            let new = self.binary("new");
            std::fs::copy(Self::original(Path::new(name)), &new).unwrap();
            std::fs::rename(&new, self.binary(name)).unwrap();
        }
    }

    fn inode(&self, name: &str) -> u64 {
        std::fs::metadata(self.binary(name)).unwrap().ino()
    }
}

/// What the processes of a function run.
fn running(stack: &Stack, function: &str) -> HashSet<u64> {
    let programs = stack.processes_of(function).into_iter();
    programs.filter_map(|pid| Some(std::fs::metadata(format!("/proc/{pid}/exe")).ok()?.ino())).collect()
}

/// One in four writes.
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_binaries_are_swapped_in_under_load_and_nothing_is_lost_and_nobody_notices() {
    let _machine = MACHINE.write().await;
    let folder = tempfile::tempdir().unwrap();
    Stack::build().await;
    let build = Build::new();
    let stack = Arc::new(
        Stack::start_with_target(
            folder.path(),
            &["--every", "1", "--environments", "8"],
            Some(build.0.path()),
        )
        .await,
    );
    let token = stack.token().await;
    let endpoint = Endpoint::open().await;
    let signup = json!({ "hookUrl": endpoint.url, "scopes": ["Claims"] });
    stack.expect(&token, "POST", "/v1/webhooks/signup", Some(&signup), 201).await;
    let caller = Caller::new(&stack, &token);
    // Every environment comes up.
    at_rate(CALLS_A_SECOND, Duration::from_secs(3), 8, |_| call(caller.clone(), 1)).await;
    at_rate(CALLS_A_SECOND, Duration::from_secs(3), 8, |_| call(caller.clone(), 2)).await;
    let possible =
        at_rate(1_000, Duration::from_secs(4), 8, |number| call(caller.clone(), 1 + number % 3)).await;
    let a_second = CALLS_A_SECOND.min(u32::try_from(possible.len()).unwrap() / 10).max(2);

    let began = Instant::now();
    let load = at_rate(a_second, TIME, 200, |number| call(caller.clone(), number));
    let events = async {
        let mut written = 0;
        while began.elapsed() < TIME {
            stack.emit("Claims", EVENTS).await;
            written += EVENTS;
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        written
    };
    let swaps = async {
        for number in 1..=REDEPLOYS {
            tokio::time::sleep_until((began + TIME * number / (REDEPLOYS + 1)).into()).await;
            tokio::task::block_in_place(|| build.replace());
            send_signal(stack.pid(), "HUP");
        }
    };
    let (calls, written, ()) = tokio::join!(load, events, swaps);

    let bad: Vec<&Call> = calls.iter().filter(|it| !it.is_good()).collect();
    assert!(
        bad.is_empty(),
        "{} of {} calls failed at {a_second} a second: {:#?}",
        bad.len(),
        calls.len(),
        bad.first()
    );
    let made = f64::from(u32::try_from(calls.len()).unwrap()) / began.elapsed().as_secs_f64();
    println!("{} calls, {made:.0} a second, all good; {written} events", calls.len());
    endpoint.wait_for(written as usize, Duration::from_mins(1), |it| it["event"] == "Claims").await;
    let practice = format!("sqlite://{}", folder.path().join("data/practices/DemoOffice.sqlite").display());
    let mut practice = SqliteConnection::connect(&practice).await.unwrap();
    let patients: Vec<i64> =
        sqlx::query_scalar("select patient_id from patients").fetch_all(&mut practice).await.unwrap();
    let created = calls.iter().filter(|it| it.status() == 201);
    for call in created {
        let id = call.reply.as_ref().unwrap().body["data"]["PatientID"].as_i64().unwrap();
        assert!(patients.contains(&id), "patient {id} is lost");
    }

    // A run of the poller that began before may take its minute to end.
    let swapped = Instant::now();
    for function in USED {
        let new = HashSet::from([build.inode(function)]);
        while running(&stack, function) != new {
            assert!(
                swapped.elapsed() < Duration::from_secs(75),
                "{function}: {:?}",
                running(&stack, function)
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    println!("only new binaries ran {:?} after the load", swapped.elapsed());
}
