//! Webhook subscriptions: at most one per partner and practice.

mod administration;
mod breaker;
mod health;
mod held_back;
mod last;
mod pace;
mod queries;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Result,
    store::{Item, to_item},
};
use crate::{
    auth::{DeliveryGrant, PartnerAccess, webhook_signature::SigningSecret},
    domain::{
        EventScope, PracticePass,
        delivery::WithheldReason,
        ids::{LogId, PartnerId, SubscriptionId},
    },
    egress::HookUrl,
};
pub use breaker::{Breaker, BreakerState};
pub use health::Failed;
pub use last::{LastError, LastOutcomes};
pub use pace::Slots;
pub use queries::SubscriptionCounts;

/// How long a replaced secret signs deliveries in addition to the new one.
pub const OLD_SECRET_VALID: SignedDuration = SignedDuration::from_hours(24);
/// The maximum number of replaced secrets that sign.
///
/// Each adds a signature to the header of every delivery.
pub const MOST_OLD_SECRETS: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SubscriptionStatus {
    Active,
    /// Nothing is sent until the partner signs up again.
    Disabled,
}

/// The status of a subscription that partners and administrators see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SubscriptionState {
    Active,
    /// Nothing is sent until the partner signs up again.
    Disabled,
    /// An administrator paused it; nothing is sent until an administrator resumes it.
    Paused,
    /// No valid key of the partner grants any of its scopes; nothing is sent until one does.
    Suspended,
}

/// Why the platform disabled a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DisabledReason {
    /// The endpoint answered 410.
    EndpointGone,
    /// Every attempt in five days failed.
    OnlyFailures,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OldSecret {
    pub secret: SigningSecret,
    pub valid_until: Timestamp,
}

/// A subscription, in the table Control, `PRACTICE#<PPass>` / `SUB#<partnerId>`.
///
/// Indexes: `gsi1`, by `ACTIVE_SUBSCRIPTIONS#<bucket of the practice>` or `DISABLED_SUBSCRIPTIONS`
/// / `PPass`, id; `gsi2`, by `SUBSCRIPTIONS#<shard of the id>` / id; `heldBack`, while the endpoint
/// is held back, by `HELD_BACK#<bucket>` / until when, `PPass`, id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    pub id: SubscriptionId,
    /// The generation of the partner's subscription.
    ///
    /// Signing up after a deletion starts a new one. Messages for an earlier generation are not
    /// sent.
    pub generation: i64,
    pub partner_id: PartnerId,
    pub practicepass: PracticePass,
    pub hook_url: HookUrl,
    pub scopes: Vec<EventScope>,
    pub status: SubscriptionStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_reason: Option<DisabledReason>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_at: Option<Timestamp>,
    /// When an administrator paused it.
    ///
    /// Events still become deliveries, which wait until the pause ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_at: Option<Timestamp>,
    pub secret: SigningSecret,
    /// Replaced secrets that may still sign, newest first.
    #[serde(default)]
    pub old_secrets: Vec<OldSecret>,
    /// The id of the practice's newest event at sign-up.
    ///
    /// Only later events are sent, and those in `in_flight`.
    pub start_after_log_id: LogId,
    /// Ranges of lower ids that were not committed at sign-up, both ends included.
    #[serde(default)]
    pub in_flight: Vec<(LogId, LogId)>,
    /// When `start_after_log_id` and `in_flight` were read.
    #[serde(default)]
    pub started_at: Timestamp,
    /// How often the log had started over at that time, as far as the poller knew.
    #[serde(default)]
    pub start_epoch: u32,
    /// When the first failure since the last success occurred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    #[serde(flatten)]
    pub breaker: Breaker,
    #[serde(flatten)]
    pub last: LastOutcomes,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Increased by every change; 1 when new.
    pub version: i64,
}

impl Subscription {
    pub fn is_active(&self) -> bool {
        self.status == SubscriptionStatus::Active
    }

    /// Returns permission to send it an event of this scope, or a test (`None`).
    ///
    /// # Errors
    /// The reason why there is no permission.
    pub fn permit(
        &self,
        access: &PartnerAccess,
        event: Option<EventScope>,
        now: Timestamp,
    ) -> Result<DeliveryGrant, WithheldReason> {
        let grant = match event {
            Some(event) => access.permit(event, now)?,
            None => access.permit_test(&self.scopes, now)?,
        };
        if self.paused_at.is_some() { Err(WithheldReason::SubscriptionPaused) } else { Ok(grant) }
    }

    /// Returns the scopes that no valid key of the partner grants.
    pub fn suspended_scopes(&self, access: &PartnerAccess, now: Timestamp) -> Vec<EventScope> {
        self.scopes.iter().copied().filter(|scope| access.permit(*scope, now).is_err()).collect()
    }

    /// Returns the status to show, given the suspended scopes.
    pub fn shown_status(&self, suspended: &[EventScope]) -> SubscriptionState {
        if !self.is_active() {
            SubscriptionState::Disabled
        } else if self.paused_at.is_some() {
            SubscriptionState::Paused
        } else if suspended.len() == self.scopes.len() {
            SubscriptionState::Suspended
        } else {
            SubscriptionState::Active
        }
    }

    /// Whether it receives an event with this id, from the epoch in which it started.
    pub fn begins_before(&self, id: LogId) -> bool {
        self.start_after_log_id < id || self.in_flight.iter().any(|(from, to)| (*from..=*to).contains(&id))
    }

    /// Returns the secrets to sign with at `now`, newest first.
    pub fn secrets(&self, now: Timestamp) -> impl Iterator<Item = &SigningSecret> {
        let old = self.old_secrets.iter().filter(move |old| now < old.valid_until).map(|old| &old.secret);
        std::iter::once(&self.secret).chain(old)
    }

    /// Replaces the secret; the current one also signs for a day. Returns the end of that day.
    ///
    /// # Errors
    /// If [`MOST_OLD_SECRETS`] replaced secrets are still valid: the time when the first of them
    /// expires.
    pub fn rotate(&mut self, new: SigningSecret, now: Timestamp) -> Result<Timestamp, Timestamp> {
        self.old_secrets.retain(|old| now < old.valid_until);
        if let Some(oldest) = self.old_secrets.get(MOST_OLD_SECRETS - 1) {
            return Err(oldest.valid_until);
        }
        let valid_until = now.saturating_add(OLD_SECRET_VALID).unwrap_or(Timestamp::MAX);
        let secret = std::mem::replace(&mut self.secret, new);
        self.old_secrets.insert(0, OldSecret { secret, valid_until });
        Ok(valid_until)
    }

    fn item(&self) -> Result<Item> {
        let list = if self.is_active() { active(bucket_of(&self.practicepass)) } else { DISABLED.to_owned() };
        let mut place = vec![
            ("pk", pk(&self.practicepass)),
            ("sk", sk(&self.partner_id)),
            ("gsi1pk", list),
            ("gsi1sk", format!("{}#{}", self.practicepass, self.id)),
            ("gsi2pk", all(self.id.0)),
            ("gsi2sk", by_id(self.id)),
        ];
        place.extend(self.held_back_place().into_iter().flatten());
        to_item(self, &place)
    }
}

/// The number of partitions of the active subscriptions.
pub const BUCKETS: u32 = 16;

/// Returns the bucket of a practice's active subscriptions.
///
/// The poller's schedules select their practices by the same hash.
pub fn bucket_of(practicepass: &PracticePass) -> u32 {
    crc32fast::hash(practicepass.as_str().as_bytes()) % BUCKETS
}

/// Returns the partition of a bucket.
pub fn active(bucket: u32) -> String {
    format!("ACTIVE_SUBSCRIPTIONS#{bucket}")
}

/// The key of a version that increases when a partner starts or ends a subscription.
const VERSION: (&str, &str) = ("ACTIVE_SUBSCRIPTIONS", "VERSION");
const DISABLED: &str = "DISABLED_SUBSCRIPTIONS";

/// Returns a partition of `gsi2`. Each subscription is in that of its id, modulo [`BUCKETS`].
///
/// The index is written with every change of an endpoint's health. When a partner of all practices
/// is down, that is more than one partition supports.
fn all(shard: i64) -> String {
    format!("SUBSCRIPTIONS#{}", shard.rem_euclid(i64::from(BUCKETS)))
}

/// Returns the sort key of `gsi2`, with leading zeros so that ids sort as text.
fn by_id(id: SubscriptionId) -> String {
    format!("{:016}", id.0)
}

fn pk(practicepass: &PracticePass) -> String {
    format!("PRACTICE#{practicepass}")
}

/// Returns the partitions of a practice's active subscriptions, or of all.
fn active_partitions(practicepass: Option<&PracticePass>) -> Vec<String> {
    match practicepass {
        Some(practicepass) => vec![active(bucket_of(practicepass))],
        None => (0..BUCKETS).map(active).collect(),
    }
}

/// Returns the prefix of the index's sort keys for a practice, or for all.
fn of_practice(practicepass: Option<&PracticePass>) -> String {
    practicepass.map(|it| format!("{it}#")).unwrap_or_default()
}

fn sk(partner: &PartnerId) -> String {
    format!("SUB#{partner}")
}

fn id_sk(partner: &PartnerId) -> String {
    format!("SUBSCRIPTION_ID#{partner}")
}
