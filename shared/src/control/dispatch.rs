//! How far each practice's log has been turned into events, and which process may go on with it.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use jiff::Timestamp;
use serde::Deserialize;

use super::{
    Error, Result, Store, Table,
    store::{Item, SERVICE, from_item, key},
};
use crate::domain::{PracticePass, log_progress::LogProgress};

/// The right to move one practice's progress, until `until`. Table Control, `PRACTICE#<PPass>` /
/// `DISPATCH`, in no index: every lease writes it, and an index would be written as often.
#[derive(Clone, Debug)]
pub struct Lease {
    practicepass: PracticePass,
    /// Raised with every lease: what an earlier holder writes late is refused.
    fence: i64,
    /// `None` before the practice's first poll.
    pub progress: Option<LogProgress>,
    /// Progress as it stands in the store.
    pub saved: Option<LogProgress>,
    pub until: Timestamp,
    /// Nothing has been read under this lease yet.
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
    /// The first epoch of its next progress. A practice that was removed may come back with its
    /// log, and no event id is used twice.
    #[serde(default)]
    next_epoch: u32,
    /// Absent: forgotten.
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

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// How far a practice's log has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DispatchState {
    pub practicepass: PracticePass,
    pub progress: LogProgress,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StateRow {
    /// `None` when it was forgotten.
    #[serde(default)]
    practicepass: Option<PracticePass>,
    /// `None` before the practice's first poll has ended.
    #[serde(default)]
    progress: Option<LogProgress>,
}

impl StateRow {
    fn state(self) -> Option<DispatchState> {
        Some(DispatchState { practicepass: self.practicepass?, progress: self.progress? })
    }
}

/// Practices whose states are told together.
pub const MOST_STATES: usize = 1_000;

impl Store {
    /// How far the logs of the first [`MOST_STATES`] practices of the registry have been read,
    /// ordered by `PPass`, or the log of one.
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

    /// How often a practice's log had begun anew, or the practice was removed, as far as the poller
    /// knows.
    pub async fn log_epoch(&self, practicepass: &PracticePass) -> Result<u32> {
        let state: Option<State> = self.get(Table::Control, place(practicepass), true).await?;
        Ok(state.map_or(0, |state| state.epoch()))
    }

    /// Takes the practice for `owner` until `until`; `None` while another holds it.
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
                "attribute_not_exists(leaseUntil) OR leaseUntil <= :now OR leaseOwner = :owner",
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

    /// Writes progress and holds the lease until `until`.
    ///
    /// # Errors
    /// [`Error::ConditionFailed`] when another process has taken the practice.
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
            // For whoever looks at the item.
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

    /// Forgets how far a practice's log was read, whoever holds it: its next event is of a new
    /// epoch. `false`: it was never read.
    ///
    /// # Errors
    /// [`Error::ConditionFailed`] when the poller moved it meanwhile.
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

    /// Gives the practice back, so that the next process needn't wait for the lease to end.
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
