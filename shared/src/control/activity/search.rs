//! Searches call records, newest first.

use aws_sdk_dynamodb::{
    operation::query::builders::QueryFluentBuilder,
    types::{AttributeValue, Select},
};
use futures::future::try_join_all;
use jiff::{SignedDuration, Timestamp};

use super::{
    super::{
        Cursor, Error, Result, Store, Table, instant,
        store::{Item, SERVICE, from_item},
    },
    CallRecord, SHARDS, day, partition, shard_of,
};
use crate::domain::request_id;

const DAY: SignedDuration = SignedDuration::from_hours(24);
/// About how many records to examine before a page is returned as it is, with a cursor.
///
/// Days without calls cost one query per shard; the retention period limits their number.
const MAX_EXAMINED: usize = 10_000;
/// The most days to query at once when the days before had no records.
const MAX_DAYS_AT_ONCE: usize = 8;
/// Records per query and partition when there is a filter.
const FILTERED_AT_ONCE: usize = 500;

impl Cursor {
    /// The position after this call.
    pub fn after_call(record: &CallRecord) -> Self {
        Self(record.position())
    }

    /// Whether it is a position in the list of calls: `<time>#<id>`.
    pub fn is_of_calls(&self) -> bool {
        self.0.split_once('#').is_some_and(|(time, id)| {
            id.len() <= 64 && time.parse().is_ok_and(|at: Timestamp| instant::text(at) == time)
        })
    }

    fn time(&self) -> Option<Timestamp> {
        self.0.split_once('#')?.0.parse().ok()
    }
}

/// A status, a class of statuses such as `4xx`, or all errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusFilter {
    Exactly(u16),
    /// The first digit.
    Class(u16),
    /// 400 and above, which the usage figures count as errors.
    Errors,
}

/// Criteria for calls; all that are set must match.
#[derive(Clone, Debug, Default)]
pub struct ActivityFilter {
    pub method: Option<String>,
    pub status: Option<StatusFilter>,
    /// The route template.
    pub endpoint: Option<String>,
    /// A partner's id or name.
    pub partner: Option<String>,
    /// A key's id or name.
    pub key: Option<String>,
    pub practicepass: Option<String>,
    pub ip: Option<String>,
    pub request_id: Option<String>,
}

/// A page of calls, newest first. It may be short, even empty, although more pages follow.
#[derive(Clone, Debug, Default)]
pub struct ActivityPage {
    pub records: Vec<CallRecord>,
    /// `None` at the end of the list.
    pub next: Option<Cursor>,
}

/// The state of a search: everything at and after `before` has been returned.
struct Search<'a> {
    filter: &'a ActivityFilter,
    from: Timestamp,
    /// A position, or a prefix of one.
    before: String,
    /// The day that contains `before`.
    day: Timestamp,
    limit: usize,
    examined: usize,
}

/// A partition's newest records before a position.
struct PartitionPage {
    records: Vec<CallRecord>,
    /// The last position that was examined, if there are more records below it.
    reached: Option<String>,
    examined: usize,
}

impl Store {
    /// Returns up to `limit` calls from `from` to before `to`, after the cursor.
    pub async fn search_calls(
        &self,
        filter: &ActivityFilter,
        (from, to): (Timestamp, Timestamp),
        limit: usize,
        after: Option<&Cursor>,
    ) -> Result<ActivityPage> {
        let time = filter.request_id.as_deref().and_then(request_id::time_of);
        if let Some(time) = time.filter(|time| after.is_none() && from <= *time && *time < to) {
            let next = time.saturating_add(SignedDuration::from_millis(1)).unwrap_or(to);
            let page = self.search(Search::new(filter, time, next, None, limit)).await?;
            // A caller may have sent an id that looks like a generated one.
            if !page.records.is_empty() {
                return Ok(page);
            }
        }
        self.search(Search::new(filter, from, to, after, limit)).await
    }

    /// Returns the calls of an hour (`YYYY-MM-DDTHH`, UTC), newest first.
    pub async fn calls_of_hour(&self, hour: &str) -> Result<Vec<CallRecord>> {
        let from: Timestamp =
            format!("{hour}:00:00Z").parse().map_err(|_| Error::Malformed(format!("the hour {hour}")))?;
        let period = (from, from + SignedDuration::from_hours(1));
        let page = self.search_calls(&ActivityFilter::default(), period, MAX_EXAMINED, None).await?;
        Ok(page.records)
    }

    async fn search(&self, mut search: Search<'_>) -> Result<ActivityPage> {
        let mut records: Vec<CallRecord> = Vec::new();
        let mut at_once = 1;
        while search.goes_on() {
            let days = search.next_days(at_once);
            let parts = try_join_all(days.iter().map(|day| self.calls_of(&search, *day))).await?;
            let found = records.len();
            for (day, parts) in days.iter().zip(parts) {
                search.examined += parts.iter().map(|part| part.examined).sum::<usize>();
                // Below this position, one partition may hold records that lie between those of the
                // others.
                let reached = parts.iter().filter_map(|part| part.reached.clone()).max();
                let known = parts.into_iter().flat_map(|part| part.records);
                let mut known: Vec<CallRecord> = known
                    .filter(|record| reached.as_ref().is_none_or(|reached| record.position() >= *reached))
                    .collect();
                known.sort_by_key(|record| std::cmp::Reverse(record.position()));
                records.extend(known);
                if let Some(reached) = reached {
                    (search.day, search.before) = (*day, reached);
                    break;
                }
                search.day = *day - DAY;
                search.before = instant::text(*day);
                if records.len() > search.limit {
                    break;
                }
            }
            if records.len() > search.limit {
                records.truncate(search.limit);
                let next = records.last().map(|last| Cursor(last.position()));
                return Ok(ActivityPage { records, next });
            }
            if search.goes_on() && search.is_exhausted() {
                return Ok(ActivityPage { records, next: Some(search.cursor()) });
            }
            at_once = if records.len() == found { (at_once * 2).min(MAX_DAYS_AT_ONCE) } else { 1 };
        }
        Ok(ActivityPage { records, next: None })
    }

    /// Reads the next records from a day's partitions.
    async fn calls_of(&self, search: &Search<'_>, day: Timestamp) -> Result<Vec<PartitionPage>> {
        let shards = match &search.filter.request_id {
            Some(id) => shard_of(id)..shard_of(id) + 1,
            None => 0..SHARDS,
        };
        try_join_all(shards.map(|shard| self.calls_of_partition(search, day, shard))).await
    }

    async fn calls_of_partition(
        &self,
        search: &Search<'_>,
        at: Timestamp,
        shard: u32,
    ) -> Result<PartitionPage> {
        let query = self
            .client()
            .query()
            .table_name(self.name(Table::Activity)?)
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :before")
            .expression_attribute_values(":pk", AttributeValue::S(partition(&day(at), shard)))
            .expression_attribute_values(":from", AttributeValue::S(instant::text(search.from)))
            .expression_attribute_values(":before", AttributeValue::S(search.before.clone()))
            .scan_index_forward(false)
            .select(Select::AllAttributes);
        // One extra record shows whether there is a next page; another one is the position itself.
        let at_once = if search.filter.is_empty() { search.limit + 2 } else { FILTERED_AT_ONCE };
        let query = search.filter.apply(query.limit(i32::try_from(at_once).unwrap_or(i32::MAX)));
        let page = query.send().await.map_err(|error| Error::from_sdk(SERVICE, &error))?;
        let position = |item: &Item| item.get("sk").and_then(|it| it.as_s().ok()).cloned();
        let reached = page.last_evaluated_key.as_ref().and_then(position);
        let items = page.items.unwrap_or_default().into_iter();
        let records = items.filter(|item| position(item).is_some_and(|it| it < search.before)).map(from_item);
        let examined = usize::try_from(page.scanned_count).unwrap_or_default();
        Ok(PartitionPage { records: records.collect::<Result<_>>()?, reached, examined })
    }
}

impl<'a> Search<'a> {
    fn new(
        filter: &'a ActivityFilter,
        from: Timestamp,
        to: Timestamp,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Self {
        let after = after.filter(|cursor| cursor.0 < instant::text(to));
        let before = after.map_or_else(|| instant::text(to), |cursor| cursor.0.clone());
        let day = floor(after.and_then(Cursor::time).unwrap_or(to));
        Self { filter, from, before, day, limit, examined: 0 }
    }

    /// Returns the next days, newest first, down to that of `from`.
    fn next_days(&self, at_once: usize) -> Vec<Timestamp> {
        let oldest = floor(self.from);
        let days = std::iter::successors(Some(self.day), |day| day.checked_sub(DAY).ok());
        days.take(at_once).take_while(|day| *day >= oldest).collect()
    }

    fn goes_on(&self) -> bool {
        self.day >= floor(self.from) && self.before > instant::text(self.from)
    }

    fn cursor(&self) -> Cursor {
        // An instant alone sorts before all calls that started at it.
        let suffix = if self.before.contains('#') { "" } else { "#" };
        Cursor(format!("{}{suffix}", self.before))
    }

    fn is_exhausted(&self) -> bool {
        self.examined >= MAX_EXAMINED
    }
}

impl ActivityFilter {
    fn is_empty(&self) -> bool {
        self.conditions().is_empty()
    }

    /// Returns each condition with its values; one with two values matches everything between.
    fn conditions(&self) -> Vec<(&'static str, Vec<AttributeValue>)> {
        let text = |value: &String| AttributeValue::S(value.clone());
        let number = |value: u16| AttributeValue::N(value.to_string());
        let equal = [
            ("#method = :method", &self.method),
            ("endpoint = :endpoint", &self.endpoint),
            ("(partnerId = :partner OR partner = :partner)", &self.partner),
            ("(keyId = :key OR keyName = :key)", &self.key),
            ("practicepass = :practice", &self.practicepass),
            ("ip = :ip", &self.ip),
            ("requestId = :request", &self.request_id),
        ];
        let mut conditions: Vec<_> = equal
            .into_iter()
            .filter_map(|(condition, value)| Some((condition, vec![text(value.as_ref()?)])))
            .collect();
        match self.status {
            Some(StatusFilter::Exactly(status)) => {
                conditions.push(("#status = :low", vec![number(status)]));
            }
            Some(StatusFilter::Class(digit)) => conditions.push((
                "#status BETWEEN :low AND :high",
                vec![number(digit * 100), number(digit * 100 + 99)],
            )),
            Some(StatusFilter::Errors) => conditions.push(("#status >= :low", vec![number(400)])),
            None => {}
        }
        conditions
    }

    fn apply(&self, mut query: QueryFluentBuilder) -> QueryFluentBuilder {
        let conditions = self.conditions();
        if conditions.is_empty() {
            return query;
        }
        for (condition, values) in &conditions {
            let mut words = condition.split(|c: char| " ()".contains(c));
            if let Some(name) = words.clone().find(|it| it.starts_with('#')) {
                query = query.expression_attribute_names(name, &name[1..]);
            }
            for value in values {
                if let Some(name) = words.find(|it| it.starts_with(':')) {
                    query = query.expression_attribute_values(name, value.clone());
                }
            }
        }
        let all: Vec<&str> = conditions.iter().map(|(condition, _)| *condition).collect();
        query.filter_expression(all.join(" AND "))
    }
}

/// Returns the start of the day.
fn floor(at: Timestamp) -> Timestamp {
    at - SignedDuration::from_secs(at.as_second().rem_euclid(DAY.as_secs()))
        - SignedDuration::from_nanos(i64::from(at.subsec_nanosecond()))
}
