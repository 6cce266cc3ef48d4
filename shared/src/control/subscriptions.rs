//! Webhook subscriptions: at most one per partner and practice.

mod administration;
mod health;
mod pace;

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};
use futures::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Error, Result, Store, Table,
    listing::{Listing, MOST_COUNTED},
    store::{Item, SERVICE, from_items, key, to_item},
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
pub use health::{Breaker, BreakerState, Failed, LastError, LastOutcomes};
pub use pace::Slots;

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
/// / `PPass`, id; `gsi2`, by `SUBSCRIPTIONS` / id.
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
        let place = [
            ("pk", pk(&self.practicepass)),
            ("sk", sk(&self.partner_id)),
            ("gsi1pk", list),
            ("gsi1sk", format!("{}#{}", self.practicepass, self.id)),
            ("gsi2pk", ALL.to_owned()),
            ("gsi2sk", by_id(self.id)),
        ];
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

/// The key of a version that increases whenever the set of active subscriptions changes.
const VERSION: (&str, &str) = ("ACTIVE_SUBSCRIPTIONS", "VERSION");
const DISABLED: &str = "DISABLED_SUBSCRIPTIONS";
/// The partition of `gsi2`.
const ALL: &str = "SUBSCRIPTIONS";

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

/// The numbers of subscriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionCounts {
    pub active: i64,
    pub disabled: i64,
}

impl Store {
    /// Counts the subscriptions of all practices or one; a new one may appear a moment later.
    pub async fn subscription_counts(
        &self,
        practicepass: Option<&PracticePass>,
    ) -> Result<SubscriptionCounts> {
        let prefix = of_practice(practicepass);
        let buckets = active_partitions(practicepass);
        let listing = |list| Listing::of_index(list).beginning_with(&prefix);
        let counts = try_join_all(buckets.iter().map(|bucket| self.count_items(listing(bucket))));
        let (active, disabled) = futures::try_join!(counts, self.count_items(listing(DISABLED)))?;
        Ok(SubscriptionCounts { active: active.into_iter().sum::<i64>().min(MOST_COUNTED), disabled })
    }

    /// Returns up to `limit` subscriptions that the platform disabled, by `PPass` and id.
    pub async fn disabled_subscriptions(
        &self,
        practicepass: Option<&PracticePass>,
        limit: usize,
    ) -> Result<Vec<Subscription>> {
        let prefix = of_practice(practicepass);
        let listing = Listing::of_index(DISABLED).beginning_with(&prefix);
        Ok(self.list(listing, limit, None, |_| true).await?.items)
    }

    /// Returns up to `limit` active subscriptions whose endpoints are held back, by `PPass` and id.
    ///
    /// Examines about 10,000 active subscriptions.
    pub async fn held_back_subscriptions(
        &self,
        practicepass: Option<&PracticePass>,
        limit: usize,
    ) -> Result<Vec<Subscription>> {
        let prefix = of_practice(practicepass);
        let buckets = active_partitions(practicepass);
        let held_back = |it: &Subscription| it.breaker != Breaker::default();
        let most = MOST_COUNTED / i64::try_from(buckets.len()).unwrap_or(1);
        let found = buckets.iter().map(|bucket| {
            self.find(Listing::of_index(bucket).beginning_with(&prefix), (limit, most), held_back)
        });
        let mut found: Vec<Subscription> = try_join_all(found).await?.into_iter().flatten().collect();
        found.sort_by(|one, other| {
            let place = |it: &Subscription| (it.practicepass.as_str().to_owned(), it.id.0);
            place(one).cmp(&place(other))
        });
        found.truncate(limit);
        Ok(found)
    }

    /// Returns the subscription. The read is strongly consistent and sees every confirmed deletion.
    pub async fn subscription(
        &self,
        practicepass: &PracticePass,
        partner: &PartnerId,
    ) -> Result<Option<Subscription>> {
        self.get(Table::Control, key(pk(practicepass), sk(partner)), true).await
    }

    /// Returns the practice's subscriptions of all partners, with strongly consistent reads.
    pub async fn subscriptions_of(&self, practicepass: &PracticePass) -> Result<Vec<Subscription>> {
        let mut subscriptions = Vec::new();
        let mut start = None;
        loop {
            let page = self
                .client()
                .query()
                .table_name(self.name(Table::Control)?)
                .key_condition_expression("pk = :pk AND begins_with(sk, :sk)")
                .expression_attribute_values(":pk", AttributeValue::S(pk(practicepass)))
                .expression_attribute_values(":sk", AttributeValue::S("SUB#".to_owned()))
                .consistent_read(true)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| Error::from_sdk(SERVICE, &error))?;
            subscriptions.extend(from_items::<Subscription>(page.items)?);
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(subscriptions);
            }
        }
    }

    /// Returns the practices of these buckets with an active subscription, once each.
    ///
    /// A new one may appear a moment later.
    pub async fn practices_with_subscriptions(
        &self,
        buckets: impl IntoIterator<Item = u32>,
    ) -> Result<Vec<PracticePass>> {
        #[derive(Deserialize)]
        struct Row {
            practicepass: PracticePass,
        }
        let buckets: Vec<String> = buckets.into_iter().map(active).collect();
        let listed =
            try_join_all(buckets.iter().map(|bucket| self.list_all::<Row>(Listing::of_index(bucket))))
                .await?;
        let mut practices: Vec<PracticePass> =
            listed.into_iter().flatten().map(|row| row.practicepass).collect();
        practices.dedup();
        Ok(practices)
    }

    /// Returns a version that changes whenever the set of active subscriptions changes.
    pub async fn subscriptions_version(&self) -> Result<i64> {
        #[derive(Deserialize)]
        struct Row {
            version: i64,
        }
        let row: Option<Row> = self.get(Table::Control, key(VERSION.0, VERSION.1), true).await?;
        Ok(row.map_or(0, |row| row.version))
    }

    /// Builds the write that increases the version of the active subscriptions.
    fn subscriptions_changed(&self) -> Result<TransactWriteItem> {
        let update = Update::builder()
            .table_name(self.name(Table::Control)?)
            .set_key(Some(key(VERSION.0, VERSION.1)))
            .update_expression("ADD version :one")
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
            .build();
        let update = update.map_err(|error| Error::Malformed(error.to_string()))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// Writes a new subscription (version 1) or the next version, with `and` in one transaction.
    ///
    /// # Errors
    /// [`Error::ConditionFailed`] if another request wrote meanwhile, or a condition of `and`
    /// fails.
    pub async fn save_subscription(
        &self,
        subscription: &Subscription,
        and: Option<TransactWriteItem>,
    ) -> Result<()> {
        let put = Put::builder().table_name(self.name(Table::Control)?).set_item(Some(subscription.item()?));
        let before = subscription.version - 1;
        let put = if before == 0 {
            put.condition_expression("attribute_not_exists(pk)")
        } else {
            put.condition_expression("version = :before")
                .expression_attribute_values(":before", AttributeValue::N(before.to_string()))
        };
        let put = put.build().map_err(|error| Error::Malformed(error.to_string()))?;
        let save = TransactWriteItem::builder().put(put).build();
        let changed = self.subscriptions_changed()?;
        self.transact([save, changed].into_iter().chain(and).collect()).await
    }

    /// Returns the id of a partner's current or earlier subscription; `None` if there was none.
    ///
    /// The id is permanent, so the deliveries of all generations are in one list.
    ///
    /// Table Control, `PRACTICE#<PPass>` / `SUBSCRIPTION_ID#<partnerId>`: `id`.
    pub async fn subscription_id(
        &self,
        practicepass: &PracticePass,
        partner: &PartnerId,
    ) -> Result<Option<SubscriptionId>> {
        #[derive(Deserialize)]
        struct Known {
            id: SubscriptionId,
        }
        let place = key(pk(practicepass), id_sk(partner));
        Ok(self.get::<Known>(Table::Control, place, true).await?.map(|known| known.id))
    }

    /// Stores the id of a subscription permanently.
    pub async fn remember_subscription_id(&self, subscription: &Subscription) -> Result<()> {
        let written = self
            .client()
            .update_item()
            .table_name(self.name(Table::Control)?)
            .set_key(Some(key(pk(&subscription.practicepass), id_sk(&subscription.partner_id))))
            .update_expression("SET id = if_not_exists(id, :id)")
            .expression_attribute_values(":id", AttributeValue::N(subscription.id.to_string()))
            .send()
            .await;
        written.map(drop).map_err(|error| Error::from_sdk(SERVICE, &error))
    }

    /// Deletes this generation; `false` if it was already deleted.
    pub async fn delete_subscription(&self, subscription: &Subscription) -> Result<bool> {
        let writes = vec![self.remove_subscription(subscription)?, self.subscriptions_changed()?];
        match self.transact(writes).await {
            Ok(()) => Ok(true),
            Err(Error::ConditionFailed) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
