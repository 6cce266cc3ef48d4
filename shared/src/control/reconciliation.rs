//! Compares and repairs the control plane's tables after a restore, for operators' commands.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    Error, Result, Store, Table,
    activity::{ActivityFilter, CallRecord, StatusFilter},
    deliveries::Delivery,
    store::{Item, SERVICE, from_item, from_items, key, pk},
};
use crate::domain::{PracticePass, idempotency::IDEMPOTENCY_TTL};

/// Calls per read.
const PAGE: usize = 500;

/// A counter that ids are leased from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    Deliveries,
    Subscriptions,
}

impl Counter {
    fn key(self) -> Item {
        let name = match self {
            Self::Deliveries => "delivery",
            Self::Subscriptions => "subscription",
        };
        key(format!("COUNTER#{name}"), "COUNTER")
    }
}

impl Store {
    /// Returns deliveries created at `since` or later, of one practice or of all.
    ///
    /// Test deliveries and manual retries are included.
    pub async fn deliveries_since(
        &self,
        practicepass: Option<&PracticePass>,
        since: Timestamp,
    ) -> Result<Vec<Delivery>> {
        let mut found = Vec::new();
        for mut source in self.all_deliveries(practicepass).await? {
            while let Some(deliveries) = self.read_back(&mut source, since).await? {
                found.extend(deliveries);
            }
        }
        Ok(found)
    }

    /// Returns successful calls that may have changed something, oldest first.
    ///
    /// The period excludes its end. The calls are those of one practice or of all.
    pub async fn writes_of(
        &self,
        practicepass: Option<&PracticePass>,
        period: (Timestamp, Timestamp),
    ) -> Result<Vec<CallRecord>> {
        let filter = ActivityFilter {
            practicepass: practicepass.map(ToString::to_string),
            status: Some(StatusFilter::Class(2)),
            ..ActivityFilter::default()
        };
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = self.search_calls(&filter, period, PAGE, after.as_ref()).await?;
            let is_write = |it: &CallRecord| !matches!(it.method.as_str(), "GET" | "HEAD") && !it.replayed;
            let writes = page.records.into_iter().filter(is_write);
            found.extend(writes.filter(|it| !it.endpoint.ends_with("/auth/token")));
            after = page.next;
            if after.is_none() {
                found.reverse();
                return Ok(found);
            }
        }
    }

    /// Returns the highest id leased from a counter; 0 if there is none.
    pub async fn leased_up_to(&self, counter: Counter) -> Result<i64> {
        #[derive(Deserialize)]
        struct Row {
            leased: i64,
        }
        let row: Option<Row> = self.get(Table::Control, counter.key(), true).await?;
        Ok(row.map_or(0, |row| row.leased))
    }

    /// Raises a counter so that new ids are above `to`; never lowers it.
    pub async fn lease_above(&self, counter: Counter, to: i64) -> Result<()> {
        let raised = self
            .client()
            .update_item()
            .table_name(self.name(Table::Control)?)
            .set_key(Some(counter.key()))
            .update_expression("SET leased = :to")
            .condition_expression("attribute_not_exists(leased) OR leased < :to")
            .expression_attribute_values(":to", AttributeValue::N(to.to_string()))
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error));
        match raised {
            Ok(_) | Err(Error::ConditionFailed) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Counts the stored responses of idempotent requests since `since`; deletes them if `forget`.
    pub async fn answers_since(&self, since: Timestamp, forget: bool) -> Result<usize> {
        #[derive(Deserialize)]
        struct Row {
            pk: String,
        }
        let (mut count, mut start) = (0, None);
        loop {
            let page = self
                .client()
                .scan()
                .table_name(self.name(Table::Ephemeral)?)
                .filter_expression(
                    "begins_with(pk, :answer) AND expiresAt >= :end AND attribute_exists(#response)",
                )
                .expression_attribute_names("#response", "response")
                .expression_attribute_values(":answer", AttributeValue::S("ANSWER#".to_owned()))
                .expression_attribute_values(
                    ":end",
                    AttributeValue::N((since + IDEMPOTENCY_TTL).as_second().to_string()),
                )
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| Error::from_sdk(SERVICE, &error))?;
            for row in from_items::<Row>(page.items)? {
                count += 1;
                if forget {
                    self.delete(Table::Ephemeral, pk(row.pk)).await?;
                }
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(count);
            }
        }
    }

    /// Returns every item of the control table, undecoded.
    pub async fn control_items(&self) -> Result<Vec<Item>> {
        let (mut items, mut start) = (Vec::new(), None);
        loop {
            let page = self
                .client()
                .scan()
                .table_name(self.name(Table::Control)?)
                .consistent_read(true)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| Error::from_sdk(SERVICE, &error))?;
            items.extend(page.items.unwrap_or_default());
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(items);
            }
        }
    }

    /// Returns the item of the control table with the same key as `like`.
    pub async fn control_item(&self, like: &Item) -> Result<Option<Item>> {
        let output = self
            .client()
            .get_item()
            .table_name(self.name(Table::Control)?)
            .set_key(Some(key_of(like)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error))?;
        Ok(output.item)
    }

    /// Writes an undecoded item of the control table: in place of `seen`, or as a new one.
    ///
    /// # Errors
    /// [`Error::ConditionFailed`] if the stored item has changed.
    pub async fn put_control_item(&self, item: Item, seen: Option<&Item>) -> Result<()> {
        let mut put = self.client().put_item().table_name(self.name(Table::Control)?).set_item(Some(item));
        let Some(seen) = seen else {
            put = put.condition_expression("attribute_not_exists(pk)");
            return put.send().await.map(|_| ()).map_err(|error| Error::from_sdk(SERVICE, &error));
        };
        // Every change raises one of these. Items without any of them are changed only by
        // operators.
        let mut conditions = vec!["attribute_exists(pk)".to_owned()];
        for name in ["version", "revision", "generation", "updatedAt"] {
            put = put.expression_attribute_names(format!("#{name}"), name);
            if let Some(value) = seen.get(name) {
                put = put.expression_attribute_values(format!(":{name}"), value.clone());
                conditions.push(format!("#{name} = :{name}"));
            } else {
                conditions.push(format!("attribute_not_exists(#{name})"));
            }
        }
        let put = put.condition_expression(conditions.join(" AND "));
        put.send().await.map(|_| ()).map_err(|error| Error::from_sdk(SERVICE, &error))
    }

    /// Returns the time that the control table was restored to, if a restore created it.
    pub async fn restored_to(&self) -> Result<Option<Timestamp>> {
        let output = self
            .client()
            .describe_table()
            .table_name(self.name(Table::Control)?)
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error))?;
        let summary = output.table.and_then(|it| it.restore_summary);
        let at = summary.map(|it| Timestamp::from_second(it.restore_date_time.secs()));
        at.transpose().map_err(|error| Error::Malformed(format!("a moment of a restore: {error}")))
    }

    /// Returns a store for another control table, such as a restored copy, with the same client.
    #[must_use]
    pub fn with_control_table(&self, name: &str) -> Self {
        let mut names = self.table_names().clone();
        names.control = Some(name.to_owned());
        Self::with_client(self.client().clone(), names)
    }

    /// Returns the name of the control table; empty if none is configured.
    pub fn control_table(&self) -> &str {
        self.table_names().control.as_deref().unwrap_or_default()
    }

    async fn delete(&self, table: Table, key: Item) -> Result<()> {
        self.client()
            .delete_item()
            .table_name(self.name(table)?)
            .set_key(Some(key))
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error))?;
        Ok(())
    }
}

/// Decodes an item; `None` if it has another form.
pub fn decoded<T: DeserializeOwned>(item: &Item) -> Option<T> {
    from_item(item.clone()).ok()
}

fn key_of(item: &Item) -> Item {
    item.iter()
        .filter(|(name, _)| matches!(name.as_str(), "pk" | "sk"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
