//! Finding deliveries.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;

use super::{
    super::{
        Error, Result, Store, Table, instant,
        store::{Item, SERVICE, from_items, pk},
    },
    Delivery,
};
use crate::domain::ids::{DeliveryId, SubscriptionId};

/// Where a list goes on: after the delivery of this creation time and key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    created_at: Timestamp,
    key: String,
}

impl Cursor {
    /// As text that a URL may hold.
    pub fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}|{}", instant::text(self.created_at), self.key))
    }

    pub fn parse(text: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let (created_at, key) = text.split_once('|')?;
        let well_formed = key.starts_with("D#") && key.len() <= 256;
        well_formed.then_some(())?;
        Some(Self { created_at: created_at.parse().ok()?, key: key.to_owned() })
    }

    fn start(&self, subscription: SubscriptionId) -> Item {
        HashMap::from([
            ("pk".to_owned(), AttributeValue::S(self.key.clone())),
            ("subscriptionId".to_owned(), AttributeValue::N(subscription.to_string())),
            ("createdAt".to_owned(), AttributeValue::S(instant::text(self.created_at))),
        ])
    }
}

/// A part of a list, the newest first.
#[derive(Clone, Debug)]
pub struct DeliveryPage {
    pub deliveries: Vec<Delivery>,
    /// `None` at the end of the list.
    pub next: Option<Cursor>,
}

impl Store {
    /// The delivery with this key, read strongly.
    pub async fn delivery(&self, key: &str) -> Result<Option<Delivery>> {
        self.get(Table::Deliveries, pk(key), true).await
    }

    /// The delivery with this id; one that was just made may be seen a moment later.
    pub async fn delivery_by_id(&self, id: DeliveryId) -> Result<Option<Delivery>> {
        let page = self
            .client()
            .query()
            .table_name(self.name(Table::Deliveries)?)
            .index_name("byId")
            .key_condition_expression("id = :id")
            .expression_attribute_values(":id", AttributeValue::N(id.to_string()))
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error))?;
        Ok(from_items(page.items)?.into_iter().next())
    }

    /// Up to `limit` deliveries of a subscription, the newest first; `success` keeps those that (didn't) succeed.
    pub async fn deliveries_of(
        &self,
        subscription: SubscriptionId,
        success: Option<bool>,
        limit: usize,
        after: Option<&Cursor>,
    ) -> Result<DeliveryPage> {
        let mut deliveries: Vec<Delivery> = Vec::new();
        let mut start = after.map(|cursor| cursor.start(subscription));
        loop {
            let mut query = self
                .client()
                .query()
                .table_name(self.name(Table::Deliveries)?)
                .index_name("bySubscription")
                .key_condition_expression("subscriptionId = :subscription")
                .expression_attribute_values(":subscription", AttributeValue::N(subscription.to_string()))
                .scan_index_forward(false)
                .limit(i32::try_from(limit + 1).unwrap_or(i32::MAX))
                .set_exclusive_start_key(start);
            if let Some(success) = success {
                query = query
                    .filter_expression("success = :success")
                    .expression_attribute_values(":success", AttributeValue::Bool(success));
            }
            let page = query.send().await.map_err(|error| Error::from_sdk(SERVICE, &error))?;
            deliveries.extend(from_items::<Delivery>(page.items)?);
            start = page.last_evaluated_key;
            if deliveries.len() > limit || start.is_none() {
                break;
            }
        }
        let more = deliveries.len() > limit;
        deliveries.truncate(limit);
        let last = deliveries.last().filter(|_| more);
        let next = last.map(|last| Cursor { created_at: last.created_at, key: last.key.clone() });
        Ok(DeliveryPage { deliveries, next })
    }
}
