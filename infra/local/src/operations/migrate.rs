//! Bringing all databases to the newest schema, by the migrate function.

use serde_json::{Value, json};
use shared::control::practices::Practice;
use shared::domain::zones;
use shared::tenant::{self, Collision};
use tokio::task::JoinSet;

use super::{Operator, refused};
use crate::error::{Error, Result};

/// Practices of one invocation, which answers when the last of them is done.
const BATCH: usize = 5;
/// Invocations at once.
const AT_ONCE: usize = 4;

/// Its name among the databases.
pub(super) const CATALOG: &str = "catalog";

/// What is done and what failed so far.
#[derive(Default)]
struct Progress {
    done: usize,
    total: usize,
    failed: Vec<(String, String)>,
    /// So many practices may fail.
    tolerated: usize,
}

impl Operator {
    /// Migrates the catalog and all practices that the registry doesn't know to be at the newest version, or all. Can be
    /// broken off and run again at any time.
    ///
    /// # Errors
    /// When the catalog or more practices failed than are tolerated, after all had their turn.
    pub async fn migrate(&self, all: bool, tolerated: usize) -> Result<()> {
        let practices = self.control.practices().await.map_err(|error| refused(&error))?;
        let (newest, tzdata) = (tenant::migrate::newest(), zones::version());
        let waits = |it: &&Practice| all || !it.is_current(newest, tzdata);
        let names: Vec<String> =
            practices.iter().filter(waits).map(|it| it.practicepass.to_string()).collect();
        let skipped = practices.len() - names.len();
        if skipped > 0 {
            println!(
                "{skipped} practices are at version {newest} and time-zone rules {tzdata}, or newer, already (--all asks them \
                 too)."
            );
        }
        println!("Migrating the catalog and {} practices …", names.len());
        let mut progress = Progress { total: names.len() + 1, tolerated, ..Progress::default() };
        let catalog = (vec![CATALOG.to_owned()], json!({ "catalog": true }));
        let batches = names.chunks(BATCH).map(|batch| (batch.to_vec(), json!({ "practices": batch })));
        let mut running = JoinSet::new();
        for (batch, event) in std::iter::once(catalog).chain(batches) {
            if running.len() == AT_ONCE
                && let Some(Ok(ended)) = running.join_next().await
            {
                progress.take(ended);
            }
            let invoker = self.invoker.clone();
            running.spawn(async move { (batch, invoker.invoke(&event).await) });
        }
        while let Some(ended) = running.join_next().await {
            // An invocation that panicked leaves its databases without a turn, which the end tells.
            if let Ok(ended) = ended {
                progress.take(ended);
            }
        }
        progress.end()
    }

    /// Makes the schema of a practice that isn't registered yet.
    pub(super) async fn make_schema(&self, practice: &str, time_zone: &str, secret: &str) -> Result<()> {
        println!("Making the schema of {practice} …");
        let event = json!({ "make": { "practice": practice, "timeZone": time_zone, "secret": secret } });
        let outcome = outcome_of(&self.invoker.invoke(&event).await?, practice);
        if outcome["status"] == "migrated" {
            return Ok(());
        }
        let cause = outcome["error"].as_str().unwrap_or("no cause given");
        Err(Error::Refused(format!("{practice}: {cause}")))
    }

    /// Migrates one practice's database.
    pub(super) async fn migrate_one(&self, practice: &str) -> Result<()> {
        println!("Migrating {practice} …");
        let answer = self.invoker.invoke(&json!({ "practices": [practice] })).await?;
        let mut progress = Progress { total: 1, ..Progress::default() };
        progress.note(practice, &outcome_of(&answer, practice));
        progress.end()
    }
}

/// What the function answered for one database.
pub(super) fn outcome_of(answer: &Value, database: &str) -> Value {
    let results = answer["results"].as_array().into_iter().flatten();
    let found = results.into_iter().find(|it| it["practice"] == database).cloned();
    let found = if database == CATALOG { found.or_else(|| answer.get("catalog").cloned()) } else { found };
    found.unwrap_or_else(|| json!({ "status": "failed", "error": "the function said nothing of it" }))
}

impl Progress {
    /// Takes what an invocation for a batch of databases answered.
    fn take(&mut self, (batch, answer): (Vec<String>, Result<Value>)) {
        for database in batch {
            let outcome = match &answer {
                Ok(answer) => outcome_of(answer, &database),
                Err(error) => json!({ "status": "failed", "error": error.to_string() }),
            };
            self.note(&database, &outcome);
        }
    }

    fn note(&mut self, database: &str, outcome: &Value) {
        self.done += 1;
        let status = outcome["status"].as_str().unwrap_or("failed");
        // A new stack is deployed again before it has one.
        if (database, status) == (CATALOG, "unset") {
            println!(
                "[{}/{}] {database}: no database yet; set-catalog-dsn gives it one",
                self.done, self.total
            );
            return;
        }
        println!(
            "[{}/{}] {database}: {status}{}",
            self.done,
            self.total,
            match &outcome["version"] {
                Value::Number(version) if status != "failed" => format!(", version {version}"),
                _ => String::new(),
            }
        );
        let collisions: Vec<Collision> =
            serde_json::from_value(outcome["collisions"].clone()).unwrap_or_default();
        print_collisions(database, &collisions);
        if !matches!(status, "migrated" | "current") {
            let cause = outcome["error"].as_str().unwrap_or("no cause given");
            self.failed.push((database.to_owned(), cause.to_owned()));
        }
    }

    fn end(self) -> Result<()> {
        let good = self.done - self.failed.len();
        println!("{good} of {} databases are up to date.", self.total);
        if self.done < self.total {
            return Err(Error::Refused("not every database had its turn; run it again".to_owned()));
        }
        if self.failed.is_empty() {
            return Ok(());
        }
        let lines = self.failed.iter().map(|(database, cause)| format!("\n  {database}: {cause}"));
        let list: String = lines.collect();
        let report = format!("{} failed; mend them and run it again:{list}", self.failed.len());
        // All practices need the catalog.
        if self.failed.len() <= self.tolerated && self.failed.iter().all(|(it, _)| it != CATALOG) {
            println!("{report}\nNo more failed than the {} that are tolerated.", self.tolerated);
            return Ok(());
        }
        Err(Error::Refused(report))
    }
}

/// Lists the visits that new time-zone rules, or a corrected time zone, put on others.
pub(crate) fn print_collisions(database: &str, collisions: &[Collision]) {
    for Collision { visit, with } in collisions {
        let with: Vec<String> = with.iter().map(ToString::to_string).collect();
        println!(
            "  {database}: visit {visit} now overlaps {}; the practice has to move one",
            with.join(", ")
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_practices_as_are_tolerated_may_fail_but_never_the_catalog() {
        let end = |failed: &[&str], tolerated: usize| {
            let failed: Vec<_> = failed.iter().map(|it| ((*it).to_owned(), "down".to_owned())).collect();
            Progress { done: 3, total: 3, failed, tolerated }.end().is_ok()
        };
        assert!(end(&[], 0) && end(&["North"], 1) && end(&["North"], 2));
        assert!(!end(&["North"], 0) && !end(&["North", "South"], 1) && !end(&[CATALOG], 3));
        assert!(Progress { done: 2, total: 3, tolerated: 3, ..Progress::default() }.end().is_err());
    }

    #[test]
    fn a_catalog_that_a_new_stack_has_no_database_for_yet_is_no_failure_and_a_practice_without_one_is() {
        let end = |database: &str| {
            let mut progress = Progress { total: 1, ..Progress::default() };
            progress.note(database, &json!({ "status": "unset", "version": 1 }));
            progress.end().is_ok()
        };
        assert!(end(CATALOG) && !end("North"));
    }
}
