//! Migrates all databases to the newest schema through the migrate function.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use shared::control::practices::Practice;
use shared::domain::zones;
use shared::tenant::{self, Collision};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use super::{Operator, refused};
use crate::error::{Error, Result};

/// Concurrent databases, each in its own invocation: a shared invocation would return only when its
/// slowest database is done.
const AT_ONCE: usize = 10;
/// After this long a database is reported as slow, and another one may start.
const PATIENCE: Duration = Duration::from_secs(15);
/// Limit of concurrent databases including the slow ones.
const MOST_AT_ONCE: usize = 100;

/// The catalog's name in the list of databases.
pub(super) const CATALOG: &str = "catalog";

/// A report about one database.
#[derive(Debug, PartialEq)]
enum Word {
    /// It takes longer than [`PATIENCE`].
    Slow,
    DatabaseOutcome(Value),
}

/// What is done and what failed so far.
#[derive(Default)]
struct Progress {
    done: usize,
    total: usize,
    failed: Vec<(String, String)>,
    /// How many practices may fail.
    tolerated: usize,
}

impl Operator {
    /// Migrates the catalog and every practice not recorded at the newest version, or all
    /// practices.
    ///
    /// Can be interrupted and run again at any time.
    ///
    /// # Errors
    /// If the catalog failed, or more practices than tolerated, after every database was tried.
    pub async fn migrate(&self, all: bool, tolerated: usize) -> Result<()> {
        let practices = self.control.practices().await.map_err(|error| refused(&error))?;
        let (newest, tzdata) = (tenant::migrate::newest(), zones::version());
        let waits = |it: &&Practice| all || !it.is_current(newest, tzdata);
        let names: Vec<String> =
            practices.iter().filter(waits).map(|it| it.practicepass.to_string()).collect();
        let skipped = practices.len() - names.len();
        if skipped > 0 {
            println!(
                "{skipped} practices are at version {newest} and time-zone rules {tzdata}, or newer, already \
                    (--all includes them)."
            );
        }
        println!("Migrating the catalog and {} practices …", names.len());
        let mut progress = Progress { total: names.len() + 1, tolerated, ..Progress::default() };
        let invoker = self.invoker.clone();
        let mut words = migrate_each(names, PATIENCE, move |event| {
            let invoker = invoker.clone();
            async move { invoker.invoke(&event).await }
        });
        while let Some((database, word)) = words.recv().await {
            match word {
                Word::Slow => println!("{database}: still running after {} s …", PATIENCE.as_secs()),
                Word::DatabaseOutcome(outcome) => progress.note(&database, &outcome),
            }
        }
        progress.end()
    }

    /// Creates the schema of a practice that isn't registered yet.
    pub(super) async fn make_schema(&self, practice: &str, time_zone: &str, secret: &str) -> Result<()> {
        println!("Creating the schema of {practice} …");
        let event = json!({ "make": { "practice": practice, "timeZone": time_zone, "secret": secret } });
        let outcome = outcome_of(&self.invoker.invoke(&event).await?, practice);
        if outcome["status"] == "migrated" {
            return Ok(());
        }
        let cause = outcome["error"].as_str().unwrap_or("unknown cause");
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

/// Migrates the catalog and these practices, several at a time.
///
/// Sends each outcome as soon as it is known, and [`Word::Slow`] for one that takes longer than
/// `patience`.
fn migrate_each<I, F>(
    practices: Vec<String>,
    patience: Duration,
    invoke: I,
) -> mpsc::UnboundedReceiver<(String, Word)>
where
    I: Fn(Value) -> F + Send + 'static,
    F: Future<Output = Result<Value>> + Send + 'static,
{
    let (words, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let (turns, all) = (Arc::new(Semaphore::new(AT_ONCE)), Arc::new(Semaphore::new(MOST_AT_ONCE)));
        let catalog = std::iter::once((CATALOG.to_owned(), json!({ "catalog": true })));
        let practices = practices.into_iter().map(|practice| {
            let event = json!({ "practices": [practice] });
            (practice, event)
        });
        for (database, event) in catalog.chain(practices) {
            // The semaphores are never closed.
            let (Ok(place), Ok(turn)) =
                (all.clone().acquire_owned().await, turns.clone().acquire_owned().await)
            else {
                return;
            };
            let (answer, words) = (invoke(event), words.clone());
            tokio::spawn(async move {
                let mut answer = pin!(answer);
                let answer = if let Ok(answer) = timeout(patience, &mut answer).await {
                    answer
                } else {
                    // The receiver may have been dropped.
                    let _ = words.send((database.clone(), Word::Slow));
                    drop(turn);
                    answer.await
                };
                let outcome = match answer {
                    Ok(answer) => outcome_of(&answer, &database),
                    Err(error) => json!({ "status": "failed", "error": error.to_string() }),
                };
                let _ = words.send((database, Word::DatabaseOutcome(outcome)));
                drop(place);
            });
        }
    });
    told
}

/// Returns what the function's response says about one database.
pub(super) fn outcome_of(answer: &Value, database: &str) -> Value {
    let results = answer["results"].as_array().into_iter().flatten();
    let found = results.into_iter().find(|it| it["practice"] == database).cloned();
    let found = if database == CATALOG { found.or_else(|| answer.get("catalog").cloned()) } else { found };
    found.unwrap_or_else(
        || json!({ "status": "failed", "error": "the function's response does not mention it" }),
    )
}

impl Progress {
    fn note(&mut self, database: &str, outcome: &Value) {
        self.done += 1;
        let status = outcome["status"].as_str().unwrap_or("failed");
        // A new stack may be deployed several times before its catalog has a database.
        if (database, status) == (CATALOG, "unset") {
            println!(
                "[{}/{}] {database}: no database yet; set one with set-catalog-dsn",
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
            let cause = outcome["error"].as_str().unwrap_or("unknown cause");
            self.failed.push((database.to_owned(), cause.to_owned()));
        }
    }

    fn end(self) -> Result<()> {
        let good = self.done - self.failed.len();
        println!("{good} of {} databases are up to date.", self.total);
        if self.done < self.total {
            return Err(Error::Refused("not every database was tried; run the command again".to_owned()));
        }
        if self.failed.is_empty() {
            return Ok(());
        }
        let lines = self.failed.iter().map(|(database, cause)| format!("\n  {database}: {cause}"));
        let list: String = lines.collect();
        let report = format!("{} failed; fix the causes and run the command again:{list}", self.failed.len());
        // Every practice needs the catalog, so its failure is never tolerated.
        if self.failed.len() <= self.tolerated && self.failed.iter().all(|(it, _)| it != CATALOG) {
            println!("{report}\nUp to {} failures are tolerated.", self.tolerated);
            return Ok(());
        }
        Err(Error::Refused(report))
    }
}

/// Prints the visits that overlap after a change of time-zone rules or of a time zone.
pub(crate) fn print_collisions(database: &str, collisions: &[Collision]) {
    for Collision { visit, with } in collisions {
        let with: Vec<String> = with.iter().map(ToString::to_string).collect();
        println!(
            "  {database}: visit {visit} now overlaps {}; the practice must move one of them",
            with.join(", ")
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Prefix of databases that hang until the end of the test.
    const HANGS: &str = "Hangs";

    #[tokio::test]
    async fn a_hanging_database_is_named_and_delays_no_other() {
        let (end, ended) = tokio::sync::watch::channel(());
        let hanging = (0..3 * AT_ONCE).map(|it| format!("{HANGS}{it}"));
        let names: Vec<String> = hanging.chain((0..50).map(|it| format!("North{it}"))).collect();
        let mut words = migrate_each(names, Duration::from_millis(20), move |event| {
            let mut ended = ended.clone();
            async move {
                let Some(name) = event["practices"][0].as_str().map(str::to_owned) else {
                    return Ok(json!({ "results": [], "catalog": { "status": "migrated" } }));
                };
                assert_eq!(
                    event["practices"].as_array().map(Vec::len),
                    Some(1),
                    "one invocation per database"
                );
                if name.starts_with(HANGS) {
                    let _ = ended.changed().await;
                }
                Ok(json!({ "results": [{ "practice": name, "status": "migrated" }] }))
            }
        });
        let (mut slow, mut done) = (Vec::new(), Vec::new());
        while done.len() < 51 {
            let word = timeout(Duration::from_mins(1), words.recv())
                .await
                .expect("an outcome of each that responds");
            match word.unwrap() {
                (database, Word::Slow) => slow.push(database),
                (database, Word::DatabaseOutcome(outcome)) => {
                    assert_eq!(outcome["status"], "migrated");
                    done.push(database);
                }
            }
        }
        assert!(!done.iter().any(|it| it.starts_with(HANGS)), "{done:?}");
        // The databases behind them start only when these are known to be slow.
        assert_eq!(slow.iter().filter(|it| it.starts_with(HANGS)).count(), 3 * AT_ONCE, "{slow:?}");
        end.send_replace(());
        let mut rest = 0;
        while words.recv().await.is_some() {
            rest += 1;
        }
        assert_eq!(rest, 3 * AT_ONCE);
    }

    #[tokio::test]
    async fn a_failed_invocation_reports_its_database_as_failed() {
        let mut words = migrate_each(vec!["North".to_owned()], PATIENCE, |event| async move {
            if event["practices"].is_array() {
                return Err(Error::Refused("out of time".to_owned()));
            }
            Ok(json!({ "results": [] }))
        });
        let mut told = std::collections::BTreeMap::new();
        while let Some((database, word)) = words.recv().await {
            let Word::DatabaseOutcome(outcome) = word else { panic!() };
            told.insert(database, outcome["error"].as_str().unwrap().to_owned());
        }
        assert_eq!(told["North"], "out of time");
        assert_eq!(told[CATALOG], "the function's response does not mention it");
    }

    #[test]
    fn only_practices_count_toward_the_tolerated_failures() {
        let end = |failed: &[&str], tolerated: usize| {
            let failed: Vec<_> = failed.iter().map(|it| ((*it).to_owned(), "down".to_owned())).collect();
            Progress { done: 3, total: 3, failed, tolerated }.end().is_ok()
        };
        assert!(end(&[], 0) && end(&["North"], 1) && end(&["North"], 2));
        assert!(!end(&["North"], 0) && !end(&["North", "South"], 1) && !end(&[CATALOG], 3));
        assert!(Progress { done: 2, total: 3, tolerated: 3, ..Progress::default() }.end().is_err());
    }

    #[test]
    fn only_the_catalog_may_have_no_database_on_a_new_stack() {
        let end = |database: &str| {
            let mut progress = Progress { total: 1, ..Progress::default() };
            progress.note(database, &json!({ "status": "unset", "version": 1 }));
            progress.end().is_ok()
        };
        assert!(end(CATALOG) && !end("North"));
    }
}
