//! Wall-clock time in milliseconds, as AWS's wire formats use it.

/// Returns the milliseconds since 1970-01-01 UTC.
pub(crate) fn now_millis() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
