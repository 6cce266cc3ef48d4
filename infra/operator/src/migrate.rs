//! Migrates all databases to the newest schema through the migrate function.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ::migrate::{DatabaseOutcome, MigrateResponse, New, Status, Task};
use shared::control::practices::Practice;
use shared::domain::zones;
use shared::tenant::{self, Collision};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use crate::error::{Error, Result};
use crate::{Operator, refused};

/// Concurrent databases, each in its own invocation: a shared invocation would return only when its
/// slowest database is done.
const AT_ONCE: usize = 10;
/// After this long a database is reported as slow, and another one may start.
const SLOW_AFTER: Duration = Duration::from_secs(15);
/// Limit of concurrent databases including the slow ones.
const MOST_AT_ONCE: usize = 100;

/// The catalog's name in the list of databases.
pub(crate) const CATALOG: &str = "catalog";

/// A report about one database.
#[derive(Debug)]
enum Report {
    /// It takes longer than [`SLOW_AFTER`].
    Slow,
    Done(DatabaseResult),
}

/// The result for one database, or the cause of its failure.
pub(crate) type DatabaseResult = std::result::Result<DatabaseOutcome, String>;

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
        let mut reports = migrate_each(names, SLOW_AFTER, move |task| {
            let invoker = invoker.clone();
            async move { invoker.invoke(&task).await }
        });
        while let Some((database, report)) = reports.recv().await {
            match report {
                Report::Slow => println!("{database}: still running after {} s …", SLOW_AFTER.as_secs()),
                Report::Done(outcome) => progress.note(&database, outcome),
            }
        }
        progress.end()
    }

    /// Creates the schema of a practice that isn't registered yet.
    pub(crate) async fn make_schema(&self, practice: &str, time_zone: &str, secret: &str) -> Result<()> {
        println!("Creating the schema of {practice} …");
        let new =
            New { practice: practice.to_owned(), time_zone: time_zone.to_owned(), secret: secret.to_owned() };
        let task = Task { make: Some(new), ..Task::default() };
        let outcome = outcome_of(self.invoker.invoke(&task).await?, practice);
        let outcome = outcome.and_then(|it| require(it, &[Status::Migrated]));
        outcome.map(|_| ()).map_err(|cause| Error::Refused(format!("{practice}: {cause}")))
    }

    /// Migrates one practice's database.
    pub(crate) async fn migrate_one(&self, practice: &str) -> Result<()> {
        println!("Migrating {practice} …");
        let response = self.invoker.invoke(&of_practice(practice)).await?;
        let mut progress = Progress { total: 1, ..Progress::default() };
        progress.note(practice, outcome_of(response, practice));
        progress.end()
    }
}

/// Migrates the catalog and these practices, several at a time.
///
/// Sends each outcome as soon as it is known, and [`Report::Slow`] for one that takes longer than
/// `slow_after`.
fn migrate_each<I, F>(
    practices: Vec<String>,
    slow_after: Duration,
    invoke: I,
) -> mpsc::UnboundedReceiver<(String, Report)>
where
    I: Fn(Task) -> F + Send + 'static,
    F: Future<Output = Result<MigrateResponse>> + Send + 'static,
{
    let (reports, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let (turns, all) = (Arc::new(Semaphore::new(AT_ONCE)), Arc::new(Semaphore::new(MOST_AT_ONCE)));
        let catalog = Task { catalog: true, ..Task::default() };
        let practices = practices.into_iter().map(|practice| {
            let task = of_practice(&practice);
            (practice, task)
        });
        for (database, task) in std::iter::once((CATALOG.to_owned(), catalog)).chain(practices) {
            // The semaphores are never closed.
            let (Ok(place), Ok(turn)) =
                (all.clone().acquire_owned().await, turns.clone().acquire_owned().await)
            else {
                return;
            };
            let (answer, reports) = (invoke(task), reports.clone());
            tokio::spawn(async move {
                let mut answer = pin!(answer);
                let answer = if let Ok(answer) = timeout(slow_after, &mut answer).await {
                    answer
                } else {
                    // The receiver may have been dropped.
                    let _ = reports.send((database.clone(), Report::Slow));
                    drop(turn);
                    answer.await
                };
                let outcome = match answer {
                    Ok(response) => outcome_of(response, &database),
                    Err(error) => Err(error.to_string()),
                };
                let _ = reports.send((database, Report::Done(outcome)));
                drop(place);
            });
        }
    });
    receiver
}

/// The task of migrating one practice's database.
fn of_practice(practice: &str) -> Task {
    Task { practices: vec![practice.to_owned()], ..Task::default() }
}

/// Returns what the function's response says about one database.
pub(crate) fn outcome_of(response: MigrateResponse, database: &str) -> DatabaseResult {
    let found = response.results.into_iter().find(|it| it.practice == database).map(|it| it.outcome);
    let found = found.or(response.catalog.filter(|_| database == CATALOG));
    let outcome = found.ok_or("the function's response does not mention it")?;
    if outcome.status == Status::Failed {
        return Err(cause_of(outcome));
    }
    Ok(outcome)
}

/// Returns the outcome if it has one of these states, otherwise the cause that it gives.
pub(crate) fn require(outcome: DatabaseOutcome, states: &[Status]) -> DatabaseResult {
    if states.contains(&outcome.status) { Ok(outcome) } else { Err(cause_of(outcome)) }
}

fn cause_of(outcome: DatabaseOutcome) -> String {
    outcome.error.unwrap_or_else(|| "unknown cause".to_owned())
}

impl Progress {
    fn note(&mut self, database: &str, outcome: DatabaseResult) {
        self.done += 1;
        let (done, total) = (self.done, self.total);
        let outcome = outcome.inspect_err(|_| println!("[{done}/{total}] {database}: {}", Status::Failed));
        let outcome = outcome.and_then(|outcome| {
            // A new stack may be deployed several times before its catalog has a database.
            if (database, outcome.status) == (CATALOG, Status::Unset) {
                println!("[{done}/{total}] {database}: no database yet; set one with set-catalog-dsn");
                return Ok(());
            }
            println!("[{done}/{total}] {database}: {}, version {}", outcome.status, outcome.version);
            print_collisions(database, &outcome.collisions);
            require(outcome, &[Status::Migrated, Status::Current]).map(|_| ())
        });
        if let Err(cause) = outcome {
            self.failed.push((database.to_owned(), cause));
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
pub fn print_collisions(database: &str, collisions: &[Collision]) {
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
    use ::migrate::PracticeOutcome;

    use super::*;

    fn migrated() -> DatabaseOutcome {
        let (collisions, found) = (Vec::new(), Vec::new());
        DatabaseOutcome { status: Status::Migrated, version: 1, error: None, collisions, found }
    }

    /// Prefix of databases that hang until the end of the test.
    const HANGS: &str = "Hangs";

    #[tokio::test]
    async fn a_hanging_database_is_named_and_delays_no_other() {
        let (end, ended) = tokio::sync::watch::channel(());
        let hanging = (0..3 * AT_ONCE).map(|it| format!("{HANGS}{it}"));
        let names: Vec<String> = hanging.chain((0..50).map(|it| format!("North{it}"))).collect();
        let mut reports = migrate_each(names, Duration::from_millis(20), move |task| {
            let mut ended = ended.clone();
            async move {
                let Some(name) = task.practices.first().cloned() else {
                    return Ok(MigrateResponse { catalog: Some(migrated()), ..MigrateResponse::default() });
                };
                assert_eq!(task.practices.len(), 1, "one invocation per database");
                if name.starts_with(HANGS) {
                    let _ = ended.changed().await;
                }
                let outcome = PracticeOutcome { practice: name, outcome: migrated() };
                Ok(MigrateResponse { results: vec![outcome], ..MigrateResponse::default() })
            }
        });
        let (mut slow, mut done) = (Vec::new(), Vec::new());
        while done.len() < 51 {
            let report = timeout(Duration::from_mins(1), reports.recv())
                .await
                .expect("an outcome of each that responds");
            match report.unwrap() {
                (database, Report::Slow) => slow.push(database),
                (database, Report::Done(outcome)) => {
                    assert_eq!(outcome.unwrap().status, Status::Migrated);
                    done.push(database);
                }
            }
        }
        assert!(!done.iter().any(|it| it.starts_with(HANGS)), "{done:?}");
        // The databases behind them start only when these are known to be slow.
        assert_eq!(slow.iter().filter(|it| it.starts_with(HANGS)).count(), 3 * AT_ONCE, "{slow:?}");
        end.send_replace(());
        let mut rest = 0;
        while reports.recv().await.is_some() {
            rest += 1;
        }
        assert_eq!(rest, 3 * AT_ONCE);
    }

    #[tokio::test]
    async fn a_failed_invocation_reports_its_database_as_failed() {
        let mut reports = migrate_each(vec!["North".to_owned()], SLOW_AFTER, |task| async move {
            if !task.practices.is_empty() {
                return Err(Error::Refused("out of time".to_owned()));
            }
            Ok(MigrateResponse::default())
        });
        let mut causes = std::collections::BTreeMap::new();
        while let Some((database, report)) = reports.recv().await {
            let Report::Done(outcome) = report else { panic!() };
            causes.insert(database, outcome.unwrap_err());
        }
        assert_eq!(causes["North"], "out of time");
        assert_eq!(causes[CATALOG], "the function's response does not mention it");
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
            progress.note(database, Ok(DatabaseOutcome { status: Status::Unset, ..migrated() }));
            progress.end().is_ok()
        };
        assert!(end(CATALOG) && !end("North"));
    }
}
