//! Events that partners can receive.

mod classify;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use classify::classify;

use super::{
    EventScope, PracticePass, RequestId,
    ids::{LogId, PartnerId, SubscriptionId},
    pace::Slot,
    scope::text_enum,
};

text_enum! {
    /// What happened to the record.
    Action {
        Created = "created",
        Updated = "updated",
        Deleted = "deleted",
    }
}

/// The permanent number of an event in a practice's log.
///
/// A log that has started over uses the same ids again, so the id alone is not enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventNumber {
    /// How often the log had started over.
    pub epoch: u32,
    pub log_id: LogId,
}

impl From<LogId> for EventNumber {
    fn from(log_id: LogId) -> Self {
        Self { epoch: 0, log_id }
    }
}

/// Writes the log id, preceded by the epoch if the log has started over: `1.7`.
impl std::fmt::Display for EventNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.epoch {
            0 => write!(f, "{}", self.log_id),
            epoch => write!(f, "{epoch}.{}", self.log_id),
        }
    }
}

/// Whether this is the first epoch, which messages and bodies omit.
#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes a reference
pub(super) fn is_first(epoch: &u32) -> bool {
    *epoch == 0
}

/// An event of a practice, which contains ids and never patient data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookEvent {
    pub practicepass: PracticePass,
    pub log_id: LogId,
    /// How often the log had started over.
    pub epoch: u32,
    pub event: EventScope,
    pub action: Action,
    pub record_id: i64,
    pub occurred_at: Timestamp,
}

impl WebhookEvent {
    pub fn number(&self) -> EventNumber {
        EventNumber { epoch: self.epoch, log_id: self.log_id }
    }

    /// Returns `{PPass}-{log_id}`, the same on every attempt and retry.
    ///
    /// After the log has started over, it is `{PPass}-{epoch}.{log_id}`.
    pub fn event_id(&self) -> String {
        format!("{}-{}", self.practicepass, self.number())
    }
}

/// A queue message: one event for one subscription, with ids only.
///
/// Messages of an unknown version are not read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventMessage {
    #[serde(rename = "v")]
    version: Version,
    ppass: PracticePass,
    pub subscription: SubscriptionId,
    /// The generation of the subscription that the event is for.
    pub generation: i64,
    pub partner: PartnerId,
    log_id: LogId,
    #[serde(default, skip_serializing_if = "is_first")]
    epoch: u32,
    event: EventScope,
    action: Action,
    record_id: i64,
    occurred_at: Timestamp,
    /// The number of the attempt that this message requests; the first is 1.
    pub attempt: u32,
    /// The replay that the message belongs to, if any; it delivers the same event separately.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<String>,
    /// The request id of the call that caused the event, or of the poll that found it in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    /// The slot of this attempt, if the endpoint is paced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<Slot>,
}

/// The only version of [`EventMessage`] so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
struct Version;

impl TryFrom<u32> for Version {
    type Error = &'static str;

    fn try_from(number: u32) -> Result<Self, Self::Error> {
        if number == 1 { Ok(Self) } else { Err("unknown message version") }
    }
}

impl From<Version> for u32 {
    fn from(_: Version) -> Self {
        1
    }
}

impl EventMessage {
    pub fn new(
        event: WebhookEvent,
        subscription: SubscriptionId,
        generation: i64,
        partner: PartnerId,
        attempt: u32,
    ) -> Self {
        let WebhookEvent { practicepass, log_id, epoch, event, action, record_id, occurred_at } = event;
        let version = Version;
        Self {
            version,
            ppass: practicepass,
            subscription,
            generation,
            partner,
            log_id,
            epoch,
            event,
            action,
            record_id,
            occurred_at,
            attempt,
            replay: None,
            request_id: None,
            slot: None,
        }
    }

    /// Returns the message for another attempt.
    #[must_use]
    pub fn again(&self, attempt: u32) -> Self {
        Self { attempt, slot: None, ..self.clone() }
    }

    /// Returns the message of the same attempt, with this slot.
    #[must_use]
    pub fn in_slot(&self, slot: Option<Slot>) -> Self {
        Self { slot, ..self.clone() }
    }

    pub fn practicepass(&self) -> &PracticePass {
        &self.ppass
    }

    pub fn event(&self) -> WebhookEvent {
        WebhookEvent {
            practicepass: self.ppass.clone(),
            log_id: self.log_id,
            epoch: self.epoch,
            event: self.event,
            action: self.action,
            record_id: self.record_id,
            occurred_at: self.occurred_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_another_version_is_rejected() {
        let text = r#"{"v":1,"ppass":"DemoOffice","subscription":1,"generation":1,"partner":"prt_A","logId":101,"event":"Patients","action":"created","recordId":1001,"occurredAt":"2026-03-09T14:00:00Z","attempt":1}"#;
        let message: EventMessage = serde_json::from_str(text).unwrap();
        assert_eq!(message.event().event_id(), "DemoOffice-101");
        assert_eq!(serde_json::to_string(&message).unwrap(), text);
        assert!(serde_json::from_str::<EventMessage>(&text.replace("\"v\":1", "\"v\":2")).is_err());
    }

    #[test]
    fn a_restarted_log_has_new_event_ids_with_its_epoch() {
        let old = r#"{"v":1,"ppass":"DemoOffice","subscription":1,"generation":1,"partner":"prt_A","logId":101,"event":"Patients","action":"created","recordId":1001,"occurredAt":"2026-03-09T14:00:00Z","attempt":1}"#;
        let text = old.replace(r#""logId":101,"#, r#""logId":101,"epoch":2,"#);
        let message: EventMessage = serde_json::from_str(&text).unwrap();
        assert_eq!(message.event().event_id(), "DemoOffice-2.101");
        assert_eq!(serde_json::to_string(&message).unwrap(), text);
    }

    #[test]
    fn messages_parse_with_and_without_a_request_id() {
        let old = r#"{"v":1,"ppass":"DemoOffice","subscription":1,"generation":1,"partner":"prt_A","logId":101,"event":"Patients","action":"created","recordId":1001,"occurredAt":"2026-03-09T14:00:00Z","attempt":2,"replay":"r1"}"#;
        let mut message: EventMessage = serde_json::from_str(old).unwrap();
        assert_eq!(message.request_id, None);
        message.request_id = RequestId::parse("my-call_0001");
        let text = serde_json::to_string(&message).unwrap();
        assert_eq!(text, old.replace('}', r#","requestId":"my-call_0001"}"#));
        assert_eq!(
            serde_json::from_str::<EventMessage>(&text).unwrap().again(3).request_id,
            message.request_id
        );
    }
}
