//! The list of subscriptions whose endpoints are held back: slow, failing or answering 429.
//!
//! A subscription has the keys of the index `heldBack` only while it is held back, so the list
//! costs nothing for healthy endpoints, however many there are.
//!
//! The change of the record comes first, then its place in the index. A process that dies between
//! the two leaves the place outdated until the next change; a list of one practice reads the
//! records themselves.

use aws_sdk_dynamodb::types::AttributeValue;
use futures::future::try_join_all;
use jiff::Timestamp;

use super::{
    super::{
        Cursor, Error, Result, Store, Table,
        attribute::number,
        listing::Listing,
        store::{Item, SERVICE, from_item, key},
    },
    BUCKETS, Breaker, BreakerState, Subscription, bucket_of, pk, sk,
};
use crate::domain::PracticePass;

const HOUR_MS: i64 = 3_600_000;
/// Sorts after every time: held back until another change.
const UNTIL_CHANGED: &str = "~";

fn partition(bucket: u32) -> String {
    format!("HELD_BACK#{bucket}")
}

/// Formats a time for the sort key, so that times sort as text.
fn text(at: Timestamp) -> String {
    format!("{at:.0}")
}

impl Breaker {
    /// Returns the time from which the endpoint is not held back even if nothing else changes.
    ///
    /// A pace expires. It is rounded up to the hour, so that the index is not written at each 429.
    fn held_back_until(&self) -> Option<String> {
        if self.is_slow() || self.is_open() {
            return Some(UNTIL_CHANGED.to_owned());
        }
        let hours = self.pace.as_ref()?.expires_at().div_euclid(HOUR_MS) + 1;
        let until = Timestamp::from_millisecond(hours.saturating_mul(HOUR_MS));
        Some(until.map_or_else(|_| UNTIL_CHANGED.to_owned(), text))
    }
}

impl Subscription {
    /// Returns the keys of `heldBack`; `None` if the endpoint is not held back.
    pub(super) fn held_back_place(&self) -> Option<[(&'static str, String); 2]> {
        let until = self.breaker.held_back_until()?;
        let place = format!("{until}#{}#{}", self.practicepass, self.id);
        Some([("heldBackPk", partition(bucket_of(&self.practicepass))), ("heldBackSk", place)])
    }
}

impl Store {
    /// Returns up to `limit` active subscriptions whose endpoints are held back, by `PPass` and id.
    ///
    /// One query per bucket, or one for the practice. A change may appear a moment later.
    pub async fn held_back_subscriptions(
        &self,
        practicepass: Option<&PracticePass>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Subscription>> {
        let held_back = |it: &Subscription| it.breaker.state(now) != BreakerState::Closed;
        let mut found = if let Some(practicepass) = practicepass {
            self.subscriptions_of(practicepass).await?
        } else {
            let since = Cursor(text(now));
            let buckets: Vec<String> = (0..BUCKETS).map(partition).collect();
            let lists = buckets
                .iter()
                .map(|bucket| self.list(Listing::of_held_back(bucket), limit, Some(&since), held_back));
            try_join_all(lists).await?.into_iter().flat_map(|page| page.items).collect()
        };
        found.retain(held_back);
        found.sort_by(|one, other| {
            let place = |it: &Subscription| (it.practicepass.as_str().to_owned(), it.id.0);
            place(one).cmp(&place(other))
        });
        found.truncate(limit);
        Ok(found)
    }

    /// Adds a changed subscription to the list of those held back, or removes it.
    ///
    /// Does nothing if it has changed again: that change does this. An error is logged, and the
    /// next change repeats it.
    pub(super) async fn list_held_back(&self, changed: Option<Item>) {
        if let Err(error) = self.try_list_held_back(changed).await {
            tracing::warn!(%error, "the list of endpoints that are held back is not up to date");
        }
    }

    async fn try_list_held_back(&self, changed: Option<Item>) -> Result<()> {
        let Some(changed) = changed else { return Ok(()) };
        let listed = changed.get("heldBackSk").and_then(|it| it.as_s().ok()).cloned();
        let subscription: Subscription = from_item(changed)?;
        let place = subscription.held_back_place();
        if place.as_ref().map(|[_, (_, sk)]| sk) == listed.as_ref() {
            return Ok(());
        }
        let mut update = self
            .client()
            .update_item()
            .table_name(self.name(Table::Control)?)
            .set_key(Some(key(pk(&subscription.practicepass), sk(&subscription.partner_id))))
            .condition_expression("generation = :generation AND version = :version")
            .expression_attribute_values(":generation", number(subscription.generation))
            .expression_attribute_values(":version", number(subscription.version));
        update = match place {
            Some([(_, partition), (_, place)]) => update
                .update_expression("SET heldBackPk = :partition, heldBackSk = :place")
                .expression_attribute_values(":partition", AttributeValue::S(partition))
                .expression_attribute_values(":place", AttributeValue::S(place)),
            None => update.update_expression("REMOVE heldBackPk, heldBackSk"),
        };
        match update.send().await.map_err(|error| Error::from_sdk(SERVICE, &error)) {
            Ok(_) | Err(Error::ConditionFailed) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
