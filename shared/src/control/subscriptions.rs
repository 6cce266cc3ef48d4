//! Webhook subscriptions: at most one for each partner and practice.

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

/// A secret that was replaced signs beside the new one for so long.
pub const OLD_SECRET_VALID: SignedDuration = SignedDuration::from_hours(24);
/// So many replaced secrets sign at the same time: each is a signature more in every delivery's
/// header.
pub const MOST_OLD_SECRETS: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SubscriptionStatus {
    Active,
    /// Nothing is sent until the partner signs up again.
    Disabled,
}

/// How a subscription stands, for partners and administrators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SubscriptionState {
    Active,
    /// Nothing is sent until the partner signs up again.
    Disabled,
    /// An administrator paused it; nothing is sent until an administrator resumes it.
    Paused,
    /// No live key of the partner grants any of its scopes; nothing is sent until one does.
    Suspended,
}

/// Why the platform disabled a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DisabledReason {
    /// The endpoint answered 410.
    EndpointGone,
    /// Every attempt of five days failed.
    OnlyFailures,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OldSecret {
    pub secret: SigningSecret,
    pub valid_until: Timestamp,
}

/// Table Control, `PRACTICE#<PPass>` / `SUB#<partnerId>`; `gsi1`: `ACTIVE_SUBSCRIPTIONS#<bucket>`
/// by the practice or `DISABLED_SUBSCRIPTIONS` / `PPass`, id; `gsi2`: `SUBSCRIPTIONS` / id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    pub id: SubscriptionId,
    /// Which incarnation of the partner's subscription this is: what was meant for an earlier one
    /// is not sent.
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
    /// When an administrator paused it. Events go on to become deliveries, which wait for the end
    /// of the pause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_at: Option<Timestamp>,
    pub secret: SigningSecret,
    /// Those that were replaced, the newest first, each with an end of its own.
    #[serde(default)]
    pub old_secrets: Vec<OldSecret>,
    /// The practice's newest event at sign-up; only later ones are sent, and those that were in
    /// flight.
    pub start_after_log_id: LogId,
    /// Lower ids that were not committed at sign-up: ranges, both ends included.
    #[serde(default)]
    pub in_flight: Vec<(LogId, LogId)>,
    /// When both were read.
    #[serde(default)]
    pub started_at: Timestamp,
    /// How often the log had begun anew by then, as far as the poller knew.
    #[serde(default)]
    pub start_epoch: u32,
    /// When the first of the failures began that no success has ended yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    #[serde(flatten)]
    pub breaker: Breaker,
    #[serde(flatten)]
    pub last: LastOutcomes,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Raised by every change; 1 when new.
    pub version: i64,
}

impl Subscription {
    pub fn is_active(&self) -> bool {
        self.status == SubscriptionStatus::Active
    }

    /// Permission to send it an event of this scope, or a test (`None`).
    ///
    /// # Errors
    /// Why there is none.
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

    /// Those of its scopes that no live key of the partner grants.
    pub fn suspended_scopes(&self, access: &PartnerAccess, now: Timestamp) -> Vec<EventScope> {
        self.scopes.iter().copied().filter(|scope| access.permit(*scope, now).is_err()).collect()
    }

    /// How it stands, given those of its scopes that are suspended.
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

    /// Whether it is told of an event with this id of the epoch in which it began, for all that the
    /// id says.
    pub fn begins_before(&self, id: LogId) -> bool {
        self.start_after_log_id < id || self.in_flight.iter().any(|(from, to)| (*from..=*to).contains(&id))
    }

    /// The secrets to sign with at `now`, the newest first.
    pub fn secrets(&self, now: Timestamp) -> impl Iterator<Item = &SigningSecret> {
        let old = self.old_secrets.iter().filter(move |old| now < old.valid_until).map(|old| &old.secret);
        std::iter::once(&self.secret).chain(old)
    }

    /// Signs with `new` from now on, and for a day with the present secret too: until when.
    ///
    /// # Errors
    /// When so many old ones are still valid that none can be added; the first of them ends at the
    /// instant that is given.
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

/// Partitions of the active subscriptions.
pub const BUCKETS: u32 = 16;

/// The bucket of a practice's active subscriptions. A schedule of the poller finds its practices by
/// the same hash.
pub fn bucket_of(practicepass: &PracticePass) -> u32 {
    crc32fast::hash(practicepass.as_str().as_bytes()) % BUCKETS
}

/// The partition of a bucket.
pub fn active(bucket: u32) -> String {
    format!("ACTIVE_SUBSCRIPTIONS#{bucket}")
}

/// Raised whenever it changes who has active subscriptions.
const VERSION: (&str, &str) = ("ACTIVE_SUBSCRIPTIONS", "VERSION");
const DISABLED: &str = "DISABLED_SUBSCRIPTIONS";
/// The partition of `gsi2`.
const ALL: &str = "SUBSCRIPTIONS";

/// The sort key of `gsi2`; filled up with zeros, so that text is ordered as numbers are.
fn by_id(id: SubscriptionId) -> String {
    format!("{:016}", id.0)
}

fn pk(practicepass: &PracticePass) -> String {
    format!("PRACTICE#{practicepass}")
}

/// Where a practice's active subscriptions are, or all.
fn active_partitions(practicepass: Option<&PracticePass>) -> Vec<String> {
    match practicepass {
        Some(practicepass) => vec![active(bucket_of(practicepass))],
        None => (0..BUCKETS).map(active).collect(),
    }
}

/// What the index's sort keys of a practice's subscriptions begin with, or of all.
fn of_practice(practicepass: Option<&PracticePass>) -> String {
    practicepass.map(|it| format!("{it}#")).unwrap_or_default()
}

fn sk(partner: &PartnerId) -> String {
    format!("SUB#{partner}")
}

fn id_sk(partner: &PartnerId) -> String {
    format!("SUBSCRIPTION_ID#{partner}")
}

/// How many subscriptions there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionCounts {
    pub active: i64,
    pub disabled: i64,
}

impl Store {
    /// How many subscriptions there are, of all practices or one; a new one may be seen a moment
    /// later.
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

    /// Up to `limit` subscriptions that the platform disabled, of all practices or one, ordered by
    /// `PPass` and id.
    pub async fn disabled_subscriptions(
        &self,
        practicepass: Option<&PracticePass>,
        limit: usize,
    ) -> Result<Vec<Subscription>> {
        let prefix = of_practice(practicepass);
        let listing = Listing::of_index(DISABLED).beginning_with(&prefix);
        Ok(self.list(listing, limit, None, |_| true).await?.items)
    }

    /// Up to `limit` active subscriptions whose endpoints are held back, of all practices or one,
    /// ordered by `PPass` and id; of some 10,000 active ones.
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

    /// Read strongly: a deletion that was answered is seen.
    pub async fn subscription(
        &self,
        practicepass: &PracticePass,
        partner: &PartnerId,
    ) -> Result<Option<Subscription>> {
        self.get(Table::Control, key(pk(practicepass), sk(partner)), true).await
    }

    /// The practice's subscriptions of all partners, read strongly.
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

    /// The practices of these buckets with an active subscription; a new one may be seen a moment
    /// later.
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

    /// Differs from what it was before whenever another practice has, or has no more, active
    /// subscriptions.
    pub async fn subscriptions_version(&self) -> Result<i64> {
        #[derive(Deserialize)]
        struct Row {
            version: i64,
        }
        let row: Option<Row> = self.get(Table::Control, key(VERSION.0, VERSION.1), true).await?;
        Ok(row.map_or(0, |row| row.version))
    }

    /// The write that says that the active subscriptions have changed.
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

    /// Writes a new subscription (version 1) or one over that of the version before, with `and` in
    /// one transaction.
    ///
    /// # Errors
    /// [`Error::ConditionFailed`] when another had written meanwhile, or a condition of `and`
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

    /// The id of the subscription that a partner has or had in a practice; `None` if there was
    /// never one. Kept, so that the deliveries of all incarnations are in one list.
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

    /// Remembers the id of a subscription, once and for all.
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

    /// Deletes this incarnation. `false`: it was gone already.
    pub async fn delete_subscription(&self, subscription: &Subscription) -> Result<bool> {
        let writes = vec![self.remove_subscription(subscription)?, self.subscriptions_changed()?];
        match self.transact(writes).await {
            Ok(()) => Ok(true),
            Err(Error::ConditionFailed) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
