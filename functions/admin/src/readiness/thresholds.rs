//! What is still in order. The alarms of the template have the same thresholds, which a test holds.

/// Seconds that the oldest event may wait (`OldestEventAlarm`, `SlowOldestEventAlarm`). SQS itself tells no age, only CloudWatch does;
/// so the numbers of messages below stand for it.
pub const OLDEST_EVENT_SECONDS: i64 = 900;
/// Batches of ten that are delivered at once (`FanoutMaximumConcurrency`), and seconds of one whose endpoints all take the second
/// that they have, four at a time.
pub const FAST_BATCHES: i64 = 50;
const FAST_BATCH_SECONDS: i64 = 3;
/// The same of the slow lane (`SlowFanoutMaximumConcurrency`), whose endpoints have 15 seconds.
pub const SLOW_BATCHES: i64 = 20;
const SLOW_BATCH_SECONDS: i64 = 45;
const BATCH: i64 = 10;
/// Messages that a lane delivers within [`OLDEST_EVENT_SECONDS`] even if every endpoint takes all the time that it has.
pub const WAITING_EVENTS: i64 = OLDEST_EVENT_SECONDS * FAST_BATCHES * BATCH / FAST_BATCH_SECONDS;
pub const WAITING_SLOW_EVENTS: i64 = OLDEST_EVENT_SECONDS * SLOW_BATCHES * BATCH / SLOW_BATCH_SECONDS;
/// `DeadLettersAlarm`
pub const DEAD_LETTERS: i64 = 0;
/// Seconds that an attempt may be overdue (`DueRetriesAlarm`).
pub const OLDEST_DUE_SECONDS: i64 = 300;
/// Seconds without a run of the poller that came to its end (`LogPollerSilentAlarm`).
pub const POLLER_SILENT_SECONDS: i64 = 300;
/// `PracticesFailedAlarm`
pub const FAILING_PRACTICES: i64 = 0;
/// No alarm: nothing fails, and the runbook says how often each is rotated.
pub const TOKEN_KEY_DAYS: i64 = 100;
pub const ADMIN_SECRET_DAYS: i64 = 380;
pub const EDGE_SECRET_DAYS: i64 = 380;
/// Days that a rotation may be under way: as long as that, the secret before is good, too.
pub const ROTATION_DAYS: i64 = 7;
