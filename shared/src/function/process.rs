//! The process of a function, and the log context of its invocations.

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

/// A seventh of a delivery's processor time was the C library's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A process of a function. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Process {
    function: &'static str,
    began: Instant,
    used: Arc<AtomicBool>,
}

impl Process {
    /// Starts logging to standard output.
    ///
    /// `RUST_LOG` filters the lines; its default is `info`. Metrics are logged if
    /// `METRICS_NAMESPACE` is set. `function` is the function's name, such as `visits`.
    pub(super) fn begin(function: &'static str) -> Self {
        let began = Instant::now();
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
        let namespace = std::env::var("METRICS_NAMESPACE").ok().filter(|it| !it.is_empty());
        let sink = Arc::new(|line: &[u8]| {
            // There is no other place to report that a line could not be written.
            let _ = std::io::stdout().write_all(line);
        });
        // Not Lambda's name for the function: it holds the stack's name and a random part, so every
        // stack and every new logical id would be another dimension.
        let subscriber = telemetry::subscriber(function, namespace, filter, sink);
        // On a second call, the subscriber of the first one remains.
        let _ = tracing::subscriber::set_global_default(subscriber);
        Self { function, began, used: Arc::default() }
    }

    /// Records how long the start took. Call it when the process requests its first invocation.
    pub(super) fn ready(self) -> Ready {
        let init_ms = milliseconds(self.began);
        Ready { process: self, init_ms }
    }
}

/// A process that is ready for invocations. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Ready {
    process: Process,
    init_ms: f64,
}

impl Ready {
    /// Creates the log context of an invocation, and counts the first one as a cold start.
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

/// Creates the log context of a Lambda invocation.
///
/// `trace` is X-Ray's header, such as `Root=1-6a…;Parent=53…;Sampled=1`.
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
