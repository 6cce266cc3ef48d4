//! The middleware of every call.

use std::{
    borrow::Cow,
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
    time::Instant,
};

use axum::{
    Router,
    body::HttpBody,
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use jiff::Timestamp;
use tracing::Instrument;

use crate::api::{
    ApiError, Call, Code, Problem,
    auth::{audit::audit_answer, viewer},
    call::Inner,
    error::ProblemDetails,
    fit::MAX_ANSWER,
};
use crate::{
    app::{App, Rate},
    control::activity::CallRecord,
    domain::request_id,
    telemetry::{CONTEXT, metrics},
};

/// The maximum size of path, query and headers together, in bytes.
///
/// It is below API Gateway's limit of 10,240, beyond which API Gateway responds by itself.
const MAX_HEAD: usize = 8 << 10;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The template of a call that matches no route, which is also its name in metrics.
const UNMATCHED: &str = "unmatched";

/// Adds request ids, problem details, the common headers and call records to routes.
///
/// API Gateway sends a call that matches no route to the `meta` function.
pub fn edge(routes: Router<App>, app: App) -> Router {
    routes
        .method_not_allowed_fallback(|| async {
            ApiError::new(Code::MethodNotAllowed, "See the 'Allow' header for the methods of this path.")
        })
        .layer(from_fn_with_state(app.clone(), pass))
        .with_state(app)
}

async fn pass(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let now = app.clock.now();
    let request_id = request_id(request.headers(), &app, now);
    let method = known(request.method());
    let template =
        request.extensions().get::<MatchedPath>().map_or(UNMATCHED, MatchedPath::as_str).to_owned();
    let name = route_name(method, &template);
    let context =
        tracing::error_span!(target: CONTEXT, "call", requestId = request_id, Route = name.as_ref());
    let call = Call(Arc::new(Inner {
        address: viewer::address(&app, &mut request).instrument(context.clone()).await,
        request_id,
        now,
        caller: OnceLock::new(),
        rate: OnceLock::new(),
        admin: OnceLock::new(),
        attempted_key: OnceLock::new(),
    }));
    answer(app, call, (method, template), request, next, started).instrument(context).await
}

async fn answer(
    app: App,
    call: Call,
    (method, route): (&'static str, String),
    mut request: Request,
    next: Next,
    started: Instant,
) -> Response {
    let offered = request.headers().contains_key(header::AUTHORIZATION);
    request.extensions_mut().insert(call.clone());

    let mut response = if head_length(&request) > MAX_HEAD {
        let detail = format!("Path, query and headers must not exceed {MAX_HEAD} bytes in total.");
        ApiError::new(Code::HeadersTooLarge, detail).into_response()
    } else {
        AssertUnwindSafe(next.run(request)).catch_unwind().await.unwrap_or_else(|_| {
            ApiError::internal(&std::io::Error::other("a handler panicked")).into_response()
        })
    };
    if let Some(error) = too_large(&response) {
        response = error.into_response();
    }
    if let Some(error) = audit_answer(&app, &call, method, &route, response.status().as_u16()).await {
        response = error.into_response();
    }
    if let Some(details) = response.extensions_mut().remove::<ProblemDetails>() {
        problem(&mut response, details, &call, offered, app.config.portal_origin.as_deref());
    }
    finish_headers(response.headers_mut(), &call);
    let replayed = response.headers().contains_key("idempotent-replayed");
    record(&app, &call, (method, route), (response.status().as_u16(), replayed), started);
    response
}

/// Returns the error for a response that is too large.
///
/// Responses are bounded where they are built, so this last check should never apply.
fn too_large(response: &Response) -> Option<ApiError> {
    let bytes = response.body().size_hint().exact();
    let small = bytes.is_some_and(|bytes| usize::try_from(bytes).is_ok_and(|bytes| bytes <= MAX_ANSWER));
    (!small).then(|| ApiError::response_too_large(bytes))
}

/// Returns the size that API Gateway compares with its own limit, in bytes.
fn head_length(request: &Request) -> usize {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    target + request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>()
}

fn request_id(headers: &HeaderMap, app: &App, now: Timestamp) -> String {
    let sent = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
    match sent.filter(|id| request_id::is_acceptable(id)) {
        Some(id) => id.to_owned(),
        None => request_id::new(now, app.random.bytes()),
    }
}

/// Returns a route's name in logs and metrics, such as `GET /v1/{PPass}/tags`.
fn route_name<'a>(method: &str, template: &'a str) -> Cow<'a, str> {
    if template == UNMATCHED { template.into() } else { format!("{method} {template}").into() }
}

/// Returns a known method, or `OTHER`.
///
/// Callers can send any word as a method, and each one would become a metric of its own.
fn known(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    KNOWN.into_iter().find(|it| *it == method.as_str()).unwrap_or("OTHER")
}

/// Writes the problem details into the response.
///
/// `offered` says whether the request had an `Authorization` header. `portal` is the portal's
/// origin, if it is configured.
fn problem(
    response: &mut Response,
    details: ProblemDetails,
    call: &Call,
    offered: bool,
    portal: Option<&str>,
) {
    let code = details.code;
    if let Some(cause) = &details.cause {
        tracing::error!(code = code.as_str(), cause, "the call failed");
    }
    let (errors, errors_omitted) = details.errors.into_parts();
    let problem = Problem {
        errors,
        errors_omitted,
        members: details.members,
        ..Problem::new(code, details.detail.into_owned(), call.request_id(), portal.unwrap_or_default())
    };
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.remove(header::CONTENT_LENGTH);
    if let Some(value) = details.retry_after.and_then(|seconds| seconds.to_string().parse().ok()) {
        headers.insert(header::RETRY_AFTER, value);
    }
    let challenge = match details.scope {
        Some(scope) => Some(format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"")),
        // RFC 6750, section 3.1: without a credential in the request, return no error code.
        None if code == Code::Unauthenticated && !offered => Some("Bearer".to_owned()),
        None if code == Code::Unauthenticated => Some("Bearer error=\"invalid_token\"".to_owned()),
        None if code == Code::InvalidAdminSecret => Some("AdminSecret".to_owned()),
        None if code == Code::InvalidAccessKey => Some("AccessKey".to_owned()),
        None if code == Code::InsufficientScope => Some("Bearer error=\"insufficient_scope\"".to_owned()),
        None if code == Code::InvalidApiKey => Some("Bearer".to_owned()),
        None => None,
    };
    if let Some(value) = challenge.and_then(|text| text.parse().ok()) {
        headers.insert(header::WWW_AUTHENTICATE, value);
    }
    *response.body_mut() = body.into();
}

fn finish_headers(headers: &mut HeaderMap, call: &Call) {
    // Only the descriptions of the API, which contain no data, say otherwise.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = value.parse() {
            headers.insert(name, value);
        }
    };
    set(REQUEST_ID, call.request_id());
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    if let Some(Rate { limit, remaining, reset, .. }) = call.0.rate.get() {
        // draft-ietf-httpapi-ratelimit-headers-10
        set(HeaderName::from_static("ratelimit-policy"), &format!("\"calls\";q={limit};w=60"));
        set(HeaderName::from_static("ratelimit"), &format!("\"calls\";r={remaining};t={reset}"));
    }
}

fn record(
    app: &App,
    call: &Call,
    (method, endpoint): (&str, String),
    (status, replayed): (u16, bool),
    started: Instant,
) {
    let caller = call.0.caller.get();
    let elapsed = started.elapsed();
    let record = CallRecord {
        id: CallRecord::id_from(app.random.bytes()),
        time: call.now(),
        method: method.to_owned(),
        endpoint,
        status,
        duration_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        partner: caller.map(|it| it.partner.clone()),
        partner_id: caller.map(|it| it.partner_id.to_string()),
        key_id: caller.map(|it| it.key_id.to_string()),
        key_name: caller
            .map(|it| it.key_name.clone())
            .or_else(|| call.0.admin.get().map(|_| "admin".to_owned())),
        practicepass: caller.map(|it| it.practicepass.to_string()),
        attempted_key_id: call.0.attempted_key.get().filter(|_| caller.is_none()).map(ToString::to_string),
        ip: call.address().map(|it| it.to_string()),
        request_id: call.request_id().to_owned(),
        replayed,
    };
    // Callers can send any method to any path: do not create a metric for each combination.
    let wrong_method = status == StatusCode::METHOD_NOT_ALLOWED.as_u16();
    let template = if wrong_method { UNMATCHED } else { &record.endpoint };
    tracing::info!(
        target: metrics::CALLS,
        Route = route_name(method, template).as_ref(),
        Duration = elapsed.as_secs_f64() * 1e3,
        Faults = u8::from(status >= 500),
        status,
        practice = record.practicepass,
        partner = record.partner_id,
        "call"
    );
    app.calls.push(record);
}
