//! Thresholds of the readiness checks.
//!
//! The alarms in the template have the same thresholds; a test compares them.

/// Maximum age of the oldest waiting event, in seconds.
///
/// The alarms are `OldestEventAlarm` and `SlowOldestEventAlarm`. Only CloudWatch reports this age,
/// SQS does not, so the checks use the numbers of messages below.
pub const OLDEST_EVENT_SECONDS: i64 = 900;
/// Batches of ten events that are delivered concurrently (`FanoutMaximumConcurrency`).
pub const FAST_BATCHES: i64 = 50;
/// Duration of a batch whose endpoints all take their full second, four at a time.
const FAST_BATCH_SECONDS: i64 = 3;
/// Batches that the slow lane delivers concurrently (`SlowFanoutMaximumConcurrency`).
pub const SLOW_BATCHES: i64 = 20;
/// Duration of a batch in the slow lane, whose endpoints have 15 seconds.
const SLOW_BATCH_SECONDS: i64 = 45;
const BATCH: i64 = 10;
/// Messages that a lane delivers within [`OLDEST_EVENT_SECONDS`] in the worst case.
///
/// The worst case is that every endpoint takes all its time.
pub const WAITING_EVENTS: i64 = OLDEST_EVENT_SECONDS * FAST_BATCHES * BATCH / FAST_BATCH_SECONDS;
pub const WAITING_SLOW_EVENTS: i64 = OLDEST_EVENT_SECONDS * SLOW_BATCHES * BATCH / SLOW_BATCH_SECONDS;
/// Maximum number of dead letters (`DeadLettersAlarm`).
pub const DEAD_LETTERS: i64 = 0;
/// Maximum seconds by which an attempt may be overdue (`DueRetriesAlarm`).
pub const OLDEST_DUE_SECONDS: i64 = 300;
/// Maximum seconds without a completed run of the poller (`LogPollerSilentAlarm`).
pub const POLLER_SILENT_SECONDS: i64 = 300;
/// Maximum number of failing practices (`PracticesFailedAlarm`).
pub const FAILING_PRACTICES: i64 = 0;
/// Maximum age of the token keys, in days.
///
/// The ages of secrets have no alarms, because nothing fails; the runbook says how often to rotate
/// them.
pub const TOKEN_KEY_DAYS: i64 = 100;
pub const ADMIN_SECRET_DAYS: i64 = 380;
pub const EDGE_SECRET_DAYS: i64 = 380;
/// Maximum days that a rotation may take; until it ends, the previous secret is valid, too.
pub const ROTATION_DAYS: i64 = 7;
