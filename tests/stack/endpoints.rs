//! Of ten endpoints, one hangs, one returns 500 and one sends a byte per second: the other seven
//! are not affected.

use std::{
    collections::HashSet,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    response::Response,
    routing::post,
};
use futures::{StreamExt, stream};
use serde_json::{Value, json};

use crate::{running::Stack, telemetry::lines, wait::until};

const ENDPOINTS: usize = 10;
/// How many of them fail, each in its own way.
const FAILING: usize = 3;
/// Rows per burst. The next burst is written when the previous one has arrived.
const BURST: u32 = 5;
const BURSTS: u32 = 8;

#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Well,
    Hangs,
    Fails,
    Drips,
}

struct Endpoint {
    url: String,
    mood: Mutex<Mood>,
    /// Log ids of events that got 200.
    taken: Mutex<HashSet<i64>>,
    /// Log ids of events that arrived while it failed.
    tried: Mutex<HashSet<i64>>,
}

impl Endpoint {
    async fn open() -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (taken, tried) = (Mutex::default(), Mutex::default());
        let endpoint = Arc::new(Self { url, mood: Mutex::new(Mood::Well), taken, tried });
        let routes = Router::new().route("/", post(answer)).with_state(endpoint.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        endpoint
    }

    fn taken(&self) -> usize {
        self.taken.lock().unwrap().len()
    }

    fn tried(&self) -> usize {
        self.tried.lock().unwrap().len()
    }
}

async fn answer(State(endpoint): State<Arc<Endpoint>>, body: Bytes) -> Response {
    let mood = *endpoint.mood.lock().unwrap();
    let event: Value = serde_json::from_slice(&body).unwrap();
    let log_id = event["logId"].as_i64().unwrap();
    if mood != Mood::Well {
        endpoint.tried.lock().unwrap().insert(log_id);
    }
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
            endpoint.taken.lock().unwrap().insert(log_id);
            response.body(Body::empty()).unwrap()
        }
    }
}

/// Creates a partner and a subscription for an endpoint; returns the subscription's id.
async fn sign_up(stack: &Stack, endpoint: &Endpoint, number: usize) -> Value {
    let token = stack.token_of_new_partner(&format!("Partner {number}")).await;
    let signup = json!({ "hookUrl": endpoint.url, "scopes": ["Claims"] });
    stack.expect(&token, "POST", "/v1/webhooks/signup", Some(&signup), 201).await["data"]["id"].take()
}

/// Returns the circuit breakers as an administrator sees them; an `Err` if they cannot be read now.
async fn breakers(stack: &Stack) -> Result<Value, String> {
    let (url, secret) = (format!("{}/v1/admin/webhooks/monitor", stack.base), stack.admin_secret());
    let shown = stack.http.send_as_admin(&url, &secret, None).await;
    let shown = shown.filter(|it| it.status == 200).ok_or("the monitor is not available")?;
    Ok(shown.body["breakers"].clone())
}

/// Counts the failed attempts of this subscription in the fast lane.
fn failures_in_the_fast_lane(stack: &Stack, subscription: &Value) -> usize {
    let failed = |line: &&Value| {
        line["message"] == "delivery attempted"
            && line["subscriptionId"] == *subscription
            && line["outcome"] != "delivered"
    };
    lines(stack, "webhook-fanout").iter().filter(failed).count()
}

/// Writes rows in bursts, each after all endpoints have received the previous ones.
async fn write(stack: &Stack, endpoints: &[Arc<Endpoint>]) {
    let rows = usize::try_from(BURST).unwrap();
    for burst in 1..=BURSTS {
        let before: Vec<usize> = endpoints.iter().map(|it| it.taken()).collect();
        stack.emit("Claims", BURST).await;
        until(&format!("burst {burst} at all endpoints"), async || {
            let taken: Vec<usize> =
                endpoints.iter().zip(&before).map(|(it, before)| it.taken() - before).collect();
            if taken.iter().all(|taken| *taken == rows) { Ok(()) } else { Err(format!("{taken:?}")) }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_that_hang_fail_or_drip_do_not_delay_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let options = [
        ["--every", "1"],
        ["--set", "POLL_INTERVAL_MS=200"],
        ["--set", "WEBHOOK_RETRY_SECONDS=1,2,3,4,5,5,5,5,5,5"],
    ];
    let stack = Stack::start(folder.path(), &options.concat()).await;
    let (mut endpoints, mut subscriptions) = (Vec::new(), Vec::new());
    for number in 0..ENDPOINTS {
        let endpoint = Endpoint::open().await;
        subscriptions.push(sign_up(&stack, &endpoint, number).await);
        endpoints.push(endpoint);
    }
    let (failing, healthy) = endpoints.split_at(FAILING);
    stack.emit("Claims", BURST).await;
    until("the first events at all endpoints", async || {
        let taken: Vec<usize> = endpoints.iter().map(|it| it.taken()).collect();
        if taken.iter().all(|taken| *taken == 5) { Ok(()) } else { Err(format!("{taken:?}")) }
    })
    .await;

    for (endpoint, mood) in failing.iter().zip([Mood::Hangs, Mood::Fails, Mood::Drips]) {
        *endpoint.mood.lock().unwrap() = mood;
    }
    write(&stack, healthy).await;
    let rows = usize::try_from(BURST * BURSTS).unwrap();
    let tried: Vec<usize> = failing.iter().map(|it| it.tried()).collect();
    println!("{rows} rows reached the healthy endpoints; the failing ones got {tried:?} of them");
    for (mood, tried) in [("hangs", tried[0]), ("drips", tried[2])] {
        assert!((1..=rows / 2).contains(&tried), "the endpoint that {mood} got {tried} of {rows} rows");
    }
    let waits: Vec<usize> = subscriptions.iter().map(|it| failures_in_the_fast_lane(&stack, it)).collect();
    assert!(waits[1] > 0, "an endpoint that fails at once stays in the fast lane: {waits:?}");
    // Calls in progress when an endpoint is found slow continue beside the fast lane; no new calls
    // begin in it.
    assert!(
        waits[0] + waits[2] <= 2 * usize::try_from(BURST).unwrap(),
        "further events use the slow lane: {waits:?}"
    );

    // The circuit breaker of a failing endpoint opens after some seconds.
    let held_back = |state: &Value| ["open", "half-open"].contains(&state.as_str().unwrap());
    until("three open circuits", async || {
        let shown = breakers(&stack).await?;
        let all = shown.as_array().unwrap();
        let held = all.iter().filter(|it| held_back(&it["state"])).count();
        if (held, all.len()) == (FAILING, FAILING) { Ok(()) } else { Err(shown.to_string()) }
    })
    .await;

    for endpoint in &endpoints {
        *endpoint.mood.lock().unwrap() = Mood::Well;
    }
    let all = rows + usize::try_from(BURST).unwrap();
    until("all events at all endpoints", async || {
        let breakers = breakers(&stack).await?;
        let taken: Vec<usize> = endpoints.iter().map(|it| it.taken()).collect();
        let done = breakers == json!([]) && taken.iter().all(|taken| *taken == all);
        if done { Ok(()) } else { Err(format!("{breakers}: {taken:?} of {all}")) }
    })
    .await;
}
