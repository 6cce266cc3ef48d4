//! A proxy between the functions and `DynamoDB` that refuses connections, fails or does not
//! respond.

use std::{
    convert::Infallible,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    body::Body,
    http::{Request, Response, StatusCode, header},
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

/// How the store handles requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Returns this status and `DynamoDB` error.
    Error(u16, &'static str),
    /// Requests that contain this text fail; others are served.
    Of(&'static str),
    /// Three in ten requests fail.
    Sometimes,
    NoResponse,
    /// Connections are refused.
    Refused,
}

pub(crate) struct StoreGate {
    address: std::net::SocketAddr,
    shared: Arc<Shared>,
    server: Option<JoinHandle<()>>,
}

struct Shared {
    /// The file in which the stack publishes its `DynamoDB` endpoint.
    description: PathBuf,
    client: Client<HttpConnector, Full<Bytes>>,
    fault: Mutex<Fault>,
    /// Bodies of all requests.
    requests: Mutex<Vec<Bytes>>,
    failed: AtomicUsize,
    dice: AtomicU64,
}

impl StoreGate {
    /// Opens a gate in front of the store of the stack that is going to write `description`.
    pub(crate) async fn open(description: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            description,
            client: Client::builder(TokioExecutor::new()).build_http(),
            fault: Mutex::new(Fault::None),
            requests: Mutex::default(),
            failed: AtomicUsize::new(0),
            dice: AtomicU64::new(0),
        });
        let server = Some(tokio::spawn(serve(listener, shared.clone())));
        Self { address, shared, server }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) async fn set(&mut self, fault: Fault) {
        *self.shared.fault.lock().unwrap() = fault;
        if fault == Fault::Refused {
            // Aborting the listener also closes the connections.
            if let Some(server) = self.server.take() {
                server.abort();
                let _ = server.await;
            }
        } else if self.server.is_none() {
            let listener = TcpListener::bind(self.address).await.unwrap();
            self.server = Some(tokio::spawn(serve(listener, self.shared.clone())));
        }
    }

    /// Clears the recorded requests.
    pub(crate) fn forget(&self) {
        self.shared.requests.lock().unwrap().clear();
        self.shared.failed.store(0, Ordering::Relaxed);
    }

    /// Returns the number of requests that got an error.
    pub(crate) fn failed(&self) -> usize {
        self.shared.failed.load(Ordering::Relaxed)
    }

    /// Returns the number of requests that contain this text.
    pub(crate) fn requests_with(&self, text: &str) -> usize {
        let requests = self.shared.requests.lock().unwrap();
        requests.iter().filter(|it| String::from_utf8_lossy(it).contains(text)).count()
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let shared = shared.clone();
        let answer = service_fn(move |request| {
            let shared = shared.clone();
            async move { Ok::<_, Infallible>(shared.answer(request).await) }
        });
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
    }
}

impl Shared {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let (mut parts, body) = request.into_parts();
        let Ok(body) = body.collect().await else { return Response::default() };
        let body = body.to_bytes();
        self.requests.lock().unwrap().push(body.clone());
        let fault = *self.fault.lock().unwrap();
        match fault {
            Fault::Error(status, name) => return self.fail(status, name),
            Fault::Sometimes if self.dice.fetch_add(7, Ordering::Relaxed) % 10 < 3 => {
                return self.fail(500, "InternalServerError");
            }
            Fault::Of(text) if String::from_utf8_lossy(&body).contains(text) => {
                return self.fail(500, "InternalServerError");
            }
            Fault::NoResponse | Fault::Refused => return std::future::pending().await,
            Fault::None | Fault::Of(_) | Fault::Sometimes => {}
        }
        let upstream = self.upstream().await;
        let path = parts.uri.path_and_query().map_or("/", |it| it.as_str());
        parts.uri = format!("{upstream}{path}").parse().unwrap();
        parts.headers.remove(header::HOST);
        match self.client.request(Request::from_parts(parts, Full::new(body))).await {
            Ok(response) => response.map(Body::new),
            Err(_) => error(500, "InternalServerError"),
        }
    }

    fn fail(&self, status: u16, name: &str) -> Response<Body> {
        self.failed.fetch_add(1, Ordering::Relaxed);
        error(status, name)
    }

    /// Returns the endpoint of the stack's store, waiting until the stack has published it.
    async fn upstream(&self) -> String {
        loop {
            let text = tokio::fs::read(&self.description).await.unwrap_or_default();
            if let Ok(description) = serde_json::from_slice::<Value>(&text) {
                return description["dynamodbUrl"].as_str().unwrap().to_owned();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn error(status: u16, name: &str) -> Response<Body> {
    let body = json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{name}"), "message": "a fault of \
        the test" });
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response.headers_mut().insert(header::CONTENT_TYPE, "application/x-amz-json-1.0".parse().unwrap());
    response
}
