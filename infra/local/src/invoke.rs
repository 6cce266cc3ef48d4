//! Lambda's Invoke API on loopback, for operator commands and the AWS CLI.

use std::sync::Arc;

use http::{HeaderValue, Method, Request, StatusCode};
use hyper::body::Incoming;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::error::Result;
use crate::http::{self as server, HttpResponse, answer, json as json_answer, read_body};
use crate::permissions::{AccessError, Call, Permissions};
use crate::runtime::{InvocationResult, InvokeError, RuntimeHost};
use crate::template::{ACCOUNT, REGION};

const BODY_LIMIT: usize = 7 * 1024 * 1024;

/// The running API.
pub struct InvokeApi {
    /// Base URL.
    pub endpoint: String,
    task: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl InvokeApi {
    /// Serves callers that the permissions know, on a free port.
    pub async fn start(runtime: Arc<RuntimeHost>, permissions: Arc<Permissions>) -> Result<Self> {
        let (listener, address) = server::listen(0).await?;
        let (stop, stopped) = watch::channel(false);
        let handler = move |request| {
            let (runtime, permissions) = (Arc::clone(&runtime), Arc::clone(&permissions));
            async move { invoke(&runtime, &permissions, request).await }
        };
        let task = tokio::spawn(server::serve(listener, handler, stopped));
        Ok(Self { endpoint: format!("http://{address}"), task, stop })
    }

    /// Stops accepting invocations, and gives running ones a moment to finish.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}

async fn invoke(
    runtime: &RuntimeHost,
    permissions: &Permissions,
    request: Request<Incoming>,
) -> HttpResponse {
    let Ok(caller) = permissions.caller(request.headers()) else {
        return refuse(StatusCode::FORBIDDEN, "UnrecognizedClientException");
    };
    let path = request.uri().path().to_owned();
    let name = path.strip_prefix("/2015-03-31/functions/").and_then(|rest| rest.strip_suffix("/invocations"));
    let Some(name) = name.filter(|_| request.method() == Method::POST) else {
        return refuse(StatusCode::NOT_FOUND, "UnknownOperationException");
    };
    let resource = format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}");
    let call = || vec![Call::of("lambda:InvokeFunction".to_owned(), resource)];
    if let Err(AccessError::Denied(message)) = caller.may(call) {
        return refuse_with(StatusCode::FORBIDDEN, "AccessDeniedException", &message);
    }
    let Ok(event) = read_body(request.into_body(), BODY_LIMIT).await else {
        return refuse(StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLargeException");
    };
    match runtime.invoke(name, event).await {
        Ok(InvocationResult::Success(body)) => answer(StatusCode::OK, "application/json", body),
        Ok(InvocationResult::Failure(error)) => {
            let mut answer = json_answer(StatusCode::OK, &error);
            answer.headers_mut().insert("x-amz-function-error", HeaderValue::from_static("Unhandled"));
            answer
        }
        Err(InvokeError::UnknownFunction) => refuse(StatusCode::NOT_FOUND, "ResourceNotFoundException"),
        Err(InvokeError::TooLarge) => refuse(StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLargeException"),
        Err(InvokeError::Throttled) => refuse(StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException"),
        Err(InvokeError::Stopping) => refuse(StatusCode::SERVICE_UNAVAILABLE, "ServiceException"),
    }
}

fn refuse(status: StatusCode, code: &'static str) -> HttpResponse {
    refuse_with(status, code, code)
}

fn refuse_with(status: StatusCode, code: &'static str, message: &str) -> HttpResponse {
    let mut answer = json_answer(status, &json!({ "Message": message }));
    answer.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(code));
    answer
}
