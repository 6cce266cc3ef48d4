//! This process: what it is called, and the context of its invocations.

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use lambda_http::Context;
use tracing::{Span, field::Empty};
use tracing_subscriber::EnvFilter;

use crate::telemetry::{self, CONTEXT, metrics};

/// A process of a function. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Process {
    function: &'static str,
    began: Instant,
    used: Arc<AtomicBool>,
}

impl Process {
    /// Begins to write lines to standard output: what `RUST_LOG` lets pass, default `info`, and, when
    /// `METRICS_NAMESPACE` names theirs, metrics. `function` is its group, e.g. `visits`.
    pub(super) fn begin(function: &'static str) -> Self {
        let began = Instant::now();
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
        let namespace = std::env::var("METRICS_NAMESPACE").ok().filter(|it| !it.is_empty());
        let sink = Arc::new(|line: &[u8]| {
            // Where else could it be said?
            let _ = std::io::stdout().write_all(line);
        });
        // Not Lambda's name for the function: it holds the stack's name and a random part, so every
        // stack and every new logical id would be another dimension.
        let subscriber = telemetry::subscriber(function, namespace, filter, sink);
        // A second call finds the first one's subscriber in place.
        let _ = tracing::subscriber::set_global_default(subscriber);
        Self { function, began, used: Arc::default() }
    }

    /// Called when the process asks for its first invocation: what its start took is known then.
    pub(super) fn ready(self) -> Ready {
        let init_ms = milliseconds(self.began);
        Ready { process: self, init_ms }
    }
}

/// A process that has begun to take invocations. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Ready {
    process: Process,
    init_ms: f64,
}

impl Ready {
    /// The context of an invocation; the first one is counted as a cold start.
    pub(super) fn context(&self, invocation: &Context) -> Span {
        let span = context_of(&invocation.request_id, invocation.xray_trace_id.as_deref());
        if !self.process.used.swap(true, Ordering::Relaxed) {
            span.record("coldStart", true);
            span.in_scope(|| {
                tracing::info!(
                    target: metrics::COLD_STARTS,
                    Function = self.process.function,
                    ColdStarts = 1,
                    initMs = self.init_ms,
                    "cold start"
                );
            });
        }
        span
    }
}

/// The context of an invocation of Lambda, with X-Ray's header, e.g. `Root=1-6a…;Parent=53…;Sampled=1`.
pub(super) fn context_of(request_id: &str, trace: Option<&str>) -> Span {
    let trace_id = trace.and_then(|it| it.split(';').find_map(|part| part.strip_prefix("Root=")));
    tracing::error_span!(
        target: CONTEXT,
        "invocation",
        lambdaRequestId = request_id,
        traceId = trace_id,
        coldStart = Empty
    )
}

fn milliseconds(since: Instant) -> f64 {
    (since.elapsed().as_secs_f64() * 1e6).round() / 1e3
}
