//! Brings databases to the newest schema: those of the practices that it is told, and the catalog.
//! Operators' commands invoke it, for it is where the databases can be reached from.

mod bridge;
mod database;
mod examine;
mod newcomer;
mod outcome;
mod pending;

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

/// Databases at once; each has one connection.
const AT_ONCE: usize = 5;
/// Longest time for one database.
const LIMIT: SignedDuration = SignedDuration::from_mins(10);
/// Longest time for trying a connection string, whatever its server does: somebody waits for the
/// word.
const CHECK_LIMIT: SignedDuration = SignedDuration::from_secs(10);
/// The answer must be given before Lambda ends the process.
const BEFORE_TIMEOUT: SignedDuration = SignedDuration::from_secs(5);

/// What is asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Task {
    pub practices: Vec<String>,
    pub catalog: bool,
    /// Try the connection strings that were put beside the secrets' own (`AWSPENDING`) instead;
    /// nothing is noted of it.
    pub pending: bool,
    /// What is tried may be an empty database in the place of one that isn't.
    pub new: bool,
    /// Try a connection string, and change nothing.
    pub check: Option<Check>,
    /// Make the schema of a practice that isn't registered yet.
    pub make: Option<New>,
    /// Ask a practice's database what it knows, after a restore.
    pub examine: Option<ExamineRequest>,
    /// Tie a practice's tables to those of its EMR, or look after that.
    pub bridge: Option<BridgeTask>,
}

/// Work on what ties a practice to its EMR.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BridgeTask {
    pub practice: String,
    pub work: Work,
    /// The bridge's name; `None`: the one by which the practice is attached.
    pub bridge: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Work {
    /// Say what attaching would need and do.
    Plan,
    Attach,
    /// Say what differs from the EMR.
    Check,
    /// Make the bridge and the rows that differ anew.
    Repair,
    /// Write in both directions, and take it back.
    Trial,
    Detach,
}

/// A connection string to be tried.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// The practice whose database it is to open; without one, the catalog is meant.
    pub practice: Option<String>,
    /// `None` tests the stored connection string.
    pub dsn: Option<Secret>,
}

/// A practice that isn't registered yet.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct New {
    pub practice: String,
    /// IANA name.
    pub time_zone: String,
    /// Name of the secret that holds its connection string.
    pub secret: String,
}

/// A text that is never printed.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("…")
    }
}

/// The results of a migration.
#[derive(Debug, Serialize, Deserialize)]
pub struct MigrateResponse {
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

/// Does the task; what fails for one database fails for no other.
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
    if let Some(question) = &task.examine {
        let work = async {
            examined = Some(examine::answer(app, question).await?);
            Ok(Status::Usable.into())
        };
        let done = in_time(app, deadline, Box::pin(work)).await;
        let practice = question.practicepass.to_string();
        results.push(PracticeOutcome {
            practice,
            outcome: DatabaseOutcome::of(done, tenant::migrate::newest()),
        });
    }
    MigrateResponse { results, catalog, examined }
}

fn log(database: &str, outcome: &DatabaseOutcome) {
    // What was asked for could be anything.
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
        Err(format!("not done within {seconds} s, it hung while {step}; what was begun is rolled back"))
    })
}
