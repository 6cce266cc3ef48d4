//! A practice and the tables of its EMR.

use serde_json::json;

use super::{Operator, migrate::outcome_of};
use crate::error::{Error, Result};

impl Operator {
    /// Attaches a practice to its EMR's tables, or says what that would do and needs.
    ///
    /// # Errors
    /// When rights are missing, the EMR isn't there, or the practice isn't registered. Broken off, it is finished by the next run.
    pub async fn attach_practice(&self, practice: &str, bridge: &str, apply: bool) -> Result<()> {
        self.registered(practice).await?;
        if !apply {
            self.bridge(practice, "plan", Some(bridge)).await?;
            println!("Nothing was changed. Run the command again with --apply to attach {practice}.");
            return Ok(());
        }
        self.bridge(practice, "attach", Some(bridge)).await?;
        println!(
            "{practice} is attached by {bridge}. Try both directions with `check-practice {practice} --trial`."
        );
        Ok(())
    }

    /// Compares an attached practice with its EMR, having it repaired or tried out if that is wanted.
    ///
    /// # Errors
    /// When there is anything to be looked at.
    pub async fn check_practice(&self, practice: &str, repair: bool, trial: bool) -> Result<()> {
        self.registered(practice).await?;
        self.bridge(practice, if repair { "repair" } else { "check" }, None).await?;
        if trial {
            self.bridge(practice, "trial", None).await?;
        }
        Ok(())
    }

    /// Takes away what ties a practice to its EMR's tables. Its own tables stay.
    ///
    /// # Errors
    /// When it isn't attached.
    pub async fn detach_practice(&self, practice: &str) -> Result<()> {
        self.registered(practice).await?;
        self.bridge(practice, "detach", None).await
    }

    /// Asks for work on a bridge until it is finished, and prints what is found.
    async fn bridge(&self, practice: &str, work: &str, bridge: Option<&str>) -> Result<()> {
        loop {
            let event = json!({ "bridge": { "practice": practice, "work": work, "bridge": bridge } });
            let outcome = outcome_of(&self.invoker.invoke(&event).await?, practice);
            for found in outcome["found"].as_array().into_iter().flatten() {
                println!("  {}", found.as_str().unwrap_or_default());
            }
            match outcome["status"].as_str() {
                Some("usable") => return Ok(()),
                Some("unfinished") => println!("  … continuing"),
                _ => {
                    let cause = outcome["error"].as_str().unwrap_or("no cause given");
                    return Err(Error::Refused(format!("{practice}: {cause}")));
                }
            }
        }
    }
}
