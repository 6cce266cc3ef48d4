//! One outcome in one partition of an index, read query by query, newest first.

use std::{
    cmp::Reverse,
    collections::{HashMap, VecDeque},
};

use aws_sdk_dynamodb::types::AttributeValue;
use futures::future::try_join_all;
use jiff::{SignedDuration, Timestamp};

use super::{
    super::{
        Error, Result, Store, Table,
        store::{Item, SERVICE, from_items},
    },
    Delivery, keys,
};
use crate::domain::{
    PracticePass,
    ids::{DeliveryId, PartnerId},
};

/// The minimum and maximum number of deliveries per query.
const PAGE: (usize, usize) = (10, 250);
/// How far the order of ids may deviate from the order of creation.
///
/// Each process uses a block of ids for up to half of this time.
const OUT_OF_ORDER: SignedDuration = SignedDuration::from_mins(2);

/// A filter by outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum OutcomeFilter {
    All,
    Delivered,
    NotDelivered,
    Failed,
}

impl OutcomeFilter {
    pub(super) fn of(success: Option<bool>) -> Self {
        match success {
            None => Self::All,
            Some(true) => Self::Delivered,
            Some(false) => Self::NotDelivered,
        }
    }

    fn outcomes(self) -> &'static [&'static str] {
        match self {
            Self::All => &[keys::OPEN, keys::FAILED, keys::DELIVERED],
            Self::Delivered => &[keys::DELIVERED],
            Self::NotDelivered => &[keys::OPEN, keys::FAILED],
            Self::Failed => &[keys::FAILED],
        }
    }
}

pub(in super::super) struct Source {
    index: &'static str,
    /// The names of the partition key and of the sort key.
    keys: (&'static str, &'static str),
    partition: String,
    /// The prefix of the sort keys.
    prefix: String,
    /// Limits the source to lower ids.
    before: Option<DeliveryId>,
    read: VecDeque<Delivery>,
    next: Option<Item>,
    ended: bool,
}

impl Source {
    fn new(
        index: &'static str,
        keys: (&'static str, &'static str),
        partition: String,
        prefix: String,
    ) -> Self {
        Self { index, keys, partition, prefix, before: None, read: VecDeque::new(), next: None, ended: false }
    }

    /// Returns sources of all partners' deliveries in these shards.
    pub(super) fn of_all(shards: impl Iterator<Item = i64>, filter: OutcomeFilter) -> Vec<Self> {
        let keys = (keys::PARTITION, keys::PLACE);
        let of_shard = |shard| {
            let one =
                move |outcome: &&str| Self::new("feed", keys, keys::partition(shard), format!("{outcome}#"));
            filter.outcomes().iter().map(one)
        };
        shards.flat_map(of_shard).collect()
    }

    /// Returns sources of a partner's deliveries in a practice.
    pub(super) fn of_partner(
        practicepass: &PracticePass,
        partner: &PartnerId,
        filter: OutcomeFilter,
    ) -> Vec<Self> {
        let keys = ("practicepass", keys::PLACE_OF_PARTNER);
        let one = |outcome: &&str| {
            Self::new("byPractice", keys, practicepass.to_string(), format!("{partner}#{outcome}#"))
        };
        filter.outcomes().iter().map(one).collect()
    }

    pub(super) fn before(self, before: Option<DeliveryId>) -> Self {
        Self { before, ..self }
    }

    fn must_read(&self) -> bool {
        self.read.is_empty() && !self.ended
    }
}

impl Store {
    /// Returns sources of a practice's deliveries, of all partners that ever received any.
    pub(super) async fn sources_of(
        &self,
        practicepass: &PracticePass,
        filter: OutcomeFilter,
    ) -> Result<Vec<Source>> {
        let partners = self.partners_with_deliveries(practicepass).await?;
        Ok(partners.iter().flat_map(|partner| Source::of_partner(practicepass, partner, filter)).collect())
    }

    /// Returns sources of all deliveries, of all practices or one.
    pub(in super::super) async fn all_deliveries(
        &self,
        practicepass: Option<&PracticePass>,
    ) -> Result<Vec<Source>> {
        match practicepass {
            Some(practicepass) => self.sources_of(practicepass, OutcomeFilter::All).await,
            None => Ok(Source::of_all(0..self.delivery_shards(), OutcomeFilter::All)),
        }
    }

    /// Returns the partners that have deliveries of a practice, with one query for each.
    async fn partners_with_deliveries(&self, practicepass: &PracticePass) -> Result<Vec<PartnerId>> {
        let mut partners: Vec<PartnerId> = Vec::new();
        loop {
            let after = partners.last().map_or(String::from("#"), |last| format!("{last}#~"));
            let page = self
                .client()
                .query()
                .table_name(self.name(Table::Deliveries)?)
                .index_name("byPractice")
                .key_condition_expression("practicepass = :practice AND partnerPlace > :after")
                .expression_attribute_values(":practice", AttributeValue::S(practicepass.to_string()))
                .expression_attribute_values(":after", AttributeValue::S(after))
                .limit(1)
                .send()
                .await
                .map_err(|error| Error::from_sdk(SERVICE, &error))?;
            match from_items::<Delivery>(page.items)?.pop() {
                Some(delivery) => partners.push(delivery.partner_id),
                None => return Ok(partners),
            }
        }
    }

    /// Returns up to `filter` of the newest deliveries of all sources, after skipping `skipped`.
    pub(super) async fn merge(
        &self,
        mut sources: Vec<Source>,
        mut skipped: usize,
        filter: usize,
    ) -> Result<Vec<Delivery>> {
        let mut found = Vec::with_capacity(filter);
        if sources.is_empty() {
            return Ok(found);
        }
        loop {
            let hungry: Vec<&mut Source> = sources.iter_mut().filter(|source| source.must_read()).collect();
            let share = (skipped + filter - found.len()) / hungry.len().max(1) + 1;
            let share = share.clamp(PAGE.0, PAGE.1);
            try_join_all(hungry.into_iter().map(|source| self.read_on(source, share))).await?;
            // The newest of all is known only while every source has a delivery or has ended.
            while !sources.iter().any(Source::must_read) {
                let newest = sources
                    .iter_mut()
                    .filter(|source| !source.read.is_empty())
                    .min_by_key(|source| Reverse(source.read.front().map(|delivery| delivery.id.0)));
                let Some(delivery) = newest.and_then(|source| source.read.pop_front()) else {
                    return Ok(found);
                };
                if skipped > 0 {
                    skipped -= 1;
                    continue;
                }
                found.push(delivery);
                if found.len() == filter {
                    return Ok(found);
                }
            }
        }
    }

    /// Returns the next deliveries of a source created at `since` or later; `None` at the end.
    pub(in super::super) async fn read_back(
        &self,
        source: &mut Source,
        since: Timestamp,
    ) -> Result<Option<Vec<Delivery>>> {
        if source.ended {
            return Ok(None);
        }
        self.read_on(source, PAGE.1).await?;
        let read: Vec<Delivery> = source.read.drain(..).collect();
        let earliest = since.saturating_sub(OUT_OF_ORDER).unwrap_or(Timestamp::MIN);
        source.ended |= read.last().is_none_or(|last| last.created_at < earliest);
        Ok(Some(read.into_iter().filter(|delivery| since <= delivery.created_at).collect()))
    }

    async fn read_on(&self, source: &mut Source, limit: usize) -> Result<()> {
        let end =
            source.before.map_or_else(|| "~".to_owned(), |before| keys::digits(DeliveryId(before.0 - 1)));
        let page = self
            .client()
            .query()
            .table_name(self.name(Table::Deliveries)?)
            .index_name(source.index)
            .key_condition_expression("#partition = :partition AND #place BETWEEN :from AND :to")
            .set_expression_attribute_names(Some(HashMap::from([
                ("#partition".to_owned(), source.keys.0.to_owned()),
                ("#place".to_owned(), source.keys.1.to_owned()),
            ])))
            .expression_attribute_values(":partition", AttributeValue::S(source.partition.clone()))
            .expression_attribute_values(":from", AttributeValue::S(source.prefix.clone()))
            .expression_attribute_values(":to", AttributeValue::S(format!("{}{end}", source.prefix)))
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(source.next.take())
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error))?;
        source.read.extend(from_items::<Delivery>(page.items)?);
        source.next = page.last_evaluated_key;
        source.ended = source.next.is_none();
        Ok(())
    }
}
