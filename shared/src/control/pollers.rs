//! The last runs of each schedule of the log poller, for monitoring.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Error, Result, Store, Table,
    listing::Listing,
    store::{SERVICE, from_item, key},
};
use crate::domain::{PracticeFault, PracticePass};

/// The partition of all schedules, including removed ones; sort keys are `<of>/<shard>`.
const PARTITION: &str = "POLLERS";
/// The most schedules to read; no deployment has as many.
const MOST_SCHEDULES: usize = 100;
/// The most failing practices that a run lists.
pub const MOST_NAMED: usize = 50;

/// One of `of` schedules that share the practices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    pub shard: u32,
    pub of: u32,
}

/// A schedule and its last runs. Table Control, `POLLERS` / `<of>/<shard>`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Poller {
    /// When the schedule's first run started.
    pub known_since: Timestamp,
    pub last_begun: BegunRun,
    /// `None` until its first run has ended.
    #[serde(default)]
    pub last_ended: Option<EndedRun>,
}

/// The start of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BegunRun {
    pub schedule: Schedule,
    pub at: Timestamp,
    /// The state of the catalog; `None` if this run did not check it.
    #[serde(default)]
    pub catalog: Option<CatalogState>,
}

/// The result of opening the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CatalogState {
    /// The catalog was opened and has this migration.
    Version(i64),
    Fault(PracticeFault),
}

/// The results of a run that ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndedRun {
    pub at: Timestamp,
    /// The number of practices that it polled.
    pub practices: u64,
    /// Those of them whose last poll failed, by reason.
    pub faults: Vec<FaultCount>,
    /// Up to [`MOST_NAMED`] of them, longest failing first.
    pub failing: Vec<FailingPractice>,
}

/// The number of practices that fail for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FaultCount {
    pub fault: PracticeFault,
    pub practices: u64,
}

/// A practice whose log cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailingPractice {
    pub practicepass: PracticePass,
    pub fault: PracticeFault,
    /// The time since which every poll has failed.
    pub since: Timestamp,
}

impl Store {
    /// Records that a run has started; returns the schedule with the results of its previous run.
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

    /// Records the results of a run that has ended.
    pub async fn end_poll(&self, schedule: Schedule, run: &EndedRun) -> Result<()> {
        let Schedule { shard, of } = schedule;
        self.client()
            .update_item()
            .table_name(self.name(Table::Control)?)
            .set_key(Some(key(PARTITION, format!("{of}/{shard}"))))
            .update_expression("SET lastEnded = :run")
            // The start of the run was recorded before.
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":run", attribute(run)?)
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error))?;
        Ok(())
    }

    /// Returns every schedule that ever ran.
    pub async fn pollers(&self) -> Result<Vec<Poller>> {
        let listing = Listing::of_partition(Table::Control, PARTITION);
        Ok(self.list(listing, MOST_SCHEDULES, None, |_| true).await?.items)
    }
}

fn attribute(value: &impl Serialize) -> Result<AttributeValue> {
    serde_dynamo::to_attribute_value(value).map_err(|error| Error::Malformed(error.to_string()))
}
