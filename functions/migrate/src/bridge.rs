//! Attaches practices to the tables of their EMR, and maintains the bridge.

use shared::sql;
use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use shared::{
    app::App,
    auth::PracticeGrant,
    sql::{Timeouts, step::step},
    tenant::{
        Bridge, Practices, TenantDb,
        bridge::{self, Plan, Progress},
        practices::Location,
    },
};

use crate::{
    BridgeTask, Done, Status, Work,
    database::{in_words, registered},
};

/// How long a load may take before the next invocation continues it, so that progress is visible.
const SLICE: SignedDuration = SignedDuration::from_secs(60);

/// Performs the task; `found` contains sentences for the operator.
pub(crate) async fn run(app: &App, task: &BridgeTask, deadline: Timestamp) -> Result<Done, String> {
    let entry = registered(app, &task.practice).await?;
    let secret = app.secrets.get(&entry.dsn_secret, app.clock.now()).await;
    let dsn = secret.map_err(|error| error.to_string())?;
    let location = Location { dsn: dsn.to_string(), time_zone: entry.time_zone };
    let grant = PracticeGrant::for_operations(entry.practicepass);
    // A load may take as long as a migration, unlike a call.
    let practices = Practices::for_background_work(1).with_timeouts(Timeouts::OF_MIGRATIONS);
    let done = async {
        let db = practices.open(&grant, app.clock.now(), async || Ok::<_, sql::Error>(location)).await?;
        let done = work(app, &db, &dsn, task, deadline).await;
        db.close().await;
        done
    };
    done.await.map_err(|error: sql::Error| in_words(&error, &dsn))?
}

/// Performs the task on the open database; the inner error says why it was not done.
async fn work(
    app: &App,
    db: &TenantDb,
    secret: &str,
    task: &BridgeTask,
    deadline: Timestamp,
) -> sql::Result<Result<Done, String>> {
    step("finding the practice's bridge");
    let current = Bridge::of(db).await?;
    let until = (deadline - SLICE).min(app.clock.now() + SLICE);
    let goes_on = |_: Progress| app.clock.now() < until;
    let named = match (&task.bridge, current) {
        (Some(name), _) => Bridge::named(name),
        (None, current) => current,
    };
    let Some(bridge) = named else {
        return Ok(Err(match &task.bridge {
            Some(name) => format!("unknown bridge {name}; available: {}", names()),
            None if task.work == Work::Name => return Ok(Ok(Status::Usable.into())),
            None => "it is not attached to an EMR; attach it with `attach-practice`".to_owned(),
        }));
    };
    let mut found = Vec::new();
    match task.work {
        Work::Plan => found.extend(plan_in_words(bridge, db, secret).await?),
        Work::Attach => {
            if let Some(other) = current.filter(|it| it.name != bridge.name) {
                return Ok(Err(format!("it is attached by {}; detach it first", other.name)));
            }
            let plan = bridge.plan_with(db, secret).await?;
            if !plan.grants.is_empty() {
                return Ok(Err(missing(bridge, &plan)));
            }
            step("creating the bridge");
            bridge.install_with(db, secret).await?;
            step("copying the EMR's rows");
            let progress = bridge::load(db, true, goes_on).await?;
            found.push(format!("Compared {} rows, copied {}.", progress.compared, progress.repaired));
            if !progress.is_whole {
                return Ok(Ok(Done { found, ..Status::Unfinished.into() }));
            }
            // The EMR may have changed a row between the read and the copy.
            if !bridge::check(db).await?.is_empty() {
                bridge::load(db, true, |_| true).await?;
            }
            findings(db, &mut found).await?;
        }
        Work::Check => return check(db, &task.practice).await,
        Work::Repair => return repair(bridge, db, secret, goes_on).await,
        Work::Trial => {
            step("trying both directions");
            let missing = bridge::try_out(db).await?;
            if !missing.is_empty() {
                return Ok(Err(missing.join("\n  ")));
            }
            found.push(
                "Visits, cancellations and patient changes arrive in both directions. All was rolled back."
                    .to_owned(),
            );
        }
        Work::Name => found.push(bridge.name.to_owned()),
        Work::Detach => {
            step("removing the bridge");
            bridge.remove(db).await?;
            found.push(
                "The EMR's tables are restored. The practice keeps its rows as they are now.".to_owned(),
            );
        }
    }
    Ok(Ok(Done { found, ..Status::Usable.into() }))
}

/// Returns what attaching needs and creates.
async fn plan_in_words(bridge: &Bridge, db: &TenantDb, secret: &str) -> sql::Result<Vec<String>> {
    step("looking at the EMR's tables");
    let plan = bridge.plan_with(db, secret).await?;
    let mut words = Vec::new();
    if plan.grants.is_empty() {
        words.push(format!("To copy: {} patients and {} events.", plan.patients, plan.events));
    } else {
        words.push(missing(bridge, &plan));
    }
    words.push(
        "Attaching creates tables, functions and triggers in the schema partner_api, and triggers \
         named partner_api_… on the EMR's tables."
            .to_owned(),
    );
    Ok(words)
}

/// Renews the bridge and makes our rows what the EMR has.
async fn repair(
    bridge: &Bridge,
    db: &TenantDb,
    secret: &str,
    goes_on: impl FnMut(Progress) -> bool,
) -> sql::Result<Result<Done, String>> {
    step("looking at the EMR's tables");
    let plan = match bridge.plan_with(db, secret).await {
        Err(error @ sql::Error::Statement(_)) => return Ok(Err(changed(&error))),
        plan => plan?,
    };
    if !plan.grants.is_empty() {
        return Ok(Err(missing(bridge, &plan)));
    }
    step("renewing the bridge");
    bridge.install_with(db, secret).await?;
    step("repairing");
    let progress = bridge::load(db, false, goes_on).await?;
    let mut found = vec![format!("Compared {} rows, repaired {}.", progress.compared, progress.repaired)];
    if !progress.is_whole {
        return Ok(Ok(Done { found, ..Status::Unfinished.into() }));
    }
    if findings(db, &mut found).await? {
        return Ok(Err(found.join("\n  ")));
    }
    Ok(Ok(Done { found, ..Status::Usable.into() }))
}

/// Adds the findings of a check; returns whether there are any.
async fn findings(db: &TenantDb, found: &mut Vec<String>) -> sql::Result<bool> {
    step("comparing with the EMR");
    let findings = bridge::check(db).await?;
    for it in &findings {
        let mut line = format!("{}: {}", it.finding, it.count);
        if let Some(example) = &it.example {
            // Writing to a string cannot fail.
            let _ = write!(line, ", for example {example}");
        }
        found.push(line);
    }
    if findings.is_empty() {
        found.push("Both sides match.".to_owned());
    }
    Ok(!findings.is_empty())
}

/// Reports differences, and whether a repair would help.
async fn check(db: &TenantDb, practice: &str) -> sql::Result<Result<Done, String>> {
    let mut found = Vec::new();
    if !findings(db, &mut found).await? {
        return Ok(Ok(Done { found, ..Status::Usable.into() }));
    }
    if found.iter().any(|it| is_repairable(it)) {
        found.push(format!("To repair, run `check-practice {practice} --repair`; it changes only our rows."));
    }
    Ok(Err(found.join("\n  ")))
}

/// Returns what is missing, one line each: statements to paste into psql, or instructions.
fn missing(bridge: &Bridge, plan: &Plan) -> String {
    let first = if bridge.is_remote() {
        "Before the bridge can be created:"
    } else {
        "Privileges are missing. As the owner of the EMR's tables, run in psql:"
    };
    format!("{first}\n  {}", plan.grants.join("\n  "))
}

/// Whether `--repair` helps against a finding, without a statement of an administrator first.
fn is_repairable(finding: &str) -> bool {
    let needs_others = [
        "missing privilege",
        "EMR value without a meaning here",
        "the EMR's tables have changed",
        "the EMR's tables cannot be read",
        "the MariaDB side of the bridge has another version",
        "the connection to MariaDB is not encrypted",
    ];
    !needs_others.iter().any(|it| finding.starts_with(it))
}

/// Returns the error for EMR tables that the bridge's SQL no longer fits.
fn changed(error: &sql::Error) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    if cause.contains("permission denied") {
        return format!(
            "the EMR's tables cannot be read: {cause}. Grant what is missing to the practice's role"
        );
    }
    format!(
        "the EMR's tables have changed, and the bridge cannot be renewed: {cause}. Adapt the bridge's \
            map.sql and deploy (runbook, \"Upgrades of the EMR\"). Until then the EMR works as usual, and \
            bookings that cannot be checked answer 503"
    )
}

fn names() -> String {
    let names: Vec<&str> = bridge::BRIDGES.iter().map(|bridge| bridge.name).collect();
    names.join(", ")
}
