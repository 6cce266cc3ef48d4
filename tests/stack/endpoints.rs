//! Ten endpoints of which one hangs, one answers 500 and one sends a byte a second: the other seven notice nothing.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    response::Response,
    routing::post,
};
use futures::{StreamExt, stream};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::running::{MACHINE, Stack};

const ENDPOINTS: usize = 10;
/// The first of them fall ill, each in its own way.
const ILL: usize = 3;
const ROWS_A_SECOND: u32 = 5;
const SECONDS: u32 = 18;

#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Well,
    Hangs,
    Fails,
    Drips,
}

#[derive(Clone)]
struct Arrival {
    log_id: i64,
    at: Instant,
    /// From the row in the log to here.
    lag: Duration,
}

struct Endpoint {
    url: String,
    mood: Mutex<Mood>,
    /// Events that were answered 200.
    taken: Mutex<Vec<Arrival>>,
}

impl Endpoint {
    async fn open() -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let endpoint = Arc::new(Self { url, mood: Mutex::new(Mood::Well), taken: Mutex::default() });
        let routes = Router::new().route("/", post(answer)).with_state(endpoint.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        endpoint
    }

    fn taken(&self) -> Vec<Arrival> {
        self.taken.lock().unwrap().clone()
    }
}

async fn answer(State(endpoint): State<Arc<Endpoint>>, body: Bytes) -> Response {
    let mood = *endpoint.mood.lock().unwrap();
    let response = Response::builder();
    match mood {
        Mood::Hangs => std::future::pending().await,
        Mood::Fails => response.status(500).body(Body::empty()).unwrap(),
        Mood::Drips => {
            let drops = stream::repeat(()).then(async |()| {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok::<_, Infallible>(Bytes::from_static(b"."))
            });
            response.body(Body::from_stream(Box::pin(drops))).unwrap()
        }
        Mood::Well => {
            let event: Value = serde_json::from_slice(&body).unwrap();
            let occurred: Timestamp = event["occurredAt"].as_str().unwrap().parse().unwrap();
            let lag = Timestamp::now().duration_since(occurred).try_into().unwrap_or_default();
            let log_id = event["logId"].as_i64().unwrap();
            endpoint.taken.lock().unwrap().push(Arrival { log_id, at: Instant::now(), lag });
            response.body(Body::empty()).unwrap()
        }
    }
}

/// A partner of its own for each endpoint, so that each has a subscription.
async fn sign_up(stack: &Stack, endpoint: &Endpoint, number: usize) {
    let partner = json!({ "company": format!("Partner {number}") });
    let partner = stack.admin("/v1/admin/partners", &partner).await;
    let key = json!({
        "partnerId": partner["data"]["id"], "name": "Events", "practicepass": "DemoOffice", "scopes": ["Claims"],
    });
    let key = stack.admin("/v1/admin/keys", &key).await;
    let token = stack.token_of(key["data"]["apiKey"].as_str().unwrap()).await;
    let signup = json!({ "hookUrl": endpoint.url, "scopes": ["Claims"] });
    stack.expect(&token, "POST", "/v1/webhooks/signup", Some(&signup), 201).await;
}

/// What the endpoints that are always well experienced.
struct Run {
    /// Events a second, from the first row to the last event.
    throughput: f64,
    /// The 99th percentile.
    lag: Duration,
}

/// Writes rows at a steady rate and waits until those that are well have all of them.
async fn run(stack: &Stack, well: &[Arc<Endpoint>]) -> Run {
    let before: Vec<usize> = well.iter().map(|it| it.taken().len()).collect();
    let rows = usize::try_from(ROWS_A_SECOND * SECONDS).unwrap();
    let began = Instant::now();
    for second in 0..SECONDS {
        stack.emit("Claims", ROWS_A_SECOND).await;
        tokio::time::sleep_until((began + Duration::from_secs(u64::from(second) + 1)).into()).await;
    }
    let new = || -> Vec<Arrival> {
        let each = well.iter().zip(&before).map(|(endpoint, before)| {
            let mut new = endpoint.taken().split_off(*before);
            new.sort_by_key(|it| (it.log_id, it.at));
            new.dedup_by_key(|it| it.log_id);
            new
        });
        each.flatten().collect()
    };
    while new().len() < rows * well.len() {
        assert!(began.elapsed() < Duration::from_mins(2), "{} of {} events", new().len(), rows * well.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let arrivals = new();
    let last = arrivals.iter().map(|it| it.at).max().unwrap();
    #[allow(clippy::cast_precision_loss)] // a few hundred
    let throughput = arrivals.len() as f64 / last.duration_since(began).as_secs_f64();
    let mut lags: Vec<Duration> = arrivals.iter().map(|it| it.lag).collect();
    lags.sort_unstable();
    Run { throughput, lag: lags[lags.len() * 99 / 100] }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_that_hang_fail_or_drip_do_not_hold_up_the_others() {
    let _machine = MACHINE.write().await;
    let folder = tempfile::tempdir().unwrap();
    let options = [
        ["--every", "1"],
        ["--environments", "8"],
        ["--set", "POLL_INTERVAL_MS=200"],
        ["--set", "WEBHOOK_RETRY_SECONDS=1,2,3,4,5,5,5,5,5,5"],
    ];
    let stack = Stack::start(folder.path(), &options.concat()).await;
    let mut endpoints = Vec::new();
    for number in 0..ENDPOINTS {
        let endpoint = Endpoint::open().await;
        sign_up(&stack, &endpoint, number).await;
        endpoints.push(endpoint);
    }
    let well = &endpoints[ILL..];
    // Processes come up once.
    stack.emit("Claims", 10).await;
    tokio::time::sleep(Duration::from_secs(3)).await;

    let healthy = run(&stack, well).await;
    for (endpoint, mood) in endpoints.iter().zip([Mood::Hangs, Mood::Fails, Mood::Drips]) {
        *endpoint.mood.lock().unwrap() = mood;
    }
    let ill = run(&stack, well).await;
    println!(
        "all well: {:.1} events/s, p99 {:?}; three of ten ill: {:.1} events/s, p99 {:?}",
        healthy.throughput, healthy.lag, ill.throughput, ill.lag
    );
    assert!(ill.throughput >= 0.8 * healthy.throughput, "{} of {}", ill.throughput, healthy.throughput);
    // A machine that is slow when all are well may be as much slower here.
    let limit = Duration::from_secs(3).max(4 * healthy.lag);
    assert!(ill.lag <= limit, "{:?} of {limit:?}", ill.lag);

    let shown = stack.monitor().await["breakers"].clone();
    let held_back = |state: &Value| ["parked", "due", "probing"].contains(&state.as_str().unwrap());
    let parked = shown.as_array().unwrap().iter().filter(|it| held_back(&it["state"])).count();
    assert_eq!((parked, shown.as_array().unwrap().len()), (ILL, ILL), "{shown}");

    for endpoint in &endpoints {
        *endpoint.mood.lock().unwrap() = Mood::Well;
    }
    let recovered = Instant::now();
    let all = usize::try_from(2 * ROWS_A_SECOND * SECONDS + 10).unwrap();
    loop {
        let breakers = stack.monitor().await["breakers"].clone();
        let taken = endpoints.iter().map(|it| {
            let mut ids: Vec<i64> = it.taken().iter().map(|it| it.log_id).collect();
            ids.sort_unstable();
            ids.dedup();
            ids.len()
        });
        let taken: Vec<usize> = taken.collect();
        if breakers == json!([]) && taken.iter().all(|taken| *taken == all) {
            break;
        }
        assert!(recovered.elapsed() < Duration::from_secs(90), "{breakers}: {taken:?} of {all}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    println!("everything had arrived {:?} after the recovery", recovered.elapsed());
}
