//! A partner's endpoint on loopback.

use std::{
    convert::Infallible,
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
    response::Response,
    routing::post,
};
use futures::{StreamExt, stream};

#[derive(Clone, Copy)]
pub(crate) enum Mood {
    /// Answers 200 after this time.
    Well(Duration),
    Hangs,
    Fails,
    /// Sends a byte per second.
    Drips,
}

pub(crate) struct Endpoint {
    pub(crate) url: String,
    taken: Arc<AtomicUsize>,
}

impl Endpoint {
    pub(crate) async fn open(mood: Mood) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let taken = Arc::new(AtomicUsize::new(0));
        let routes = Router::new().route("/", post(answer)).with_state((mood, taken.clone()));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, taken }
    }

    /// Opens an endpoint on a thread of its own, apart from the pipeline's.
    pub(crate) fn apart(mood: Mood) -> Self {
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                sender.send(Self::open(mood).await).unwrap();
                std::future::pending::<()>().await;
            });
        });
        receiver.recv().unwrap()
    }

    /// Returns the number of events that it answered 200.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

async fn answer(State((mood, taken)): State<(Mood, Arc<AtomicUsize>)>, _: Bytes) -> Response {
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
        Mood::Well(pause) => {
            tokio::time::sleep(pause).await;
            taken.fetch_add(1, Ordering::Relaxed);
            response.body(Body::empty()).unwrap()
        }
    }
}
