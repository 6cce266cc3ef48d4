//! Wall-clock time in the unit that AWS's wire formats use.

/// Milliseconds since 1970-01-01 UTC.
pub(crate) fn now_millis() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
