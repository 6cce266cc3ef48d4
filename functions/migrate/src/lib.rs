//! Migrates databases to the newest schema: those of the given practices, and the catalog.
//!
//! Operators' commands invoke this function, because it can reach the databases.

mod bridge;
mod database;
mod examine;
mod newcomer;
mod outcome;
mod pending;
mod program;

use shared::sql;
use std::{fmt, time::Duration};

use futures::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use shared::{
    app::App,
    catalog,
    domain::PracticePass,
    tenant::{
        self,
        reconciliation::{ExamineRequest, Facts},
    },
};

use outcome::Done;
pub use outcome::{DatabaseOutcome, Status};
pub use program::main;

/// The number of databases migrated concurrently, with one connection each.
const AT_ONCE: usize = 5;
/// The time limit for one database.
const LIMIT: SignedDuration = SignedDuration::from_mins(10);
/// The time limit for testing a connection string. It is short, because an operator waits.
const CHECK_LIMIT: SignedDuration = SignedDuration::from_secs(10);
/// The response must be returned this long before Lambda ends the process.
const BEFORE_TIMEOUT: SignedDuration = SignedDuration::from_secs(5);

/// The input of the function.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Task {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub practices: Vec<String>,
    #[serde(skip_serializing_if = "is_false")]
    pub catalog: bool,
    /// Test the pending connection strings of the secrets (`AWSPENDING`) instead; record nothing.
    #[serde(skip_serializing_if = "is_false")]
    pub pending: bool,
    /// Allow an empty database to replace one that is not empty.
    #[serde(skip_serializing_if = "is_false")]
    pub new: bool,
    /// Test a connection string without changing anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
    /// Create the schema of a practice that is not yet registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub make: Option<New>,
    /// Examine a practice's database after a restore.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub examine: Option<ExamineRequest>,
    /// Work on the bridge between a practice and its EMR.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridge: Option<BridgeTask>,
}

/// Work on the bridge between a practice and its EMR.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BridgeTask {
    pub practice: String,
    pub work: Work,
    /// The bridge's name; `None` for the one that attaches the practice.
    pub bridge: Option<String>,
}

/// The kinds of work on a bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Work {
    /// Report what attaching requires and does.
    Plan,
    Attach,
    /// Report differences from the EMR.
    Check,
    /// Renew the bridge, and copy the rows that differ again.
    Repair,
    /// Write in both directions, then roll back.
    Trial,
    Detach,
    /// Report which bridge attaches the practice.
    Name,
}

/// A connection string to test.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// The practice whose database the string must open; `None` for the catalog.
    pub practice: Option<String>,
    /// `None` tests the stored connection string.
    pub dsn: Option<Secret>,
}

/// A practice that is not yet registered.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct New {
    pub practice: String,
    /// The IANA name of the time zone.
    pub time_zone: String,
    /// The name of the secret with its connection string.
    pub secret: String,
}

/// A text that is never printed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("…")
    }
}

/// The response of the function.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct MigrateResponse {
    #[serde(default)]
    pub results: Vec<PracticeOutcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catalog: Option<DatabaseOutcome>,
    /// The facts that a practice's database reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub examined: Option<Facts>,
}

/// The result for a practice's database.
#[derive(Debug, Serialize, Deserialize)]
pub struct PracticeOutcome {
    pub practice: String,
    #[serde(flatten)]
    pub outcome: DatabaseOutcome,
}

/// Performs the task. A failure of one database does not affect the others.
pub async fn run(app: &App, task: Task, deadline: Timestamp) -> MigrateResponse {
    let catalog = async {
        if !task.catalog {
            return None;
        }
        let work = async {
            if task.pending { pending::catalog(app, task.new).await } else { database::catalog(app).await }
        };
        let done = in_time(app, deadline, Box::pin(work)).await;
        Some(DatabaseOutcome::of(done, catalog::migrate::newest()))
    };
    let practices = stream::iter(task.practices)
        .map(|practice| async {
            let work = async {
                if task.pending {
                    pending::practice(app, &practice, task.new).await
                } else {
                    database::practice(app, &practice).await
                }
            };
            let done = in_time(app, deadline, Box::pin(work)).await;
            let outcome = DatabaseOutcome::of(done, tenant::migrate::newest());
            log(&practice, &outcome);
            PracticeOutcome { practice, outcome }
        })
        .buffered(AT_ONCE)
        .collect();
    let (mut results, mut catalog): (Vec<PracticeOutcome>, _) = tokio::join!(practices, catalog);
    if let Some(new) = &task.make {
        let done = in_time(app, deadline, Box::pin(newcomer::make(app, new))).await;
        let (practice, outcome) =
            (new.practice.clone(), DatabaseOutcome::of(done, tenant::migrate::newest()));
        log(&practice, &outcome);
        results.push(PracticeOutcome { practice, outcome });
    }
    if let Some(check) = &task.check {
        let done = limited(app, deadline, CHECK_LIMIT, Box::pin(newcomer::check(app, check))).await;
        match &check.practice {
            Some(practice) => {
                let outcome = DatabaseOutcome::of(done, tenant::migrate::newest());
                results.push(PracticeOutcome { practice: practice.clone(), outcome });
            }
            None => catalog = Some(DatabaseOutcome::of(done, catalog::migrate::newest())),
        }
    }
    if let Some(outcome) = &catalog {
        log("catalog", outcome);
    }
    if let Some(task) = &task.bridge {
        let done = in_time(app, deadline, Box::pin(bridge::run(app, task, deadline))).await;
        let (practice, outcome) =
            (task.practice.clone(), DatabaseOutcome::of(done, tenant::migrate::newest()));
        log(&practice, &outcome);
        results.push(PracticeOutcome { practice, outcome });
    }
    let mut examined = None;
    if let Some(request) = &task.examine {
        let work = async {
            examined = Some(examine::answer(app, request).await?);
            Ok(Status::Usable.into())
        };
        let done = in_time(app, deadline, Box::pin(work)).await;
        let practice = request.practicepass.to_string();
        results.push(PracticeOutcome {
            practice,
            outcome: DatabaseOutcome::of(done, tenant::migrate::newest()),
        });
    }
    MigrateResponse { results, catalog, examined }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde requires")]
fn is_false(value: &bool) -> bool {
    !value
}

fn log(database: &str, outcome: &DatabaseOutcome) {
    // Do not log arbitrary input.
    let database = PracticePass::try_from(database).map_or("?", |_| database);
    if let Some(error) = &outcome.error {
        tracing::error!(database, %error, "not migrated");
    } else {
        tracing::info!(
            database,
            status = ?outcome.status,
            version = outcome.version,
            collisions = outcome.collisions.len(),
            "done"
        );
    }
}

async fn in_time(
    app: &App,
    deadline: Timestamp,
    work: impl Future<Output = Result<Done, String>>,
) -> Result<Done, String> {
    limited(app, deadline, LIMIT, work).await
}

async fn limited(
    app: &App,
    deadline: Timestamp,
    limit: SignedDuration,
    work: impl Future<Output = Result<Done, String>>,
) -> Result<Done, String> {
    let left = deadline.duration_since(app.clock.now()) - BEFORE_TIMEOUT;
    let limit = Duration::try_from(left.min(limit)).unwrap_or_default();
    let done = sql::step::within(limit, work).await;
    done.unwrap_or_else(|step| {
        let seconds = limit.as_secs();
        Err(format!("not done within {seconds} s: it hung while {step}; open transactions are rolled back"))
    })
}
