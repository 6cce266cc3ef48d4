//! The HTTP endpoints of Lambda: Runtime API 2018-06-01 and Extensions API 2020-01-01.
//!
//! The first path segment identifies the environment. A function receives it as part of
//! `AWS_LAMBDA_RUNTIME_API` and can't guess another's.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::Shared;
use super::environment::{ApiError, Environment};
use super::invocation::{Invocation, InvocationResult, PAYLOAD_LIMIT, failure};
use crate::http::{HttpResponse, answer, json as json_answer, read_body};
use crate::random;
use crate::template::ACCOUNT;

const EXTENSION_ID: HeaderName = HeaderName::from_static("lambda-extension-identifier");
const EXTENSION_NAME: HeaderName = HeaderName::from_static("lambda-extension-name");
const EXTENSION_FEATURES: HeaderName = HeaderName::from_static("lambda-extension-accept-feature");
const EXTENSION_ERROR: HeaderName = HeaderName::from_static("lambda-extension-function-error-type");
const RUNTIME_ERROR: HeaderName = HeaderName::from_static("lambda-runtime-function-error-type");

pub(super) async fn handle(shared: &Arc<Shared>, request: Request<Incoming>) -> HttpResponse {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let mut segments = path.split('/').skip(1);
    let environment = segments.next().and_then(|token| shared.environments().get(token).map(Arc::clone));
    let Some(environment) = environment else {
        return refuse(StatusCode::NOT_FOUND, ApiError("NotFound", "There is no such environment"));
    };
    let rest: Vec<&str> = segments.collect();
    match (&parts.method, rest.as_slice()) {
        (&Method::GET, ["2018-06-01", "runtime", "invocation", "next"]) => runtime_next(&environment).await,
        (&Method::POST, ["2018-06-01", "runtime", "invocation", id, "response"]) => {
            response(&environment, id, body).await
        }
        (&Method::POST, ["2018-06-01", "runtime", "invocation", id, "error"]) => {
            let error = error_body(&parts.headers, &RUNTIME_ERROR, body).await;
            accepted(environment.finish(id, InvocationResult::Failure(error)))
        }
        (&Method::POST, ["2018-06-01", "runtime", "init", "error"]) => {
            environment.fail_init(error_body(&parts.headers, &RUNTIME_ERROR, body).await);
            accepted(Ok(()))
        }
        (&Method::POST, ["2020-01-01", "extension", "register"]) => {
            register(&environment, &parts.headers, body).await
        }
        (&Method::GET, ["2020-01-01", "extension", "event", "next"]) => {
            extension_next(&environment, &parts.headers).await
        }
        (&Method::POST, ["2020-01-01", "extension", "init" | "exit", "error"]) => {
            if !environment.knows(header(&parts.headers, &EXTENSION_ID)) {
                return forbidden(ApiError("Extension.UnknownExtensionIdentifier", "Unknown extension"));
            }
            environment.fail_init(error_body(&parts.headers, &EXTENSION_ERROR, body).await);
            accepted(Ok(()))
        }
        _ => refuse(StatusCode::NOT_FOUND, ApiError("NotFound", "There is no such operation")),
    }
}

async fn runtime_next(environment: &Environment) -> HttpResponse {
    let waiting = match environment.runtime_next() {
        Ok(waiting) => waiting,
        Err(refusal) => return forbidden(refusal),
    };
    match waiting.await {
        Ok(invocation) => invocation_answer(invocation),
        // A later call to `next` replaced this one, or the environment is ending.
        Err(_) => refuse(
            StatusCode::GONE,
            ApiError("Gone", "This call to next has been replaced or its environment has ended"),
        ),
    }
}

fn invocation_answer(invocation: Invocation) -> HttpResponse {
    let mut reply = answer(StatusCode::OK, "application/json", invocation.event);
    let headers = [
        ("lambda-runtime-aws-request-id", invocation.request_id),
        ("lambda-runtime-deadline-ms", invocation.deadline_millis.to_string()),
        ("lambda-runtime-invoked-function-arn", invocation.function_arn),
        ("lambda-runtime-trace-id", invocation.trace),
    ];
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            reply.headers_mut().insert(name, value);
        }
    }
    reply
}

async fn response(environment: &Environment, id: &str, body: Incoming) -> HttpResponse {
    if let Ok(body) = read_body(body, PAYLOAD_LIMIT).await {
        return accepted(environment.finish(id, InvocationResult::Success(body)));
    }
    let message =
        "Response payload size exceeded the maximum allowed payload size (6291456 bytes) or broke off";
    match environment.finish(id, failure("Function.ResponseSizeTooLarge", message)) {
        Ok(()) => {
            refuse(StatusCode::PAYLOAD_TOO_LARGE, ApiError("RequestEntityTooLarge", "Exceeded maximum size"))
        }
        refused => accepted(refused),
    }
}

async fn register(environment: &Environment, headers: &HeaderMap, body: Incoming) -> HttpResponse {
    let name = header(headers, &EXTENSION_NAME);
    if name.is_empty() {
        return forbidden(ApiError("Extension.InvalidExtensionName", "Empty extension name"));
    }
    let body: Value = read_body(body, PAYLOAD_LIMIT)
        .await
        .ok()
        .and_then(|body| serde_json::from_slice(&body).ok())
        .unwrap_or_default();
    let events: Vec<&str> = body
        .get("events")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let Ok(id) = random::uuid() else {
        return refuse(StatusCode::INTERNAL_SERVER_ERROR, ApiError("Container.Error", "No randomness"));
    };
    if let Err(refusal) = environment.register(&id, name, &events) {
        return forbidden(refusal);
    }
    let mut reply = json!({
        "functionName": environment.function,
        "functionVersion": "$LATEST",
        "handler": "bootstrap",
    });
    if header(headers, &EXTENSION_FEATURES).split(',').any(|feature| feature.trim() == "accountId") {
        reply["accountId"] = Value::from(ACCOUNT);
    }
    with_extension_id(json_answer(StatusCode::OK, &reply), &id)
}

async fn extension_next(environment: &Environment, headers: &HeaderMap) -> HttpResponse {
    let id = header(headers, &EXTENSION_ID);
    let waiting = match environment.extension_next(id) {
        Ok(waiting) => waiting,
        Err(refusal) => return forbidden(refusal),
    };
    match waiting.await {
        Ok(event) => with_extension_id(json_answer(StatusCode::OK, &event), id),
        Err(_) => refuse(
            StatusCode::GONE,
            ApiError("Gone", "This call to next has been replaced or its environment has ended"),
        ),
    }
}

fn with_extension_id(mut reply: HttpResponse, id: &str) -> HttpResponse {
    if let Ok(id) = HeaderValue::from_str(id) {
        reply.headers_mut().insert(EXTENSION_ID, id);
    }
    reply
}

/// Returns the error that a runtime or extension reports; the header provides the type if the body
/// lacks it.
async fn error_body(headers: &HeaderMap, type_header: &HeaderName, body: Incoming) -> Value {
    let body = read_body(body, PAYLOAD_LIMIT).await.unwrap_or_else(|_| Bytes::new());
    let mut error = match serde_json::from_slice(&body) {
        Ok(Value::Object(error)) => error,
        _ => serde_json::Map::new(),
    };
    let kind = header(headers, type_header);
    let kind = if kind.is_empty() { "Runtime.Unknown" } else { kind };
    error.entry("errorType").or_insert_with(|| Value::from(kind));
    error.entry("errorMessage").or_insert_with(|| Value::from(""));
    Value::Object(error)
}

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn accepted(result: Result<(), ApiError>) -> HttpResponse {
    match result {
        Ok(()) => json_answer(StatusCode::ACCEPTED, &json!({ "status": "OK" })),
        Err(refusal) => refuse(StatusCode::BAD_REQUEST, refusal),
    }
}

fn forbidden(refusal: ApiError) -> HttpResponse {
    refuse(StatusCode::FORBIDDEN, refusal)
}

fn refuse(status: StatusCode, ApiError(kind, message): ApiError) -> HttpResponse {
    json_answer(status, &json!({ "errorType": kind, "errorMessage": message }))
}
