//! One invocation: its event and its outcome.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::clock::now_millis;
use crate::error::Result;
use crate::random;
use crate::template::{ACCOUNT, REGION};

/// Maximum size of an event and of a response in bytes, as in Lambda's synchronous invocations.
pub(super) const PAYLOAD_LIMIT: usize = 6 * 1024 * 1024;

/// The outcome of an invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvocationResult {
    /// The function's response.
    Success(Bytes),
    /// The function's error: `{"errorType","errorMessage",…}`.
    Failure(Value),
}

impl InvocationResult {
    /// Returns the outcome of an invocation that the stack's stop interrupted.
    pub(super) fn cut_off() -> Self {
        failure("Sandbox.Failure", STOPPING)
    }

    pub(crate) fn is_cut_off(&self) -> bool {
        matches!(self, Self::Failure(error) if error["errorMessage"] == STOPPING)
    }
}

const STOPPING: &str = "The local stack is stopping";

/// Why a function was not invoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvokeError {
    #[error("there is no such function")]
    UnknownFunction,
    #[error("the event is larger than 6 MiB")]
    TooLarge,
    /// Every environment of the function is busy, and its queue is full.
    #[error("every environment is busy")]
    Throttled,
    #[error("the local stack is stopping")]
    Stopping,
}

/// An invocation that waits for an environment.
pub(super) struct Job {
    pub(super) event: Bytes,
    pub(super) reply: oneshot::Sender<InvocationResult>,
}

/// An invocation as the runtime receives it.
#[derive(Debug, Clone)]
pub(super) struct Invocation {
    pub(super) request_id: String,
    pub(super) event: Bytes,
    /// The invocation's deadline in epoch milliseconds.
    pub(super) deadline_millis: i64,
    /// The same deadline on the monotonic clock.
    pub(super) deadline: Instant,
    pub(super) function_arn: String,
    /// X-Ray's header, e.g. `Root=1-…;Parent=…;Sampled=0`.
    pub(super) trace: String,
}

impl Invocation {
    pub(super) fn new(function: &str, timeout: Duration, event: Bytes) -> Result<Self> {
        let trace = random::hex(&random::bytes(20)?);
        let millis = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
        let now = now_millis();
        Ok(Self {
            request_id: random::uuid()?,
            event,
            deadline_millis: now.saturating_add(millis),
            deadline: Instant::now() + timeout,
            function_arn: format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}"),
            trace: format!("Root=1-{:08x}-{};Parent={};Sampled=0", now / 1000, &trace[..24], &trace[24..]),
        })
    }
}

/// Returns a failure in Lambda's format.
pub(super) fn failure(kind: &str, message: &str) -> InvocationResult {
    InvocationResult::Failure(json!({ "errorType": kind, "errorMessage": message }))
}
