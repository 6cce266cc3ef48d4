//! Endpoints that are slow or answer 429: every event arrives, and arrives once.

use std::{
    collections::HashMap,
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
use serde_json::{Value, json};

use crate::{running::Stack, wait::until_none_left};

/// How an endpoint answers.
enum Habit {
    /// 200 for this number of calls in each second; 429 with `Retry-After: 1` for more.
    Accepts(u32),
    /// 200 after 0.9 to 1.6 s.
    Slow,
}

struct Endpoint {
    url: String,
    habit: Habit,
    began: Instant,
    /// Number of answers 200 by log id.
    taken: Mutex<HashMap<i64, usize>>,
    rejected: Mutex<usize>,
    /// Number of calls in each second.
    seconds: Mutex<HashMap<u64, u32>>,
}

impl Endpoint {
    async fn open(habit: Habit) -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (taken, rejected, seconds) = (Mutex::default(), Mutex::default(), Mutex::default());
        let endpoint = Arc::new(Self { url, habit, began: Instant::now(), taken, rejected, seconds });
        let routes = Router::new().route("/", post(answer)).with_state(endpoint.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        endpoint
    }

    fn taken(&self) -> usize {
        self.taken.lock().unwrap().len()
    }

    /// Log ids that were answered 200 more than once.
    fn duplicates(&self) -> Vec<i64> {
        let taken = self.taken.lock().unwrap();
        taken.iter().filter(|(_, count)| **count > 1).map(|(id, _)| *id).collect()
    }
}

async fn answer(State(endpoint): State<Arc<Endpoint>>, body: Bytes) -> Response {
    let event: Value = serde_json::from_slice(&body).unwrap();
    let log_id = event["logId"].as_i64().unwrap();
    match endpoint.habit {
        Habit::Slow => {
            let more = u64::try_from(log_id * 37 % 700).unwrap();
            tokio::time::sleep(Duration::from_millis(900 + more)).await;
        }
        Habit::Accepts(most) => {
            let second = endpoint.began.elapsed().as_secs();
            let mut seconds = endpoint.seconds.lock().unwrap();
            let calls = seconds.entry(second).or_default();
            *calls += 1;
            if *calls > most {
                *endpoint.rejected.lock().unwrap() += 1;
                return Response::builder()
                    .status(429)
                    .header("retry-after", "1")
                    .body(Body::empty())
                    .unwrap();
            }
        }
    }
    *endpoint.taken.lock().unwrap().entry(log_id).or_default() += 1;
    Response::new(Body::empty())
}

/// Sends events to an endpoint and returns the time until it had received all of them.
async fn send(endpoint: &Endpoint, events: u32) -> (Stack, tempfile::TempDir, Duration) {
    let folder = tempfile::tempdir().unwrap();
    let stack = Stack::start(folder.path(), &["--every", "1", "--set", "POLL_INTERVAL_MS=200"]).await;
    let token = stack.token_of_new_partner("Partner").await;
    let signup = json!({ "hookUrl": endpoint.url, "scopes": ["Claims"] });
    stack.expect(&token, "POST", "/v1/webhooks/signup", Some(&signup), 201).await;
    let began = Instant::now();
    stack.emit("Claims", events).await;
    let all = usize::try_from(events).unwrap();
    until_none_left("events that have not arrived", async || all - endpoint.taken()).await;
    (stack, folder, began.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_limited_to_five_a_second_gets_300_events() {
    let endpoint = Endpoint::open(Habit::Accepts(5)).await;
    let (stack, _folder, took) = send(&endpoint, 300).await;
    let rejected = *endpoint.rejected.lock().unwrap();
    println!("300 events in {took:.1?}, {rejected} answers of 429");
    assert_eq!((endpoint.taken(), endpoint.duplicates()), (300, vec![]));
    assert!(rejected * 10 <= 300 + rejected, "{rejected} calls were rejected");
    let monitor = stack.monitor().await;
    assert_eq!(monitor["summary"]["failedDeliveries"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_needs_about_a_second_gets_no_event_twice() {
    let endpoint = Endpoint::open(Habit::Slow).await;
    let (stack, _folder, took) = send(&endpoint, 500).await;
    println!("500 events in {took:.1?}");
    until_none_left("attempts in progress", async || {
        let open = stack.admin_get("/v1/admin/webhooks/monitor?success=false&limit=1").await;
        open["recentDeliveries"].as_array().unwrap().len()
    })
    .await;
    assert_eq!((endpoint.taken(), endpoint.duplicates()), (500, vec![]));
}
