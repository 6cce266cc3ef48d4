//! Ten times as many requests as the stack can handle: rejections say when to retry, and afterwards
//! everything works as before.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use serde_json::json;
use sqlx::{Connection, SqliteConnection};

use crate::{
    load::{Call, Caller, call_many},
    running::{Stack, send_signal},
    wait::{until, until_true},
};

/// Per function, calls served concurrently; [`WAITING`] more may wait.
const SERVED: usize = 2;
const WAITING: usize = 50 * SERVED;
const OVERLOAD: usize = 10 * (SERVED + WAITING);
/// Maximum number of open calls, as many as the client's sockets and the machine allow.
const OPEN: usize = 2_000;
/// Memory that an open call may use in the stack and its functions, in KiB: for its connection,
/// request and response.
const OF_A_CALL: u64 = 100;
/// Memory is measured after every this many calls.
const LOOKED_AT: usize = 100;
/// Number of consecutive successful calls that show that the stack has recovered.
const WELL_AGAIN: usize = 40;

#[derive(Clone)]
struct Mix {
    caller: Caller,
    run: &'static str,
}

impl Mix {
    /// Makes a call; one in five writes.
    async fn call(self, number: usize) -> Call {
        if !number.is_multiple_of(5) {
            return self.caller.get("/v1/DemoOffice/prospects?limit=5").await;
        }
        let key = format!("{}-{number}", self.run);
        let body = json!({ "FirstName": "Crowd", "LastName": key, "EMail": format!("{key}@example.com") });
        self.caller.post("/v1/DemoOffice/prospects", &key, &body).await
    }
}

/// Returns the memory of the stack and its functions in KiB.
fn memory_kib(stack: &Stack) -> u64 {
    let of = |pid: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|it| it.trim().split(' ').next()?.parse::<u64>().ok()).unwrap_or(0)
    };
    [stack.pid()].iter().chain(&stack.processes_of("prospects")).map(of).sum()
}

fn ids(calls: &[Call]) -> impl Iterator<Item = i64> {
    let created = calls.iter().filter(|it| it.status() == 201);
    created.map(|it| it.reply.as_ref().unwrap().body["data"]["PatientID"].as_i64().unwrap())
}

/// Makes the overload's calls; returns them and the maximum memory measured.
///
/// All environments are stopped until a call is rejected, so that on any machine there are more
/// calls than the stack accepts.
async fn overload(stack: &Arc<Stack>, mix: &Mix) -> (Vec<Call>, u64) {
    let (refused, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)));
    let environments = stack.processes_of("prospects");
    let signal = |signal: &str| {
        for pid in &environments {
            send_signal(*pid, signal);
        }
    };
    signal("STOP");
    let calls = call_many(OVERLOAD, OPEN, |number| {
        let (stack, mix, refused, most) = (stack.clone(), mix.clone(), refused.clone(), most.clone());
        async move {
            let call = mix.call(number).await;
            refused.fetch_add(usize::from(!call.is_good()), Ordering::Relaxed);
            if number.is_multiple_of(LOOKED_AT) {
                most.fetch_max(memory_kib(&stack), Ordering::Relaxed);
            }
            call
        }
    });
    let release = async {
        until_true("a refusal", async || refused.load(Ordering::Relaxed) > 0).await;
        signal("CONT");
    };
    let (calls, ()) = tokio::join!(calls, release);
    (calls, most.load(Ordering::Relaxed))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_times_the_load_gets_429_or_503_and_the_stack_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let stack = Arc::new(Stack::start(folder.path(), &["--environments", &SERVED.to_string()]).await);
    let caller = Caller::new(&stack, &stack.token().await);
    let mix = |run| Mix { caller: caller.clone(), run };
    let mut served = Vec::new();
    // Start every environment.
    while stack.processes_of("prospects").len() < SERVED {
        let (run, from) = (mix("before"), served.len());
        served.extend(call_many(2 * SERVED, SERVED, |number| run.clone().call(from + number)).await);
    }
    assert!(served.iter().all(Call::is_good), "{:?}", served.iter().find(|it| !it.is_good()));
    let memory = memory_kib(&stack);

    let (calls, most) = overload(&stack, &mix("overload")).await;
    let mut statuses: HashMap<u16, usize> = HashMap::new();
    for call in &calls {
        *statuses.entry(call.status()).or_default() += 1;
        assert!(call.is_good() || call.asks_to_retry(), "{call:?}");
    }
    println!("{statuses:?}; memory {memory} KiB, at most {most} KiB");
    assert!(calls.iter().any(Call::is_good), "nothing was served: {statuses:?}");
    assert!(most < memory + OPEN as u64 * OF_A_CALL, "{memory} KiB before, {most} KiB at most");

    let mut number = 0;
    let after = until("calls that are all served", async || {
        let mut row = Vec::new();
        while row.len() < WELL_AGAIN {
            let call = mix("after").call(number).await;
            number += 1;
            if !call.is_good() {
                return Err(format!("{call:?}"));
            }
            row.push(call);
        }
        Ok(row)
    })
    .await;

    let acknowledged: Vec<i64> = [&served, &calls, &after].into_iter().flat_map(|it| ids(it)).collect();
    let practice = format!("sqlite://{}", folder.path().join("data/practices/DemoOffice.sqlite").display());
    let mut practice = SqliteConnection::connect(&practice).await.unwrap();
    let patients: Vec<i64> =
        sqlx::query_scalar("select patient_id from patients").fetch_all(&mut practice).await.unwrap();
    let patients: HashSet<i64> = patients.into_iter().collect();
    let lost: Vec<&i64> = acknowledged.iter().filter(|id| !patients.contains(id)).collect();
    assert!(lost.is_empty(), "{} of {} acknowledged writes are lost", lost.len(), acknowledged.len());
}
