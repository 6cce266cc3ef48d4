//! A practice whose database stalls or refuses is told so in time, and the others notice nothing.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    database_gate::{DatabaseGate, Mood},
    load::{Call, Caller, at_rate, p99},
    running::{MACHINE, Stack},
};

/// Lambda has an environment for each call under way, here there are some. What the ill practice's first calls hold until they are
/// given up must leave some, as it does there.
const ENVIRONMENTS: &str = "10";
const ILL_A_SECOND: u32 = 4;
/// At most; a slow machine has less to do.
const WELL_A_SECOND: u32 = 30;
const PHASE: Duration = Duration::from_secs(8);
/// On a machine that answers in a few milliseconds, twice as long means nothing.
const FLOOR: Duration = Duration::from_millis(250);

struct Phase {
    ill: Vec<Call>,
    well: Vec<Call>,
}

/// Every fourth call of the ill practice writes.
struct IllPractice {
    caller: Caller,
    path: String,
    writes: AtomicUsize,
    /// Idempotency keys of writes that were answered 503.
    open: Mutex<Vec<String>>,
}

impl IllPractice {
    async fn call(self: Arc<Self>, number: usize) -> Call {
        if !number.is_multiple_of(4) {
            return self.caller.get(&format!("{}?limit=5", self.path)).await;
        }
        let key = format!("stalled-{}", self.writes.fetch_add(1, Ordering::Relaxed));
        let call = self.write(&key).await;
        if !call.is_good() {
            self.open.lock().unwrap().push(key);
        }
        call
    }

    async fn write(&self, key: &str) -> Call {
        let email = format!("{key}@example.com");
        let body = json!({ "FirstName": "Stalled", "LastName": key.replace('-', "x"), "EMail": email });
        self.caller.post(&self.path, key, &body).await
    }
}

async fn phase(ill: &Arc<IllPractice>, well: &Caller, path: &str, a_second: u32) -> Phase {
    let path = format!("{path}?limit=5");
    let (ill, well) = tokio::join!(
        at_rate(ILL_A_SECOND, PHASE, 100, |number| ill.clone().call(number)),
        at_rate(a_second, PHASE, 100, |_| {
            let (well, path) = (well.clone(), path.clone());
            async move { well.get(&path).await }
        }),
    );
    Phase { ill, well }
}

/// How many calls a second a single caller can make.
async fn one_by_one(caller: &Caller, path: &str) -> u32 {
    let (began, mut calls) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_secs(2) {
        caller.get(&format!("{path}?limit=5")).await;
        calls += 1;
    }
    calls / 2
}

fn assert_told_in_time(calls: &[Call], mood: Mood) {
    for call in calls {
        assert_eq!(call.status(), 503, "{mood:?}: {call:?}");
        assert!(call.retry_after().is_some_and(|seconds| seconds >= 1), "{mood:?}: {call:?}");
        assert!(call.took < Duration::from_secs(2), "{mood:?}: {call:?}");
    }
}

fn assert_all_good(stack: &Stack, calls: &[Call]) {
    let bad: Vec<&Call> = calls.iter().filter(|it| !it.is_good()).collect();
    let log = || {
        let text = std::fs::read_to_string(stack.folder.join("data/logs/prospects.log")).unwrap_or_default();
        let failures = text.lines().filter(|line| line.contains("the call failed"));
        failures.map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(bad.is_empty(), "{} of {} calls failed: {bad:#?}; {:#?}", bad.len(), calls.len(), log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_practice_whose_database_stalls_or_refuses_is_told_within_two_seconds_and_others_notice_nothing() {
    let _machine = MACHINE.write().await;
    let server = std::env::var("TEST_POSTGRES_URL")
        .expect("TEST_POSTGRES_URL names a PostgreSQL server; tests/run sets it");
    let gate = DatabaseGate::open(&server, "demooffice").await;
    let folder = tempfile::tempdir().unwrap();
    let stack =
        Stack::start(folder.path(), &["--environments", ENVIRONMENTS, "--practice-db", &gate.url]).await;
    let well = stack.demo_key(|key| key["practicepass"] != "DemoOffice");
    let well_path = format!("/v1/{}/prospects", well.practicepass);
    let well = Caller::new(&stack, &stack.token_from(&well).await);
    let ill = Arc::new(IllPractice {
        caller: Caller::new(&stack, &stack.token().await),
        path: "/v1/DemoOffice/prospects".to_owned(),
        writes: AtomicUsize::new(0),
        open: Mutex::default(),
    });
    // Every environment comes up and knows both practices.
    for (caller, path) in [(&ill.caller, &ill.path), (&well, &well_path)].repeat(2) {
        at_rate(200, Duration::from_secs(1), 20, |_| {
            let (caller, path) = (caller.clone(), path.clone());
            async move { caller.get(&path).await }
        })
        .await;
    }

    let a_second = WELL_A_SECOND.min(one_by_one(&well, &well_path).await / 2).max(5);
    let before = phase(&ill, &well, &well_path, a_second).await;
    assert_all_good(&stack, &before.ill);
    assert_all_good(&stack, &before.well);
    let limit = FLOOR.max(2 * p99(&before.well));
    for mood in [Mood::Silent, Mood::Refusing] {
        gate.set(mood);
        let during = phase(&ill, &well, &well_path, a_second).await;
        gate.set(Mood::Well);
        let longest = during.ill.iter().map(|it| it.took).max().unwrap();
        println!(
            "{mood:?}: {} calls of the ill practice, the longest took {longest:?}; the others' p99 {:?}, before {:?}",
            during.ill.len(),
            p99(&during.well),
            p99(&before.well)
        );
        assert_told_in_time(&during.ill, mood);
        assert_all_good(&stack, &during.well);
        assert!(p99(&during.well) <= limit, "{mood:?}: {:?} of {limit:?}", p99(&during.well));

        // Every environment finds out by itself within some seconds.
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_all_good(&stack, &phase(&ill, &well, &well_path, a_second).await.ill);
    }

    // A write whose outcome was unknown is made once, however often it is sent.
    let open = std::mem::take(&mut *ill.open.lock().unwrap());
    assert!(open.len() >= 8, "{} writes met the ill database", open.len());
    for key in &open {
        let first = ill.write(key).await;
        assert_eq!(first.status(), 201, "{first:?}");
        let search = format!("{}?search={}", ill.path, key.replace('-', "x"));
        let found = ill.caller.get(&search).await.reply.unwrap().body;
        let names = |it: &&Value| it["LastName"] == key.replace('-', "x").as_str();
        assert_eq!(found["data"].as_array().unwrap().iter().filter(names).count(), 1, "{found}");
    }
}
