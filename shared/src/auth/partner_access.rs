//! What a partner's valid keys in a practice grant, and the permission to send an event.

use jiff::Timestamp;

use super::{KeyRecord, KeyStatus};
use crate::domain::{EventScope, PracticePass, delivery::WithheldReason, ids::PartnerId};

/// Permission to send one delivery to a partner.
///
/// Only this module can create one, and each attempt consumes one.
#[derive(Debug)]
pub struct DeliveryGrant {
    practicepass: PracticePass,
    partner: PartnerId,
    /// `None` for a test event.
    event: Option<EventScope>,
}

impl DeliveryGrant {
    /// Whether the permission is for this delivery.
    pub fn covers(
        &self,
        practicepass: &PracticePass,
        partner: &PartnerId,
        event: Option<EventScope>,
    ) -> bool {
        self.practicepass == *practicepass && self.partner == *partner && self.event == event
    }
}

/// What one key grants, and until when.
#[derive(Clone, Debug)]
struct KeyAccess {
    events: Vec<EventScope>,
    expires_at: Option<Timestamp>,
}

impl KeyAccess {
    fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|expiry| now < expiry)
    }
}

/// The events that a partner may receive from a practice.
#[derive(Clone, Debug)]
pub struct PartnerAccess {
    practicepass: PracticePass,
    partner: PartnerId,
    is_active: bool,
    /// Keys that are not revoked.
    keys: Vec<KeyAccess>,
}

impl PartnerAccess {
    /// Creates the access from a partner's keys.
    ///
    /// `is_active` says whether the partner exists and is not suspended. Revoked keys, and keys of
    /// other partners or practices, are ignored.
    pub fn new(practicepass: PracticePass, partner: PartnerId, is_active: bool, keys: &[KeyRecord]) -> Self {
        let counts = |key: &&KeyRecord| {
            key.status == KeyStatus::Active && key.partner_id == partner && key.practicepass == practicepass
        };
        let events = |key: &KeyRecord| {
            let granted = EventScope::ALL.iter().copied().filter(|it| key.scopes.contains(&it.required()));
            granted.collect()
        };
        let keys = keys.iter().filter(counts);
        let keys = keys.map(|key| KeyAccess { events: events(key), expires_at: key.expires_at }).collect();
        Self { practicepass, partner, is_active, keys }
    }

    /// Grants permission to send an event of this scope.
    ///
    /// # Errors
    /// Why the event must not be sent.
    pub fn permit(&self, event: EventScope, now: Timestamp) -> Result<DeliveryGrant, WithheldReason> {
        self.grant(Some(event), &[event], now)
    }

    /// Grants permission to send a test event to a subscription with these scopes.
    ///
    /// At least one of the scopes must be granted.
    ///
    /// # Errors
    /// Why the event must not be sent.
    pub fn permit_test(
        &self,
        scopes: &[EventScope],
        now: Timestamp,
    ) -> Result<DeliveryGrant, WithheldReason> {
        self.grant(None, scopes, now)
    }

    fn grant(
        &self,
        event: Option<EventScope>,
        any: &[EventScope],
        now: Timestamp,
    ) -> Result<DeliveryGrant, WithheldReason> {
        if !self.is_active {
            return Err(WithheldReason::PartnerSuspended);
        }
        let mut live = self.keys.iter().filter(|key| key.is_live(now)).peekable();
        if live.peek().is_none() {
            return Err(WithheldReason::NoLiveKey);
        }
        if !live.any(|key| any.iter().any(|event| key.events.contains(event))) {
            return Err(WithheldReason::ScopeNotGranted);
        }
        Ok(DeliveryGrant { practicepass: self.practicepass.clone(), partner: self.partner.clone(), event })
    }
}
