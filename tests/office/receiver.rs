//! A partner's endpoint on loopback.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use futures::StreamExt;
use http_body_util::{BodyExt, StreamBody};
use hyper::{
    HeaderMap, Request, Response,
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, sync::Semaphore};

/// The endpoint's next response.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
    /// A gate between head and body.
    gate: Option<Gate>,
    /// Whether to repeat the body until the caller hangs up.
    endless: bool,
}

impl Answer {
    pub(crate) fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: "answered".into(), gate: None, endless: false }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn body(mut self, body: String) -> Self {
        self.body = body;
        self
    }

    pub(crate) fn endless(mut self) -> Self {
        self.endless = true;
        self
    }

    pub(crate) fn behind(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }
}

/// Blocks responses until it is opened; forever if it never is.
#[derive(Clone, Debug)]
pub(crate) struct Gate(Arc<Semaphore>);

impl Gate {
    pub(crate) fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    pub(crate) fn open(&self) {
        self.0.close();
    }

    pub(crate) async fn pass(self) {
        // Closed as soon as the gate is open.
        let _ = self.0.acquire().await;
    }
}

/// A request that the endpoint received.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

#[derive(Default)]
struct State {
    answers: VecDeque<Answer>,
    otherwise: Option<Answer>,
    received: Vec<Received>,
    under_way: usize,
    most: usize,
    /// The number of body bytes handed to the network.
    sent: usize,
}

/// A call in progress; it ends with its response, or when the caller hangs up.
struct Call(Arc<Mutex<State>>);

impl Drop for Call {
    fn drop(&mut self) {
        self.0.lock().unwrap().under_way -= 1;
    }
}

/// Returns 200 unless another response is set.
pub(crate) struct Receiver {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = shared.clone();
                let service = service_fn(move |request| answer(state.clone(), request));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { url, state }
    }

    /// Sets the response to the next call.
    pub(crate) fn then(&self, answer: Answer) {
        self.state.lock().unwrap().answers.push_back(answer);
    }

    /// Sets the response to every call without one of its own.
    pub(crate) fn otherwise(&self, answer: Answer) {
        self.state.lock().unwrap().otherwise = Some(answer);
    }

    /// Returns the maximum number of concurrent calls.
    pub(crate) fn most_at_once(&self) -> usize {
        self.state.lock().unwrap().most
    }

    /// Returns the number of calls in progress, and the bytes of all responses so far.
    pub(crate) fn in_progress_and_bytes_sent(&self) -> (usize, usize) {
        let state = self.state.lock().unwrap();
        (state.under_way, state.sent)
    }

    /// Returns the requests received so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.state.lock().unwrap().received.clone()
    }
}

type Body = StreamBody<futures::stream::BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;

async fn answer(state: Arc<Mutex<State>>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let answer = {
        let mut state = state.lock().unwrap();
        state.received.push(Received { headers: parts.headers, body });
        state.under_way += 1;
        state.most = state.most.max(state.under_way);
        let otherwise = state.otherwise.clone().unwrap_or_else(|| Answer::status(200));
        state.answers.pop_front().unwrap_or(otherwise)
    };
    let call = Call(state.clone());
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    let chunk = Bytes::from(answer.body);
    let times = if answer.endless { usize::MAX } else { 1 };
    let pause = futures::stream::once(async move {
        if let Some(gate) = answer.gate {
            gate.pass().await;
        }
    })
    .filter_map(async |()| None);
    let chunks = futures::stream::iter(0..times).map(move |_| {
        call.0.lock().unwrap().sent += chunk.len();
        Ok(Frame::data(chunk.clone()))
    });
    Ok(response.body(StreamBody::new(Box::pin(pause.chain(chunks)) as _)).unwrap())
}
