//! Ten times as many requests as the stack can take: refusals say so and when to come back, and soon after all is as before.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use sqlx::{Connection, SqliteConnection};

use crate::{
    load::{Call, Caller, at_rate, p99},
    running::{MACHINE, Stack},
};

const OVERLOAD: Duration = Duration::from_secs(30);
/// More calls than this are not open at once, as many as the client's sockets and the machine allow.
const OPEN: usize = 2_000;
/// The stack serves as many callers at once in peace.
const CALLERS: usize = 4;
/// On a machine that answers in a few milliseconds, twice as long means nothing.
const FLOOR: Duration = Duration::from_millis(250);
/// A call waits for a second at most, and is served or refused.
const ANSWER: Duration = Duration::from_millis(2_500);
/// What the stack and its functions may grow by, in KiB.
const GROWTH: u64 = 600 * 1024;

#[derive(Clone)]
struct Mix {
    caller: Caller,
    run: &'static str,
}

impl Mix {
    /// One in five writes.
    async fn call(self, number: usize) -> Call {
        if !number.is_multiple_of(5) {
            return self.caller.get("/v1/DemoOffice/prospects?limit=5").await;
        }
        let key = format!("{}-{number}", self.run);
        let body = json!({ "FirstName": "Crowd", "LastName": key, "EMail": format!("{key}@example.com") });
        self.caller.post("/v1/DemoOffice/prospects", &key, &body).await
    }
}

/// Callers who wait for each answer before the next call.
async fn in_peace(mix: &Mix, time: Duration) -> Vec<Call> {
    let began = Instant::now();
    let callers = (0..CALLERS).map(|first| {
        let mix = mix.clone();
        async move {
            let mut calls = Vec::new();
            while began.elapsed() < time {
                calls.push(mix.clone().call(calls.len() * CALLERS + first).await);
            }
            calls
        }
    });
    futures::future::join_all(callers).await.into_iter().flatten().collect()
}

/// Memory of the stack with its functions, in KiB.
fn resident(stack: &Stack) -> u64 {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_times_the_load_is_refused_with_429_and_503_and_five_seconds_later_all_is_as_before() {
    let _machine = MACHINE.write().await;
    let folder = tempfile::tempdir().unwrap();
    let stack = Arc::new(Stack::start(folder.path(), &[]).await);
    let caller = Caller::new(&stack, &stack.token().await);
    let mix = |run| Mix { caller: caller.clone(), run };
    // Every environment comes up.
    in_peace(&mix("warm"), Duration::from_secs(3)).await;

    let time = Duration::from_secs(4);
    let normal = in_peace(&mix("before"), time).await;
    assert!(normal.iter().all(Call::is_good), "{:?}", normal.iter().find(|it| !it.is_good()));
    let capacity = u32::try_from(normal.len()).unwrap() / 4;
    let memory = resident(&stack);

    let watched = tokio::spawn({
        let stack = stack.clone();
        async move {
            let (began, mut most) = (Instant::now(), 0);
            while began.elapsed() < OVERLOAD {
                most = most.max(resident(&stack));
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            most
        }
    });
    let crowd = mix("crowd");
    let calls = at_rate(10 * capacity, OVERLOAD, OPEN, |number| crowd.clone().call(number)).await;
    let end = Instant::now();
    let most = watched.await.unwrap();
    let mut statuses: HashMap<u16, usize> = HashMap::new();
    for call in &calls {
        *statuses.entry(call.status()).or_default() += 1;
        let refused = [429, 503].contains(&call.status());
        assert!(call.is_good() || refused, "{call:?}");
        assert!(!refused || call.retry_after().is_some_and(|seconds| seconds >= 1), "{call:?}");
    }

    tokio::time::sleep_until((end + Duration::from_secs(1)).into()).await;
    let limit = FLOOR.max(2 * p99(&normal));
    let mut after = in_peace(&mix("after"), Duration::from_secs(2)).await;
    let again = in_peace(&mix("again"), Duration::from_secs(2)).await;
    println!(
        "{capacity} calls/s in peace with p99 {:?}; {} calls in {OVERLOAD:?}: {statuses:?}, p99 {:?}; p99 then {:?}; memory {memory} KiB, at most {most} KiB",
        p99(&normal),
        calls.len(),
        p99(&calls),
        p99(&again),
    );
    assert!(calls.len() > 5 * normal.len(), "the client sent too little to prove anything: {}", calls.len());
    assert!(statuses.keys().any(|it| [429, 503].contains(it)), "nothing was refused: {statuses:?}");
    assert!(p99(&calls) < ANSWER, "what was not served was not refused in time: {:?}", p99(&calls));
    assert!(most < memory + GROWTH, "{memory} KiB before, {most} KiB at most");
    assert!(again.iter().all(Call::is_good), "{:?}", again.iter().find(|it| !it.is_good()));
    assert!(p99(&again) <= limit, "{:?} of {limit:?}", p99(&again));

    after.extend(again);
    let acknowledged: Vec<i64> = ids(&calls).chain(ids(&normal)).chain(ids(&after)).collect();
    let practice = format!("sqlite://{}", folder.path().join("data/practices/DemoOffice.sqlite").display());
    let mut practice = SqliteConnection::connect(&practice).await.unwrap();
    let patients: Vec<i64> =
        sqlx::query_scalar("select patient_id from patients").fetch_all(&mut practice).await.unwrap();
    let patients: HashSet<i64> = patients.into_iter().collect();
    let lost: Vec<&i64> = acknowledged.iter().filter(|id| !patients.contains(id)).collect();
    assert!(lost.is_empty(), "{} of {} acknowledged writes are lost", lost.len(), acknowledged.len());
}
