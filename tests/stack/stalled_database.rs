//! A practice whose database stalls or refuses is told so in time, and the others notice nothing; nor does the practice itself, but
//! for the calls that need it, of what somebody keeps locked.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection};

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

fn assert_told_in_time(calls: &[Call], what: impl std::fmt::Debug) {
    for call in calls {
        assert_eq!(call.status(), 503, "{what:?}: {call:?}");
        assert!(call.retry_after().is_some_and(|seconds| seconds >= 1), "{what:?}: {call:?}");
        assert!(call.took < Duration::from_secs(2), "{what:?}: {call:?}");
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

/// A call that needs what is locked.
async fn needy(caller: Caller, row: bool) -> Call {
    if row {
        caller.put("/v1/DemoOffice/prospects/1001", &json!({ "NickName": "Waits" })).await
    } else {
        caller.get("/v1/DemoOffice/tickets?limit=1").await
    }
}

/// Calls of the same practice that don't, most of them of the function whose calls wait for the row.
async fn unconcerned(caller: Caller, number: usize) -> Call {
    match number % 4 {
        0 => {
            caller
                .put("/v1/DemoOffice/prospects/1002", &json!({ "NickName": format!("Nick {number}") }))
                .await
        }
        1 => caller.get("/v1/DemoOffice/prospects/1001").await,
        2 => caller.get("/v1/DemoOffice/prospects?limit=5").await,
        _ => caller.get("/v1/DemoOffice/tags").await,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_keeps_locked_stops_the_calls_that_need_it_in_time_and_no_others() {
    let _machine = MACHINE.write().await;
    let server = std::env::var("TEST_POSTGRES_URL")
        .expect("TEST_POSTGRES_URL names a PostgreSQL server; tests/run sets it");
    let folder = tempfile::tempdir().unwrap();
    let stack =
        Stack::start(folder.path(), &["--environments", ENVIRONMENTS, "--practice-db", &server]).await;
    let caller = Caller::new(&stack, &stack.token().await);
    let secrets = std::fs::read(folder.path().join("data/secrets.json")).unwrap();
    let secrets: Value = serde_json::from_slice(&secrets).unwrap();
    let dsn = &secrets["secrets"]["local/practices/DemoOffice"]["AWSCURRENT"]["value"];
    let mut emr = PgConnection::connect(dsn.as_str().unwrap()).await.unwrap();
    // Environments come up.
    let warm = at_rate(20, Duration::from_secs(2), 20, |number| unconcerned(caller.clone(), number)).await;
    assert_all_good(&stack, &warm);

    let locks = [
        "select 1 from patients where patient_id = 1001 for update",
        "lock table tickets in access exclusive mode",
    ];
    for (lock, row) in locks.into_iter().zip([true, false]) {
        emr.execute("begin").await.unwrap();
        emr.execute(lock).await.unwrap();
        let (stopped, others) = tokio::join!(
            at_rate(2, PHASE, 20, |_| needy(caller.clone(), row)),
            at_rate(10, PHASE, 20, |number| unconcerned(caller.clone(), number)),
        );
        println!(
            "{lock}: {} calls were stopped; p99 of {} others {:?}",
            stopped.len(),
            others.len(),
            p99(&others)
        );
        assert_told_in_time(&stopped, lock);
        assert_all_good(&stack, &others);
        emr.execute("rollback").await.unwrap();
        // Nothing is let be: the database itself was well.
        assert_all_good(&stack, &[needy(caller.clone(), row).await]);
    }
}
