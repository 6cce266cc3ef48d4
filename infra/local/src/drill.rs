//! The `restore-drill` command, which exercises a restore end to end.
//!
//! It backs up a practice's database and the control plane at different moments, continues working,
//! loses both, restores them by the runbook's steps and verifies every guarantee. It runs two
//! rounds: one with the database older, one with the control plane older.

mod backup;
mod endpoint;
mod scene;
mod story;
mod verify;

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use officepro_operator::reconcile::report::{Check, Report, Step, Verdict};
use officepro_operator::reconcile::{Moments, Plan};
use shared::tenant::log;
use tokio::time::Instant;

use crate::emit;
use crate::error::{Error, Result};
use crate::practices::failed;
use backup::{ControlBackup, DatabaseBackup, RESTORED_TABLE};
use endpoint::Endpoint;
use scene::{PRACTICE, Scene};
use story::{SILENT, Story};
use verify::Before;

pub use scene::Setting;

/// Pause after a backup, because restore moments have a resolution of one second.
const APART: Duration = Duration::from_millis(1_100);

/// Which of the two backups is older.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Older {
    Database,
    Control,
}

impl Older {
    fn name(self) -> &'static str {
        match self {
            Self::Database => "database-older",
            Self::Control => "control-older",
        }
    }
}

/// Runs the drill in subfolders of `folder`; returns the report of both rounds.
///
/// # Errors
/// If a step can't be performed. A broken guarantee is listed in the report instead.
pub async fn run(setting: &Setting, folder: &Path) -> Result<Report> {
    let plan = Plan { moments: Moments::default(), apply: true, now: Timestamp::now() };
    let mut report = Report::new(plan);
    "Restore drill".clone_into(&mut report.title);
    report.practices = vec![PRACTICE.to_owned()];
    for older in [Older::Database, Older::Control] {
        println!("Round {}", older.name());
        let endpoint = Endpoint::start().await?;
        let mut scene = Scene::new(setting, &folder.join(older.name()))?;
        let done = Box::pin(round(&mut scene, &endpoint, older, &mut report)).await;
        let cleaned = clean(&mut scene).await;
        endpoint.stop().await;
        done?;
        cleaned?;
    }
    report.ended_at = Timestamp::now();
    Ok(report)
}

/// Stops the stack and removes the round's databases from the server, whatever its result.
async fn clean(scene: &mut Scene<'_>) -> Result<()> {
    let mut cleaned = Ok(());
    if scene.server().is_some()
        && let Ok(dsn) = backup::dsn(scene)
    {
        let original = dsn.replace("_restored", "");
        scene.close().await;
        cleaned = backup::clean_server(scene, &original).await;
    }
    scene.close().await;
    cleaned
}

/// Records each step and its duration in the report.
struct Steps<'a> {
    round: &'static str,
    report: &'a mut Report,
}

impl Steps<'_> {
    async fn take<T>(
        &mut self,
        name: &str,
        work: impl Future<Output = Result<(T, Vec<String>)>>,
    ) -> Result<T> {
        let (at, began) = (Timestamp::now(), Instant::now());
        println!("  {name}");
        let (done, notes) = work.await?;
        let name = format!("{}: {name}", self.round);
        self.report.steps.push(Step { name, at, seconds: began.elapsed().as_secs_f64(), notes });
        Ok(done)
    }
}

async fn round(scene: &mut Scene<'_>, endpoint: &Endpoint, older: Older, report: &mut Report) -> Result<()> {
    let mut steps = Steps { round: older.name(), report };
    let work = Box::pin(work(scene, endpoint, older));
    let (mut story, database, control, mut before) = steps.take("0 Work, and two backups", work).await?;

    let lost_at = Timestamp::now();
    let lose = async {
        let dsn = backup::dsn(scene)?;
        scene.close().await;
        scene.open(false).await?;
        backup::lose_database(scene, &dsn).await?;
        let items = backup::lose_control(scene, older == Older::Database).await?;
        let what = match older {
            Older::Database => "items of the control table (all but the audit log)",
            Older::Control => "items of the control table",
        };
        Ok(((), vec![format!("deleted the practice's database and {items} {what}")]))
    };
    steps.take("1 Stop calls, deliveries and the poller", Box::pin(lose)).await?;

    let beside = async {
        let as_what = match older {
            Older::Database => {
                control.restore(scene).await?;
                format!("as {RESTORED_TABLE}")
            }
            // Like a backup of a deleted table.
            Older::Control => {
                control.take_its_place(scene).await?;
                "in place of the lost one".to_owned()
            }
        };
        let dsn = database.restore(scene).await?;
        let notes = vec![
            format!("database as of {}", database.at),
            format!("control table as of {}, {as_what}", control.at),
        ];
        Ok((dsn, notes))
    };
    let dsn = steps.take("2 Restore under another name", Box::pin(beside)).await?;

    let switch = async {
        let operator = scene.operator()?;
        let mut notes = Vec::new();
        if older == Older::Database {
            let restored = operator.restore_control(RESTORED_TABLE, Some(control.at), (false, true)).await?;
            notes.extend(
                restored
                    .checks
                    .into_iter()
                    .flat_map(|it| [vec![format!("{}: {}", it.id, it.found)], it.rows].concat()),
            );
        }
        operator.set_practice_dsn(PRACTICE, &dsn, false).await?;
        Ok(((), notes))
    };
    steps.take("3 Switch", Box::pin(switch)).await?;

    let moments = Moments { database: Some(database.at), control: Some(control.at) };
    let reconcile = async {
        let operator = scene.operator()?;
        let plan = |apply| Plan::new(moments, apply, Timestamp::now());
        let found = operator.reconcile(Some(PRACTICE), plan(false)?).await?;
        let repaired = operator.reconcile(Some(PRACTICE), plan(true)?).await?;
        story.manual(scene, &repaired).await?;
        let again = operator.reconcile(Some(PRACTICE), plan(false)?).await?;
        let notes = [("dry run", &found), ("applied", &repaired), ("dry run again", &again)];
        let notes = notes.map(|(name, it)| format!("{name}: {}", it.result())).into();
        Ok(((found, repaired, again), notes))
    };
    let (found, mut repaired, again) = steps.take("4 Reconcile", Box::pin(reconcile)).await?;
    people_saw_to(&mut repaired, &again);

    let reopen = async {
        scene.close().await;
        scene.open(true).await?;
        Ok(((), Vec::new()))
    };
    steps.take("5 Reopen", Box::pin(reopen)).await?;
    let reopened_at = Timestamp::now();

    let writes =
        repaired.checks.iter().filter(|it| it.id.ends_with("/writes") || it.id.ends_with("/events-told"));
    let to_be_told: Vec<String> = writes.flat_map(|it| it.rows.clone()).collect();
    steps.take("6 Tell the practice and its partners", async { Ok(((), to_be_told)) }).await?;

    let mut checks = vec![seen(&found, &again)];
    checks.extend(repaired.checks.iter().cloned());
    before.reported = repaired;
    verify::all_received(endpoint, &story).await?;
    checks.extend(Box::pin(verify::verify(scene, endpoint, &mut story, &before)).await?);
    for it in &mut checks {
        it.id = format!("{}/{}", older.name(), it.id);
    }
    report.checks.extend(checks);
    let seconds = |from: Timestamp, to: Timestamp| format!("{:.1} s", to.duration_since(from).as_secs_f64());
    for (name, value) in [
        ("recovery point of the database (lost work)", seconds(database.at, lost_at)),
        ("recovery point of the control plane (lost work)", seconds(control.at, lost_at)),
        ("recovery time (from stop to reopening)", seconds(lost_at, reopened_at)),
    ] {
        report.measured.push((format!("{}: {name}", older.name()), value));
    }
    Ok(())
}

/// Updates the manual checks with what was found after the manual work.
fn people_saw_to(repaired: &mut Report, again: &Report) {
    for check in repaired.checks.iter_mut().filter(|it| it.verdict == Verdict::Manual && it.critical) {
        let Some(after) = again.checks.iter().find(|it| it.id == check.id) else { continue };
        check.found = format!("{}; after the manual work: {}", check.found, after.found);
        check.critical = after.critical;
        if after.verdict == Verdict::Good {
            check.verdict = Verdict::Repaired;
        }
    }
}

/// Checks that the drill found something to repair; otherwise it would prove nothing.
fn seen(found: &Report, again: &Report) -> Check {
    let open = found.checks.iter().filter(|it| it.verdict == Verdict::Open).count();
    let left: Vec<&str> = again.failures().map(|it| it.id.as_str()).collect();
    let holds = open > 0 && left.is_empty();
    let found = format!("{open} open at first; left at the end: {left:?}");
    let guarantee = "The restore leaves something to repair, and the reconciliation repairs all of it";
    let check = Check::new("reconcile", guarantee, "some at first, none at the end", found);
    if holds { check } else { check.with(Verdict::Open, true) }
}

type Worked = (Story, DatabaseBackup, ControlBackup, Before);

/// Does work before, between and after the backups.
async fn work(scene: &mut Scene<'_>, endpoint: &Endpoint, older: Older) -> Result<(Worked, Vec<String>)> {
    scene.open(true).await?;
    let log_began_after = log_end(scene).await?;
    let mut story = Story::begin(scene, endpoint).await?;
    story.book(scene, endpoint, "before").await?;
    let file = scene.folder.join("backup.sqlite");
    let (mut database, mut control) = (None, None);
    for (round, name) in [(0, "between"), (1, "last")] {
        if (older == Older::Database) == (round == 0) {
            database = Some(DatabaseBackup::take(scene, &file).await?);
        } else {
            control = Some(ControlBackup::take(scene).await?);
        }
        tokio::time::sleep(APART).await;
        story.book(scene, endpoint, name).await?;
        story::work_in_the_emr(scene, endpoint, 3).await?;
    }
    story.end_access(scene).await?;
    let missing = || Error::Refused("a backup is missing".to_owned());
    let (database, control) = (database.ok_or_else(missing)?, control.ok_or_else(missing)?);
    let silent_events = endpoint.received().iter().filter(|it| it.path.ends_with(SILENT)).count();
    let lost = if older == Older::Database { vec!["between", "last"] } else { vec!["last"] };
    let notes = vec![
        format!(
            "bookings: {}",
            story
                .bookings
                .iter()
                .map(|it| format!("{} is visit {}", it.name, it.visit))
                .collect::<Vec<_>>()
                .join(", ")
        ),
        format!("database backed up at {}, control plane at {}", database.at, control.at),
        "then a key was revoked, one rotated and one narrowed, a partner suspended, a subscription deleted \
            and one paused, a claim link withdrawn, a practice removed, a key created"
            .to_owned(),
    ];
    let plan = Plan { moments: Moments::default(), apply: false, now: Timestamp::now() };
    let before = Before { log_began_after, lost, silent_events, reported: Report::new(plan) };
    Ok(((story, database, control, before), notes))
}

async fn log_end(scene: &Scene<'_>) -> Result<shared::domain::ids::LogId> {
    let db = emit::open(&scene.folder, PRACTICE).await?;
    let end = async { log::highest(&mut db.connection().await?).await };
    let end = end.await.map_err(failed(PRACTICE));
    db.close().await;
    end
}
