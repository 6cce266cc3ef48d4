//! Reads and writes subscriptions.

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use futures::future::try_join_all;
use serde::Deserialize;

use super::{
    super::{
        Error, Result, Store, Table,
        listing::Listing,
        store::{SERVICE, from_items, key},
    },
    DISABLED, Subscription, VERSION, active, active_partitions, id_sk, of_practice, pk, sk,
};
use crate::domain::{
    PracticePass,
    ids::{PartnerId, SubscriptionId},
};

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
        let counted = async |lists: &[String]| {
            let listings = lists.iter().map(|list| Listing::of_index(list).beginning_with(&prefix));
            self.count_items(listings.collect()).await
        };
        let disabled = [DISABLED.to_owned()];
        let (active, disabled) = futures::try_join!(counted(&buckets), counted(&disabled))?;
        Ok(SubscriptionCounts { active, disabled })
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

    /// Returns a version that changes when a partner starts or ends a subscription.
    ///
    /// It lags if the process that made the change could not increase it.
    pub async fn subscriptions_version(&self) -> Result<i64> {
        #[derive(Deserialize)]
        struct Row {
            version: i64,
        }
        let row: Option<Row> = self.get(Table::Control, key(VERSION.0, VERSION.1), true).await?;
        Ok(row.map_or(0, |row| row.version))
    }

    /// Increases the version of the active subscriptions, after their set has changed.
    ///
    /// Not in the transaction of the change: of two transactions that write the same item, one is
    /// canceled, and all partners share this item. If this fails, each schedule sees the change at
    /// the start of its next run.
    async fn tell_pollers(&self) -> Result<()> {
        let told = self
            .client()
            .update_item()
            .table_name(self.name(Table::Control)?)
            .set_key(Some(key(VERSION.0, VERSION.1)))
            .update_expression("ADD version :one")
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
            .send()
            .await;
        if let Err(error) = told.map_err(|error| Error::from_sdk(SERVICE, &error)) {
            tracing::warn!(%error, "the pollers were not told that the active subscriptions have changed");
        }
        Ok(())
    }

    /// Writes a new subscription (version 1) or one that becomes active again (its next version),
    /// with `and` in one transaction; then the pollers are told.
    ///
    /// # Errors
    /// [`Error::ConditionFailed`] if another request wrote meanwhile, or a condition of `and`
    /// fails.
    pub async fn save_subscription(
        &self,
        subscription: &Subscription,
        and: Option<TransactWriteItem>,
    ) -> Result<()> {
        self.update_subscription(subscription, and).await?;
        self.tell_pollers().await
    }

    /// The same for the next version of an active subscription.
    ///
    /// The set of active subscriptions stays the same, so no schedule reads its list again.
    ///
    /// # Errors
    /// The same as for [`Self::save_subscription`].
    pub async fn update_subscription(
        &self,
        subscription: &Subscription,
        and: Option<TransactWriteItem>,
    ) -> Result<()> {
        let save = self.subscription_write(subscription)?;
        self.transact([save].into_iter().chain(and).collect()).await
    }

    fn subscription_write(&self, subscription: &Subscription) -> Result<TransactWriteItem> {
        let put = Put::builder().table_name(self.name(Table::Control)?).set_item(Some(subscription.item()?));
        let before = subscription.version - 1;
        let put = if before == 0 {
            put.condition_expression("attribute_not_exists(pk)")
        } else {
            put.condition_expression("version = :before")
                .expression_attribute_values(":before", AttributeValue::N(before.to_string()))
        };
        let put = put.build().map_err(|error| Error::Malformed(error.to_string()))?;
        Ok(TransactWriteItem::builder().put(put).build())
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
        match self.transact(vec![self.remove_subscription_write(subscription)?]).await {
            Ok(()) => self.tell_pollers().await.map(|()| true),
            Err(Error::ConditionFailed) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
