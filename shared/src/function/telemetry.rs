//! Structured logs. Never logged: path ids, query values, bodies, tokens, keys, patient data.

use tracing_subscriber::{EnvFilter, fmt};

/// One JSON object a line on standard output, filtered by `RUST_LOG`, default `info`.
pub fn init() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_env_filter(filter)
        .with_target(false)
        .finish();
    // A second call, as in tests, finds the first one's subscriber in place.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
