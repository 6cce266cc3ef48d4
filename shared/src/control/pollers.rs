//! What each schedule of the log poller last did, for those who ask whether events are still found.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Error, Result, Store, Table,
    listing::Listing,
    store::{SERVICE, from_item, key},
};
use crate::domain::{PracticeFault, PracticePass};

/// All schedules are here, also those that are gone; their sort keys are `<of>/<shard>`.
const PARTITION: &str = "POLLERS";
/// Schedules that are read; nobody has as many.
const MOST_SCHEDULES: usize = 100;
/// Failing practices that a run names.
pub const MOST_NAMED: usize = 50;

/// One of the `of` schedules among which the practices are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    pub shard: u32,
    pub of: u32,
}

/// A schedule and its last runs. Table Control, `POLLERS` / `<of>/<shard>`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Poller {
    /// When its first run began.
    pub known_since: Timestamp,
    pub last_begun: BegunRun,
    /// `None` before its first run has ended.
    #[serde(default)]
    pub last_ended: Option<EndedRun>,
}

/// How a run began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BegunRun {
    pub schedule: Schedule,
    pub at: Timestamp,
    /// The catalog as this run found it; `None` when it didn't look.
    #[serde(default)]
    pub catalog: Option<CatalogState>,
}

/// What came of opening the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CatalogState {
    /// It was opened and has this migration.
    Version(i64),
    Fault(PracticeFault),
}

/// What a run that came to its end did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndedRun {
    pub at: Timestamp,
    /// Practices that it polled.
    pub practices: u64,
    /// Those of them whose last turn failed, by the reason.
    pub faults: Vec<FaultCount>,
    /// At most [`MOST_NAMED`] of them, those that have failed for longest first.
    pub failing: Vec<FailingPractice>,
}

/// How many practices fail for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FaultCount {
    pub fault: PracticeFault,
    pub practices: u64,
}

/// A practice whose log can't be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailingPractice {
    pub practicepass: PracticePass,
    pub fault: PracticeFault,
    /// Every turn has failed since.
    pub since: Timestamp,
}

impl Store {
    /// Notes that a run has begun; the schedule with what its run before came to.
    pub async fn begin_poll(&self, run: &BegunRun) -> Result<Poller> {
        let Schedule { shard, of } = run.schedule;
        let output = self
            .client()
            .update_item()
            .table_name(self.name(Table::Control)?)
            .set_key(Some(key(PARTITION, format!("{of}/{shard}"))))
            .update_expression("SET lastBegun = :run, knownSince = if_not_exists(knownSince, :now)")
            .expression_attribute_values(":run", attribute(run)?)
            .expression_attribute_values(":now", attribute(&run.at)?)
            .return_values(ReturnValue::AllNew)
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error))?;
        from_item(output.attributes.unwrap_or_default())
    }

    /// Notes that a run has ended, and what it did.
    pub async fn end_poll(&self, schedule: Schedule, run: &EndedRun) -> Result<()> {
        let Schedule { shard, of } = schedule;
        self.client()
            .update_item()
            .table_name(self.name(Table::Control)?)
            .set_key(Some(key(PARTITION, format!("{of}/{shard}"))))
            .update_expression("SET lastEnded = :run")
            // Its beginning is on record.
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":run", attribute(run)?)
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error))?;
        Ok(())
    }

    /// Every schedule that ever ran.
    pub async fn pollers(&self) -> Result<Vec<Poller>> {
        let listing = Listing::of_partition(Table::Control, PARTITION);
        Ok(self.list(listing, MOST_SCHEDULES, None, |_| true).await?.items)
    }
}

fn attribute(value: &impl Serialize) -> Result<AttributeValue> {
    serde_dynamo::to_attribute_value(value).map_err(|error| Error::Malformed(error.to_string()))
}
