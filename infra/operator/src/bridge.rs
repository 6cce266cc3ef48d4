//! A practice and the tables of its EMR.

use migrate::{BridgeTask, Status, Task, Work};

use crate::error::{Error, Result};
use crate::{
    Operator,
    migrate::{outcome_of, require},
};

impl Operator {
    /// Attaches a practice to its EMR's tables, or shows what that needs and creates.
    ///
    /// # Errors
    /// If privileges or the EMR's tables are missing, or the practice is not registered. The next
    /// run continues an interrupted one.
    pub async fn attach_practice(&self, practice: &str, bridge: &str, apply: bool) -> Result<()> {
        self.registered(practice).await?;
        if !apply {
            self.bridge(practice, Work::Plan, Some(bridge)).await?;
            println!("Nothing was changed. Run the command again with --apply to attach {practice}.");
            return Ok(());
        }
        self.bridge(practice, Work::Attach, Some(bridge)).await?;
        println!(
            "{practice} is attached by {bridge}. Try both directions with `check-practice {practice} \
                --trial`."
        );
        Ok(())
    }

    /// Compares an attached practice with its EMR; on request, repairs it or tries both directions.
    ///
    /// # Errors
    /// If there are findings.
    pub async fn check_practice(&self, practice: &str, repair: bool, trial: bool) -> Result<()> {
        self.registered(practice).await?;
        self.bridge(practice, if repair { Work::Repair } else { Work::Check }, None).await?;
        if trial {
            self.bridge(practice, Work::Trial, None).await?;
        }
        Ok(())
    }

    /// Removes the bridge between a practice and its EMR's tables. The practice's own tables stay.
    ///
    /// # Errors
    /// If it is not attached.
    pub async fn detach_practice(&self, practice: &str) -> Result<()> {
        self.registered(practice).await?;
        self.bridge(practice, Work::Detach, None).await
    }

    /// Returns the bridge that attaches a practice, if any.
    ///
    /// # Errors
    /// If its database does not respond.
    pub(super) async fn bridge_of(&self, practice: &str) -> Result<Option<String>> {
        let task = BridgeTask { practice: practice.to_owned(), work: Work::Name, bridge: None };
        let task = Task { bridge: Some(task), ..Task::default() };
        let outcome = outcome_of(self.invoker.invoke(&task).await?, practice);
        let outcome = outcome.and_then(|it| require(it, &[Status::Usable])).map_err(Error::Refused)?;
        Ok(outcome.found.into_iter().next())
    }

    /// Requests work on a bridge until it is finished, and prints the findings.
    async fn bridge(&self, practice: &str, work: Work, bridge: Option<&str>) -> Result<()> {
        let bridge = bridge.map(str::to_owned);
        let task = BridgeTask { practice: practice.to_owned(), work, bridge };
        let task = Task { bridge: Some(task), ..Task::default() };
        loop {
            let outcome = outcome_of(self.invoker.invoke(&task).await?, practice);
            for found in outcome.iter().flat_map(|it| &it.found) {
                println!("  {found}");
            }
            let outcome = outcome.and_then(|it| require(it, &[Status::Usable, Status::Unfinished]));
            let outcome = outcome.map_err(|cause| Error::Refused(format!("{practice}: {cause}")))?;
            if outcome.status == Status::Usable {
                return Ok(());
            }
            println!("  … continuing");
        }
    }
}
