//! If a practice's database stalls or refuses connections, the function itself tells its callers,
//! and other practices are not affected. If someone keeps rows or tables locked, only the calls
//! that need them are affected.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection};

use crate::{
    database_gate::{DatabaseGate, Mood},
    load::{Call, Caller, call_many},
    running::Stack,
    wait::{until, until_true},
};

/// Environments per function: more than the callers of both kinds together, because Lambda has one
/// for each concurrent call.
const ENVIRONMENTS: &str = "10";
/// Callers of each kind.
const CALLERS: usize = 4;
const STALLED_CALLS: usize = 32;
const WELL_CALLS: usize = 80;

/// Calls to the practice with the failing database; every fourth one writes.
struct StalledPractice {
    caller: Caller,
    path: String,
    writes: AtomicUsize,
    /// Idempotency keys of writes that got 503.
    open: Mutex<Vec<String>>,
}

impl StalledPractice {
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

struct Phase {
    ill: Vec<Call>,
    well: Vec<Call>,
}

/// Makes calls to the failing practice and, once the first one waits or has returned, to another
/// one.
async fn phase(ill: &Arc<StalledPractice>, well: &Caller, path: &str, gate: &DatabaseGate) -> Phase {
    let path = format!("{path}?limit=5");
    let answered = AtomicUsize::new(0);
    let ill = async {
        let first = ill.clone().call(1).await;
        answered.store(1, Ordering::Relaxed);
        let mut calls = call_many(STALLED_CALLS, CALLERS, |number| ill.clone().call(number)).await;
        calls.push(first);
        calls
    };
    let well = async {
        let begun = async || answered.load(Ordering::Relaxed) > 0 || gate.held_back_count() > 0;
        until_true("a call of the stalled practice", begun).await;
        call_many(WELL_CALLS, CALLERS, |_| {
            let (well, path) = (well.clone(), path.clone());
            async move { well.get(&path).await }
        })
        .await
    };
    let (ill, well) = tokio::join!(ill, well);
    Phase { ill, well }
}

/// Asserts that the function itself tells all callers to retry, instead of timing out.
fn assert_all_told(calls: &[Call], what: impl std::fmt::Debug) {
    for call in calls {
        assert!(call.function_asks_to_retry(), "{what:?}: {call:?}");
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
async fn a_stalled_database_affects_only_its_own_practice() {
    let server = std::env::var("TEST_POSTGRES_URL")
        .expect("TEST_POSTGRES_URL names a PostgreSQL server; tests/run sets it");
    let gate = DatabaseGate::open(&server, "demooffice").await;
    let folder = tempfile::tempdir().unwrap();
    let stack =
        Stack::start(folder.path(), &["--environments", ENVIRONMENTS, "--practice-db", &gate.url]).await;
    let well = stack.demo_key(|key| key["practicepass"] != "DemoOffice");
    let well_path = format!("/v1/{}/prospects", well.practicepass);
    let well = Caller::new(&stack, &stack.token_from(&well).await);
    let ill = Arc::new(StalledPractice {
        caller: Caller::new(&stack, &stack.token().await),
        path: "/v1/DemoOffice/prospects".to_owned(),
        writes: AtomicUsize::new(0),
        open: Mutex::default(),
    });
    // Start every environment and let it connect to both practices.
    for (caller, path) in [(&ill.caller, &ill.path), (&well, &well_path)].repeat(2) {
        call_many(40, 20, |_| {
            let (caller, path) = (caller.clone(), path.clone());
            async move { caller.get(&path).await }
        })
        .await;
    }

    let before = phase(&ill, &well, &well_path, &gate).await;
    assert_all_good(&stack, &before.ill);
    assert_all_good(&stack, &before.well);
    for mood in [Mood::Silent, Mood::Refusing] {
        gate.set(mood);
        let during = phase(&ill, &well, &well_path, &gate).await;
        assert_all_told(&during.ill, mood);
        assert_all_good(&stack, &during.well);
        gate.set(Mood::Well);

        // Every environment detects the recovery by itself.
        until("the stalled practice to recover", async || {
            let calls = call_many(STALLED_CALLS, CALLERS, |_| {
                let ill = ill.clone();
                async move { ill.caller.get(&ill.path).await }
            })
            .await;
            let bad = calls.iter().filter(|it| !it.is_good()).count();
            if bad == 0 { Ok(()) } else { Err(format!("{bad} of {} calls failed", calls.len())) }
        })
        .await;
    }

    // A write with an unknown outcome takes effect once, however often it is sent.
    let open = std::mem::take(&mut *ill.open.lock().unwrap());
    assert_eq!(open.len(), 2 * STALLED_CALLS / 4, "of the writes that met the stalled database");
    for key in &open {
        let first = ill.write(key).await;
        assert_eq!(first.status(), 201, "{first:?}");
        let search = format!("{}?search={}", ill.path, key.replace('-', "x"));
        let found = ill.caller.get(&search).await.reply.unwrap().body;
        let names = |it: &&Value| it["LastName"] == key.replace('-', "x").as_str();
        assert_eq!(found["data"].as_array().unwrap().iter().filter(names).count(), 1, "{found}");
    }
}

/// Makes a call that needs the locked rows or tables.
async fn blocked_call(caller: Caller, row: bool) -> Call {
    if row {
        caller.put("/v1/DemoOffice/prospects/1001", &json!({ "NickName": "Waits" })).await
    } else {
        caller.get("/v1/DemoOffice/tickets?limit=1").await
    }
}

/// Makes a call to the same practice that does not need them, mostly in the function whose calls
/// wait.
async fn independent_call(caller: Caller, number: usize) -> Call {
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
async fn a_held_lock_stops_only_the_calls_that_need_it() {
    let server = std::env::var("TEST_POSTGRES_URL")
        .expect("TEST_POSTGRES_URL names a PostgreSQL server; tests/run sets it");
    let folder = tempfile::tempdir().unwrap();
    let stack =
        Stack::start(folder.path(), &["--environments", ENVIRONMENTS, "--practice-db", &server]).await;
    let caller = Caller::new(&stack, &stack.token().await);
    let secrets = std::fs::read(folder.path().join("data/secrets.json")).unwrap();
    let secrets: Value = serde_json::from_slice(&secrets).unwrap();
    let dsn = secrets["secrets"]["local/practices/DemoOffice"]["AWSCURRENT"]["value"].as_str().unwrap();
    let mut emr = PgConnection::connect(dsn).await.unwrap();
    let mut watch = PgConnection::connect(dsn).await.unwrap();
    // Start the environments.
    let warm = call_many(40, CALLERS, |number| independent_call(caller.clone(), number)).await;
    assert_all_good(&stack, &warm);

    let locks = [
        "select 1 from partner_api.patients where patient_id = 1001 for update",
        "lock table partner_api.tickets in access exclusive mode",
    ];
    for (lock, row) in locks.into_iter().zip([true, false]) {
        emr.execute("begin").await.unwrap();
        emr.execute(lock).await.unwrap();
        let others = async {
            until_true("a call that waits for the lock", async || {
                let waits = "select exists (select 1 from pg_stat_activity
                     where datname = current_database() and wait_event_type = 'Lock')";
                sqlx::query_scalar(waits).fetch_one(&mut watch).await.unwrap()
            })
            .await;
            call_many(WELL_CALLS, CALLERS, |number| independent_call(caller.clone(), number)).await
        };
        let (stopped, others) = tokio::join!(call_many(8, 2, |_| blocked_call(caller.clone(), row)), others);
        assert_all_told(&stopped, lock);
        assert_all_good(&stack, &others);
        emr.execute("rollback").await.unwrap();
        // No circuit breaker is open: the database itself was fine.
        assert_all_good(&stack, &[blocked_call(caller.clone(), row).await]);
    }
}
