//! The end of a poller's run, with a store that works, delays or hangs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Request, header},
    response::Response,
};
use futures::future::pending;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use log_poller::Poll;
use shared::{
    app::App,
    control::Store,
    domain::{EventScope, PracticePass},
};
use tokio::sync::Barrier;

use super::subscribe;
use crate::office::{Engine, Office, ends, timeouts};

/// Practices without databases: the poller leases them anyway.
const PRACTICES: i64 = 96;

/// How the proxy treats releases of leases on their way to the store.
#[derive(Clone)]
enum Mood {
    /// Forwards them when this number has arrived.
    Together(Arc<Barrier>),
    /// Never forwards them.
    Never,
}

#[derive(Clone)]
struct Way {
    endpoint: String,
    client: Client<HttpConnector, Body>,
    mood: Mood,
    released: Arc<AtomicUsize>,
}

async fn pass(State(way): State<Way>, headers: HeaderMap, body: Bytes) -> Response {
    let text = String::from_utf8_lossy(&body);
    if text.contains("REMOVE leaseUntil, leaseOwner") {
        way.released.fetch_add(1, Ordering::Relaxed);
        match &way.mood {
            Mood::Together(barrier) => {
                barrier.wait().await;
            }
            Mood::Never => pending().await,
        }
    }
    let mut request = Request::post(&way.endpoint).body(Body::from(body)).unwrap();
    *request.headers_mut() = headers;
    for name in [header::CONTENT_LENGTH, header::HOST] {
        request.headers_mut().remove(name);
    }
    way.client.request(request).await.unwrap().map(Body::new)
}

/// A poller's app whose store calls pass through the proxy, and the number of released leases.
async fn poller(office: &Office, mood: Mood, patience: Duration) -> (App, Arc<AtomicUsize>) {
    for number in 1..=PRACTICES {
        let practicepass = PracticePass::try_from(format!("Nowhere{number:03}").as_str()).unwrap();
        subscribe(office, &practicepass, number, &[EventScope::Claims]).await;
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let client = Client::builder(TokioExecutor::new()).build_http();
    let released: Arc<AtomicUsize> = Arc::default();
    let way = Way { endpoint: office.store_endpoint.clone(), client, mood, released: released.clone() };
    let routes = Router::new().fallback(pass).with_state(way);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let app = office.another_app(|parts| {
        let config = office.dynamodb.config().to_builder().endpoint_url(&address).build();
        let client = aws_sdk_dynamodb::Client::from_conf(config);
        parts.control = Store::with_client(client, parts.config.tables.clone());
        parts.config.timeouts.released_leases = patience;
    });
    (app, released)
}

async fn run(app: &App) {
    let deadline = app.clock.now() + Duration::from_mins(1);
    let run = Box::pin(log_poller::run(app, Poll { shard: 0, of: 1, once: true }, deadline, None));
    ends("the run", run).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_releases_its_leases_concurrently() {
    let office = Office::open(Engine::Sqlite).await;
    let (app, released) =
        poller(&office, Mood::Together(Arc::new(Barrier::new(32))), timeouts::of_work().released_leases)
            .await;
    run(&app).await;
    assert_eq!(i64::try_from(released.load(Ordering::Relaxed)).unwrap(), PRACTICES);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_ends_even_if_its_leases_cannot_be_released() {
    let office = Office::open(Engine::Sqlite).await;
    let (app, released) = poller(&office, Mood::Never, Duration::from_millis(300)).await;
    run(&app).await;
    assert!(released.load(Ordering::Relaxed) > 0);
}
