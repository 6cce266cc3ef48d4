//! The state of one execution environment: pending calls of its runtime and its extensions.
//!
//! An environment accepts its next invocation only when the runtime and every registered extension
//! have asked for it. So the next invocation never interrupts work that an extension does after the
//! response was sent, such as flushing.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::{Notify, oneshot};

use super::invocation::{Invocation, InvocationResult};

/// One process of one function, as seen through the APIs that it calls.
#[derive(Default)]
pub(super) struct Environment {
    pub(super) function: String,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// The runtime's pending call to `next`.
    runtime: Option<oneshot::Sender<Invocation>>,
    extensions: BTreeMap<String, Extension>,
    /// The invocation that has no response yet.
    unanswered: Option<(String, oneshot::Sender<InvocationResult>)>,
    /// Whether the runtime has asked for its first invocation.
    initialized: bool,
    init_error: Option<Value>,
}

struct Extension {
    name: String,
    wants_invoke: bool,
    /// The extension's pending call to `event/next`.
    waiting: Option<oneshot::Sender<Value>>,
}

/// A call that the protocol does not allow in this state: Lambda's error type and message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ApiError(pub(super) &'static str, pub(super) &'static str);

impl Environment {
    pub(super) fn new(function: &str) -> Self {
        Self { function: function.to_owned(), ..Self::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers the runtime's call for its next invocation.
    pub(super) fn runtime_next(&self) -> Result<oneshot::Receiver<Invocation>, ApiError> {
        let mut state = self.state();
        if state.unanswered.is_some() {
            return Err(ApiError("InvalidStateTransition", "The last invocation has no response yet"));
        }
        let (send, receive) = oneshot::channel();
        state.runtime = Some(send);
        state.initialized = true;
        drop(state);
        self.changed.notify_waiters();
        Ok(receive)
    }

    /// Completes the runtime's current invocation.
    pub(super) fn finish(&self, request_id: &str, outcome: InvocationResult) -> Result<(), ApiError> {
        let mut state = self.state();
        let Some((_, reply)) = state.unanswered.take_if(|(id, _)| id == request_id) else {
            return Err(ApiError("InvalidRequestID", "Invalid request ID"));
        };
        drop(state);
        // The caller may have disconnected.
        let _ = reply.send(outcome);
        self.changed.notify_waiters();
        Ok(())
    }

    /// Records that the runtime or an extension failed to start.
    pub(super) fn fail_init(&self, error: Value) {
        self.state().init_error = Some(error);
        self.changed.notify_waiters();
    }

    /// Registers an internal extension under the given id.
    pub(super) fn register(&self, id: &str, name: &str, events: &[&str]) -> Result<(), ApiError> {
        if events.contains(&"SHUTDOWN") {
            return Err(ApiError(
                "ShutdownEventNotSupportedForInternalExtension",
                "Internal extensions receive SIGTERM instead of a SHUTDOWN event",
            ));
        }
        if events.iter().any(|event| *event != "INVOKE") {
            return Err(ApiError("Extension.InvalidEventType", "Extensions can register for INVOKE only"));
        }
        let mut state = self.state();
        if state.initialized {
            return Err(ApiError(
                "Extension.RegistrationClosed",
                "Extensions must register before the first call to next",
            ));
        }
        if state.extensions.values().any(|extension| extension.name == name) {
            return Err(ApiError(
                "Extension.AlreadyRegistered",
                "An extension with that name is already registered",
            ));
        }
        let wants_invoke = events.contains(&"INVOKE");
        state
            .extensions
            .insert(id.to_owned(), Extension { name: name.to_owned(), wants_invoke, waiting: None });
        Ok(())
    }

    /// Registers an extension's call for its next event.
    pub(super) fn extension_next(&self, id: &str) -> Result<oneshot::Receiver<Value>, ApiError> {
        let mut state = self.state();
        let extension = state
            .extensions
            .get_mut(id)
            .ok_or(ApiError("Extension.UnknownExtensionIdentifier", "Unknown extension"))?;
        let (send, receive) = oneshot::channel();
        extension.waiting = Some(send);
        drop(state);
        self.changed.notify_waiters();
        Ok(receive)
    }

    /// Whether this id belongs to an extension.
    pub(super) fn knows(&self, extension: &str) -> bool {
        self.state().extensions.contains_key(extension)
    }

    /// Passes an invocation to the runtime and to the extensions registered for INVOKE events.
    /// Returns `reply` if the runtime is no longer waiting.
    pub(super) fn dispatch(
        &self,
        invocation: &Invocation,
        reply: oneshot::Sender<InvocationResult>,
    ) -> Result<(), oneshot::Sender<InvocationResult>> {
        let mut state = self.state();
        let Some(runtime) = state.runtime.take() else { return Err(reply) };
        if runtime.send(invocation.clone()).is_err() {
            return Err(reply);
        }
        state.unanswered = Some((invocation.request_id.clone(), reply));
        for extension in state.extensions.values_mut().filter(|extension| extension.wants_invoke) {
            if let Some(waiting) = extension.waiting.take() {
                // An extension that disconnected must call `next` again; until then the environment
                // waits.
                let _ = waiting.send(json!({
                    "eventType": "INVOKE",
                    "deadlineMs": invocation.deadline_millis,
                    "requestId": invocation.request_id,
                    "invokedFunctionArn": invocation.function_arn,
                    "tracing": { "type": "X-Amzn-Trace-Id", "value": invocation.trace },
                }));
            }
        }
        Ok(())
    }

    /// Completes a pending invocation on the function's behalf, if there is one.
    pub(super) fn abandon(&self, outcome: InvocationResult) {
        if let Some((_, reply)) = self.state().unanswered.take() {
            let _ = reply.send(outcome);
        }
    }

    /// Waits until the invocation has its answer.
    pub(super) async fn answered(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.state().unanswered.is_none() {
                return;
            }
            changed.await;
        }
    }

    /// Waits until the environment can take an invocation: nothing is unanswered, and the runtime
    /// and all extensions wait in `next`. An init error comes back as it was reported.
    pub(super) async fn ready(&self) -> Result<(), Value> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let state = self.state();
                if let Some(error) = &state.init_error {
                    return Err(error.clone());
                }
                let runtime_waits = state.runtime.as_ref().is_some_and(|next| !next.is_closed());
                // An extension without INVOKE stays in its first `next` forever, so calling it once
                // suffices.
                let extensions_wait = state.extensions.values().all(|extension| extension.waiting.is_some());
                if runtime_waits && extensions_wait && state.unanswered.is_none() {
                    return Ok(());
                }
            }
            changed.await;
        }
    }
}
