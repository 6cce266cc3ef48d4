//! Structured logs: one JSON object per line, some with metrics in CloudWatch's embedded format.
//!
//! Path ids, query values, bodies, tokens, keys and patient data are never logged.

mod line;
pub mod metrics;

use std::sync::Arc;

use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, filter_fn},
    layer::SubscriberExt,
    registry,
};

use line::Lines;

/// The target of spans whose fields are part of every line that is logged within them.
///
/// The line's level and module do not matter.
pub const CONTEXT: &str = "context";

/// Receives the lines.
pub type Sink = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// Creates a subscriber that writes the lines that pass `filter` to the sink.
///
/// Without a `namespace`, no line has metrics. With one, lines with metrics are written regardless
/// of the filter; otherwise, a quieter log would silence the alarms.
pub fn subscriber(
    function: &'static str,
    namespace: Option<String>,
    filter: EnvFilter,
    sink: Sink,
) -> impl Subscriber + Send + Sync {
    let measured = namespace.is_some();
    let always = filter_fn(move |metadata| {
        let context = metadata.is_span() && metadata.target() == CONTEXT;
        context || measured && metrics::is_measured(metadata.target())
    });
    let filter = filter.or(always.with_max_level_hint(LevelFilter::INFO));
    registry().with(Lines { function, namespace, sink }.with_filter(filter))
}
