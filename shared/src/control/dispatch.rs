//! The progress of each practice's log, and the lease that lets one process advance it.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::{
    Error, Result, Store, Table,
    attribute::number,
    store::{Item, SERVICE, from_item, key},
};
use crate::domain::{PracticePass, log_progress::LogProgress};

/// The right to advance one practice's progress, until `until`.
///
/// Table Control, `PRACTICE#<PPass>` / `DISPATCH`. No index: every lease writes the item, and would
/// write the index as often.
#[derive(Clone, Debug)]
pub struct Lease {
    practicepass: PracticePass,
    /// Increased with every lease: late writes of an earlier holder are rejected.
    fence: i64,
    /// `None` before the practice's first poll.
    pub progress: Option<LogProgress>,
    /// The stored progress.
    pub saved: Option<LogProgress>,
    pub until: Timestamp,
    /// Whether nothing has been read under this lease.
    pub is_new: bool,
}

impl Lease {
    pub fn practicepass(&self) -> &PracticePass {
        &self.practicepass
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct State {
    fence: i64,
    #[serde(default)]
    progress: Option<LogProgress>,
    /// The first epoch after the stored progress was removed.
    ///
    /// A practice can be removed and added again with its log, and no event id is used twice.
    #[serde(default)]
    next_epoch: u32,
    /// `None` if the progress was removed.
    #[serde(default)]
    practicepass: Option<PracticePass>,
}

impl State {
    fn epoch(&self) -> u32 {
        self.progress.as_ref().map_or(self.next_epoch, |progress| progress.epoch)
    }
}

fn place(practicepass: &PracticePass) -> Item {
    key(format!("PRACTICE#{practicepass}"), "DISPATCH")
}

/// The longest lease. A later end is from a clock that was ahead.
const LONGEST_LEASE: SignedDuration = SignedDuration::from_hours(1);

/// How far a practice's log has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DispatchState {
    pub practicepass: PracticePass,
    pub progress: LogProgress,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StateRow {
    /// `None` if the progress was removed.
    #[serde(default)]
    practicepass: Option<PracticePass>,
    /// `None` until the practice's first poll has ended.
    #[serde(default)]
    progress: Option<LogProgress>,
}

impl StateRow {
    fn state(self) -> Option<DispatchState> {
        Some(DispatchState { practicepass: self.practicepass?, progress: self.progress? })
    }
}

/// The maximum number of states in one list.
pub const MOST_STATES: usize = 1_000;

impl Store {
    /// Returns the progress of one log, or of the first [`MOST_STATES`] practices, by `PPass`.
    pub async fn dispatch_states(&self, practicepass: Option<&PracticePass>) -> Result<Vec<DispatchState>> {
        let rows: Vec<StateRow> = if let Some(practicepass) = practicepass {
            self.get(Table::Control, place(practicepass), false).await?.into_iter().collect()
        } else {
            let practices = self.first_practices(MOST_STATES).await?;
            self.get_all(Table::Control, practices.iter().map(place).collect()).await?
        };
        let mut states: Vec<DispatchState> = rows.into_iter().filter_map(StateRow::state).collect();
        states.sort_by(|one, other| one.practicepass.as_str().cmp(other.practicepass.as_str()));
        Ok(states)
    }

    /// Returns a log's epoch: how often it started over or its practice was removed.
    ///
    /// The poller may not have noticed the last time yet.
    pub async fn log_epoch(&self, practicepass: &PracticePass) -> Result<u32> {
        let state: Option<State> = self.get(Table::Control, place(practicepass), true).await?;
        Ok(state.map_or(0, |state| state.epoch()))
    }

    /// Leases the practice to `owner` until `until`; `None` while another process holds it.
    pub async fn take_lease(
        &self,
        practicepass: &PracticePass,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Lease>> {
        let taken = self
            .client()
            .update_item()
            .table_name(self.name(Table::Control)?)
            .set_key(Some(place(practicepass)))
            .update_expression(
                "SET leaseOwner = :owner, leaseUntil = :until, practicepass = :practice ADD fence :one",
            )
            .condition_expression(
                "attribute_not_exists(leaseUntil) OR leaseUntil <= :now OR leaseUntil > :longest OR \
                    leaseOwner = :owner",
            )
            .expression_attribute_values(
                ":longest",
                number(now.as_millisecond().saturating_add(LONGEST_LEASE.as_secs() * 1000)),
            )
            .expression_attribute_values(":owner", AttributeValue::S(owner.to_owned()))
            .expression_attribute_values(":practice", AttributeValue::S(practicepass.to_string()))
            .expression_attribute_values(":until", number(until.as_millisecond()))
            .expression_attribute_values(":now", number(now.as_millisecond()))
            .expression_attribute_values(":one", number(1))
            .return_values(ReturnValue::AllNew)
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error));
        let attributes = match taken {
            Ok(output) => output.attributes.unwrap_or_default(),
            Err(Error::ConditionFailed) => return Ok(None),
            Err(error) => return Err(error),
        };
        let State { fence, progress, .. } = from_item(attributes)?;
        let saved = progress.clone();
        Ok(Some(Lease { practicepass: practicepass.clone(), fence, progress, saved, until, is_new: true }))
    }

    /// Writes progress and extends the lease until `until`.
    ///
    /// # Errors
    /// [`Error::ConditionFailed`] if another process has leased the practice.
    pub async fn save_progress(
        &self,
        lease: &mut Lease,
        progress: LogProgress,
        until: Timestamp,
    ) -> Result<()> {
        let written: AttributeValue = serde_dynamo::to_attribute_value(&progress)
            .map_err(|error| Error::Malformed(error.to_string()))?;
        self.client()
            .update_item()
            .table_name(self.name(Table::Control)?)
            .set_key(Some(place(&lease.practicepass)))
            .update_expression("SET progress = :progress, lastLogId = :last, leaseUntil = :until")
            .condition_expression("fence = :fence")
            .expression_attribute_values(":progress", written)
            // For people who inspect the item.
            .expression_attribute_values(":last", number(progress.position().0))
            .expression_attribute_values(":until", number(until.as_millisecond()))
            .expression_attribute_values(":fence", number(lease.fence))
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error))?;
        lease.saved = Some(progress.clone());
        lease.progress = Some(progress);
        lease.until = until;
        Ok(())
    }

    /// Removes a log's progress, despite any lease; `false` if there was none.
    ///
    /// The practice's next event belongs to a new epoch.
    ///
    /// # Errors
    /// [`Error::ConditionFailed`] if the poller leased the practice meanwhile.
    pub async fn forget_dispatch(&self, practicepass: &PracticePass) -> Result<bool> {
        let found: Option<State> = self.get(Table::Control, place(practicepass), true).await?;
        let Some(state) = found.filter(|it| it.practicepass.is_some()) else { return Ok(false) };
        self.client()
            .update_item()
            .table_name(self.name(Table::Control)?)
            .set_key(Some(place(practicepass)))
            .update_expression(
                "SET nextEpoch = :epoch, fence = :next REMOVE progress, lastLogId, leaseOwner, leaseUntil, \
                    practicepass",
            )
            .condition_expression("fence = :fence")
            .expression_attribute_values(":epoch", number(i64::from(state.epoch()) + 1))
            .expression_attribute_values(":next", number(state.fence + 1))
            .expression_attribute_values(":fence", number(state.fence))
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error))?;
        Ok(true)
    }

    /// Releases the lease, so that the next process need not wait for its end.
    pub async fn release(&self, lease: &Lease) -> Result<()> {
        let released = self
            .client()
            .update_item()
            .table_name(self.name(Table::Control)?)
            .set_key(Some(place(&lease.practicepass)))
            .update_expression("REMOVE leaseUntil, leaseOwner")
            .condition_expression("fence = :fence")
            .expression_attribute_values(":fence", number(lease.fence))
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error));
        match released {
            Ok(_) | Err(Error::ConditionFailed) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
