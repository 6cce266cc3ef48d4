//! An emulation of API Gateway's HTTP API: turns each request to a route of the template into a
//! Lambda event, and serves the portal's files for other paths.

mod event;
mod portal;
mod refusal;
mod reply;
mod routes;
mod throttle;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use hyper::body::Incoming;
use serde_json::json;
use shared::api::Code;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::http::{BodyError, HttpResponse, json as json_answer, read_body, serve};
use crate::runtime::{InvocationResult, InvokeError, RuntimeHost};
use crate::template::{Function, Throttling};
use event::Context;
use portal::Portal;
use refusal::{refuse, refuse_for_now};
pub use routes::Routes;
use throttle::Throttle;

/// API Gateway's own limits.
const BODY_LIMIT: usize = 10 * 1024 * 1024;
const HEADER_LIMIT: usize = 10_240;
const INTEGRATION_TIME: Duration = Duration::from_secs(30);

/// The running gateway.
pub struct Gateway {
    task: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

/// State shared by all requests.
struct State {
    routes: Routes,
    runtime: Arc<RuntimeHost>,
    portal: Portal,
    throttle: Option<Throttle>,
}

impl Gateway {
    /// Serves the routes of `functions`, limited by `throttling`, and the files in the folder
    /// `portal`.
    pub fn start(
        listener: TcpListener,
        functions: &[Function],
        runtime: Arc<RuntimeHost>,
        portal: PathBuf,
        throttling: Option<Throttling>,
    ) -> Self {
        let state = Arc::new(State {
            routes: Routes::new(functions),
            runtime,
            portal: Portal::new(portal),
            throttle: throttling.map(Throttle::new),
        });
        let (stop, stopped) = watch::channel(false);
        let handler = move |request| {
            let state = Arc::clone(&state);
            async move { state.answer(request).await }
        };
        Self { task: tokio::spawn(serve(listener, handler, stopped)), stop }
    }

    /// Stops accepting requests, and gives open ones a moment to finish.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}

fn message(status: StatusCode, text: &str) -> HttpResponse {
    json_answer(status, &json!({ "message": text }))
}

impl State {
    async fn answer(&self, request: Request<Incoming>) -> HttpResponse {
        let (parts, body) = request.into_parts();
        if parts.headers.get_all(http::header::HOST).iter().nth(1).is_some() {
            return refuse(
                &parts.headers,
                Code::InvalidHeader,
                "A request must have exactly one 'Host' header (RFC 9112, section 3.2).",
            );
        }
        if !is_local_host(&parts.headers) {
            // Otherwise any web page could reach this server through its own host name (DNS
            // rebinding).
            return message(StatusCode::MISDIRECTED_REQUEST, "This server is available only as localhost");
        }
        let path = parts.uri.path();
        if path != "/v1" && !path.starts_with("/v1/") {
            return self.portal.answer(&parts.method, path).await;
        }
        if self.throttle.as_ref().is_some_and(|throttle| !throttle.admits(Instant::now())) {
            return refuse_for_now(
                &parts.headers,
                Code::RateLimited,
                "The API's limit of requests per second is reached.",
            );
        }
        let target_length = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
        let header_length: usize = parts.headers.values().map(http::HeaderValue::len).sum();
        if target_length + header_length > HEADER_LIMIT {
            let detail = format!("Path, query and headers must not exceed {HEADER_LIMIT} bytes in total.");
            return refuse(&parts.headers, Code::HeadersTooLarge, &detail);
        }
        if !refusal::is_well_encoded(path) {
            return refuse(
                &parts.headers,
                Code::InvalidPath,
                "The path contains a '%' that does not encode valid UTF-8.",
            );
        }
        let Some(route) = self.routes.find(parts.method.as_str(), path) else {
            return message(StatusCode::NOT_FOUND, "Not Found");
        };
        let body = match read_body(body, BODY_LIMIT).await {
            Ok(body) => body,
            Err(BodyError::TooLarge) => {
                return refuse(&parts.headers, Code::PayloadTooLarge, "The body must not exceed 10 MiB.");
            }
            // The caller has disconnected.
            Err(BodyError::Broken) => return message(StatusCode::BAD_REQUEST, "Bad Request"),
        };
        let Some(event) = Context::new(&parts, &route).event(&body) else {
            return message(StatusCode::BAD_REQUEST, "Bad Request");
        };
        let event = Bytes::from(event.to_string());
        match timeout(INTEGRATION_TIME, self.runtime.invoke(&route.function, event)).await {
            Ok(Ok(InvocationResult::Success(body))) => {
                reply::from_function(&body).unwrap_or_else(internal_error)
            }
            Ok(Ok(InvocationResult::Failure(error))) => {
                eprintln!("{} failed: {error}", route.function);
                internal_error()
            }
            Ok(Err(InvokeError::TooLarge)) => refuse(
                &parts.headers,
                Code::PayloadTooLarge,
                "The event for the function must not exceed 6 MB.",
            ),
            Ok(Err(InvokeError::UnknownFunction)) => internal_error(),
            Ok(Err(InvokeError::Throttled)) => {
                refuse_for_now(&parts.headers, Code::Unavailable, "The function is busy with other requests.")
            }
            Ok(Err(InvokeError::Stopping)) | Err(_) => {
                refuse_for_now(&parts.headers, Code::Unavailable, "The function does not respond.")
            }
        }
    }
}

fn internal_error() -> HttpResponse {
    message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
}

/// Whether the request's host is a name of the loopback interface.
fn is_local_host(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(http::header::HOST).and_then(|host| host.to_str().ok()) else {
        return false;
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() => name,
        _ => host,
    };
    matches!(name, "127.0.0.1" | "[::1]") || name.eq_ignore_ascii_case("localhost")
}
