//! Webhook deliveries: one event sent to one subscription.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    EventScope, PracticePass,
    ids::{LogId, MAX_SAFE_INTEGER},
    pace::LONGEST_HOLD,
    scope::text_enum,
    webhook_event::{WebhookEvent, is_first},
};

text_enum! {
    /// The status of a delivery.
    DeliveryStatus {
        /// The first attempt is in progress, or waits until the endpoint responds again.
        Pending = "pending",
        Delivered = "delivered",
        /// The last attempt failed; the next one follows at `nextAttemptAt`.
        Retrying = "retrying",
        /// Every scheduled attempt failed.
        Exhausted = "exhausted",
        /// A test or a manual retry failed. These are attempted only once.
        Failed = "failed",
        /// The delivery ended without another attempt.
        ///
        /// The subscription was deleted or disabled, or the delivery was withheld for the reason in
        /// `cancelReason`.
        Cancelled = "cancelled",
    }
}

text_enum! {
    /// Why a delivery was withheld: nothing was sent, or nothing is sent again.
    WithheldReason {
        /// The partner is suspended.
        PartnerSuspended = "PARTNER_SUSPENDED",
        /// The partner's keys for the practice are all revoked or expired.
        NoLiveKey = "NO_LIVE_KEY",
        /// None of the partner's valid keys for the practice grants the event's scope.
        ScopeNotGranted = "SCOPE_NOT_GRANTED",
        /// An administrator paused the subscription.
        SubscriptionPaused = "SUBSCRIPTION_PAUSED",
        /// A manual retry of the delivery succeeded; it is not sent again.
        DeliveredByRetry = "DELIVERED_BY_RETRY",
    }
}

impl WithheldReason {
    /// Returns the reason in words, for partners and administrators.
    pub const fn explain(self) -> &'static str {
        match self {
            Self::PartnerSuspended => "not sent: the partner is suspended",
            Self::NoLiveKey => "not sent: the partner has no valid key for the practice",
            Self::ScopeNotGranted => "not sent: none of the partner's valid keys grants the event's scope",
            Self::SubscriptionPaused => "not sent: an administrator paused the subscription",
            Self::DeliveredByRetry => "not sent again: a retry was delivered",
        }
    }
}

impl DeliveryStatus {
    /// Whether another attempt can follow.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Retrying)
    }
}

/// The waits before the second and each later attempt, in seconds.
///
/// 5 s, 5 min, 30 min, 2 h, 5 h, 10 h and 10 h.
pub const SCHEDULE: [i64; 7] = [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000];
/// Waits are extended by up to this share, so that deliveries that failed together spread out.
const JITTER: f64 = 0.1;

/// Returns the wait after failed attempt number `attempt` (the first is 1); `None` after the last.
///
/// `retry_after` is the wait that the endpoint requested. It applies if it is longer than the
/// schedule's, up to 12 hours. `random` is in 0..1.
pub fn wait_after(
    schedule: &[i64],
    attempt: u32,
    retry_after: Option<Duration>,
    random: f64,
) -> Option<SignedDuration> {
    let scheduled = schedule.get(usize::try_from(attempt.checked_sub(1)?).ok()?)?;
    let asked = retry_after.unwrap_or_default().min(LONGEST_HOLD);
    let asked = SignedDuration::try_from(asked).unwrap_or(SignedDuration::MAX);
    let wait = SignedDuration::from_secs(*scheduled).max(asked);
    let jitter = SignedDuration::try_from_secs_f64(wait.as_secs_f64() * JITTER * random.clamp(0.0, 1.0));
    Some(wait.saturating_add(jitter.unwrap_or_default()))
}

/// Returns the furthest that a clock which is right schedules an attempt ahead.
///
/// This is half longer than any wait: the schedule's with its jitter, or an endpoint's hold, at
/// whose end deliveries are spread out.
pub fn furthest_ahead(schedule: &[i64]) -> SignedDuration {
    let hold = SignedDuration::try_from(LONGEST_HOLD).unwrap_or(SignedDuration::MAX);
    let longest = SignedDuration::from_secs(schedule.iter().copied().max().unwrap_or_default()).max(hold);
    longest.saturating_add(longest / 2)
}

/// The shortest wait until a withheld delivery is checked again.
const FIRST_RECHECK: SignedDuration = SignedDuration::from_mins(5);
/// The longest wait until a withheld delivery is checked again.
const LONGEST_RECHECK: SignedDuration = SignedDuration::from_hours(10);

/// Returns the wait until a withheld delivery of this age is checked again.
///
/// `None` if the delivery's schedule would be over by then. The wait equals the age. So restored
/// access is noticed before the interruption has doubled in length, and a delivery costs about nine
/// checks at most.
pub fn recheck_after(schedule: &[i64], age: SignedDuration) -> Option<SignedDuration> {
    let whole = SignedDuration::from_secs(schedule.iter().sum());
    let wait = age.clamp(FIRST_RECHECK, LONGEST_RECHECK);
    (age.saturating_add(wait) <= whole).then_some(wait)
}

/// The body of a delivery, which contains ids and never patient data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Payload {
    /// `{PPass}-{log_id}`, the same on every attempt and retry.
    ///
    /// After the practice's log has started over, it is `{PPass}-{logEpoch}.{log_id}`.
    pub event_id: String,
    /// The scope, e.g. `Patients`; `Test` for a test of no scope.
    pub event: String,
    /// `created`, `updated` or `deleted`; `test` for a test event.
    pub action: String,
    pub practicepass: PracticePass,
    pub log_id: i64,
    /// How often the practice's log had started over, such as after a restore. Omitted if never.
    #[serde(default, skip_serializing_if = "is_first")]
    pub log_epoch: u32,
    pub record_id: i64,
    /// `recordId` as text, if JSON readers may round the number.
    ///
    /// Omitted unless the absolute value of `recordId` exceeds 2^53 - 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub record_id_string: Option<String>,
    pub occurred_at: Timestamp,
}

impl From<&WebhookEvent> for Payload {
    fn from(event: &WebhookEvent) -> Self {
        Self {
            event_id: event.event_id(),
            event: event.event.to_string(),
            action: event.action.to_string(),
            practicepass: event.practicepass.clone(),
            log_id: event.log_id.0,
            log_epoch: event.epoch,
            record_id: event.record_id,
            record_id_string: (event.record_id.unsigned_abs() > MAX_SAFE_INTEGER.unsigned_abs())
                .then(|| event.record_id.to_string()),
            occurred_at: event.occurred_at,
        }
    }
}

impl Payload {
    /// Creates the body of a test, of one scope or of none.
    pub fn test(practicepass: &PracticePass, scope: Option<EventScope>, id: i64, now: Timestamp) -> Self {
        Self {
            event_id: format!("{practicepass}-test-{id}"),
            event: scope.map_or_else(|| "Test".to_owned(), |scope| scope.to_string()),
            action: "test".to_owned(),
            practicepass: practicepass.clone(),
            log_id: 0,
            log_epoch: 0,
            record_id: 0,
            record_id_string: None,
            occurred_at: now,
        }
    }

    /// Returns the event in the body; `None` for a test.
    pub fn event(&self) -> Option<WebhookEvent> {
        if self.is_test() {
            return None;
        }
        Some(WebhookEvent {
            practicepass: self.practicepass.clone(),
            log_id: LogId(self.log_id),
            epoch: self.log_epoch,
            event: self.event.parse().ok()?,
            action: self.action.parse().ok()?,
            record_id: self.record_id,
            occurred_at: self.occurred_at,
        })
    }

    /// Returns the scope that permits the delivery; `None` for a test of no scope.
    pub fn scope(&self) -> Option<EventScope> {
        self.event.parse().ok()
    }

    /// Whether it is a test. Rows of the log have ids above 0.
    pub fn is_test(&self) -> bool {
        self.log_id == 0
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::{pace::FURTHEST_MS, webhook_event::Action};

    fn wait_after(attempt: u32, retry_after: Option<u64>, random: f64) -> Option<SignedDuration> {
        super::wait_after(&SCHEDULE, attempt, retry_after.map(Duration::from_secs), random)
    }

    #[test]
    fn a_record_id_beyond_json_precision_is_also_sent_as_text() {
        let payload = |record_id: i64| {
            let event = WebhookEvent {
                practicepass: PracticePass::try_from("DemoOffice".to_owned()).unwrap(),
                log_id: LogId(7),
                epoch: 0,
                event: EventScope::Claims,
                action: Action::Created,
                record_id,
                occurred_at: Timestamp::UNIX_EPOCH,
            };
            let payload = Payload::from(&event);
            assert_eq!(payload.event().as_ref(), Some(&event));
            serde_json::to_value(payload).unwrap()
        };
        for exact in [0, 1, (1 << 53) - 1, 1 - (1 << 53)] {
            assert_eq!(payload(exact).get("recordIdString"), None, "{exact}");
        }
        for large in [1 << 53, (1 << 53) + 1, -(1 << 53), i64::MAX, i64::MIN] {
            assert_eq!(
                (&payload(large)["recordId"], &payload(large)["recordIdString"]),
                (&json!(large), &json!(large.to_string()))
            );
        }
    }

    #[test]
    fn retries_follow_the_documented_schedule() {
        let waits: Vec<i64> =
            (1..).map_while(|attempt| wait_after(attempt, None, 0.0)).map(|it| it.as_secs()).collect();
        assert_eq!(waits, [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000]);
        assert_eq!(wait_after(0, None, 0.0), None);
    }

    #[test]
    fn jitter_lengthens_a_wait_by_at_most_a_tenth() {
        assert_eq!(wait_after(2, None, 1.0), Some(SignedDuration::from_secs(330)));
        assert_eq!(wait_after(2, None, 0.5), Some(SignedDuration::from_secs(315)));
    }

    #[test]
    fn a_withheld_delivery_is_checked_at_growing_intervals() {
        let (mut age, mut checks) = (SignedDuration::ZERO, Vec::new());
        while let Some(wait) = recheck_after(&SCHEDULE, age) {
            age += wait;
            checks.push(age.as_secs() / 60);
        }
        assert_eq!(checks, [5, 10, 20, 40, 80, 160, 320, 640, 1_240]);
        assert_eq!(recheck_after(&[1, 2], SignedDuration::ZERO), None);
    }

    #[test]
    fn no_wait_reaches_further_than_a_right_clock_schedules() {
        for schedule in [&SCHEDULE[..], &[1, 2], &[7 * 24 * 3600]] {
            let furthest = furthest_ahead(schedule);
            let asked = Some(Duration::MAX);
            let waits = (1..).map_while(|attempt| super::wait_after(schedule, attempt, asked, 1.0));
            assert!(waits.max().unwrap() < furthest, "{schedule:?}");
            assert!(LONGEST_RECHECK < furthest && SignedDuration::from_millis(FURTHEST_MS) < furthest);
        }
        assert_eq!(furthest_ahead(&SCHEDULE), SignedDuration::from_hours(18));
    }

    #[test]
    fn an_endpoint_may_ask_for_a_longer_but_bounded_wait() {
        let seconds = SignedDuration::from_secs;
        assert_eq!(wait_after(1, Some(120), 0.0), Some(seconds(120)));
        assert_eq!(wait_after(2, Some(1), 0.0), Some(seconds(300)));
        assert_eq!(wait_after(1, Some(u64::MAX), 0.0), Some(seconds(12 * 3600)));
        assert_eq!(wait_after(8, Some(5), 0.0), None);
    }
}
