//! What a function tells of itself: one JSON object a line, some of them with metrics in CloudWatch's embedded metric format.
//!
//! Never in a line: path ids, query values, bodies, tokens, keys, patient data.

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

/// Target of spans whose fields are in every line written inside of them, whatever its level and wherever its code.
pub const CONTEXT: &str = "context";

/// Where the lines go.
pub type Sink = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// What is `filter`ed goes to the sink. Without a `namespace` no line has metrics; with one, the lines that have are
/// written whatever the filter says, or a quieter log would silence the alarms.
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
