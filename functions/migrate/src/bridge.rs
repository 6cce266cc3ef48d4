//! Attaching a practice to the tables of its EMR, and looking after it.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use shared::{
    app::App,
    auth::PracticeGrant,
    tenant::{
        self, Bridge, Practices, TenantDb, Timeouts,
        bridge::{self, Progress},
        practices::Location,
        step::step,
    },
};

use crate::{
    BridgeTask, Done, Status, Work,
    database::{in_words, registered},
};

/// A load that isn't finished after so long goes on with the next invocation: so whoever waits sees how far it is.
const SLICE: SignedDuration = SignedDuration::from_secs(60);

/// Does the task; `found` says in words what there is.
pub(crate) async fn run(app: &App, task: &BridgeTask, deadline: Timestamp) -> Result<Done, String> {
    let entry = registered(app, &task.practice).await?;
    let secret = app.secrets.get(&entry.dsn_secret, app.clock.now()).await;
    let dsn = secret.map_err(|error| error.to_string())?;
    let location = Location { dsn: dsn.to_string(), time_zone: entry.time_zone };
    let grant = PracticeGrant::for_operations(entry.practicepass);
    // A load is no call: it may take as long as a migration.
    let practices = Practices::patient(1).with_timeouts(Timeouts::OF_MIGRATIONS);
    let done = async {
        let db = practices.open(&grant, app.clock.now(), async || Ok::<_, tenant::Error>(location)).await?;
        let done = work(app, &db, &dsn, task, deadline).await;
        db.close().await;
        done
    };
    let done = done.await.map_err(|error: tenant::Error| in_words(&error, &dsn))?;
    done.map_err(|refusal| format!("{}: {refusal}", task.practice))
}

/// What came of it, or why it wasn't done.
async fn work(
    app: &App,
    db: &TenantDb,
    secret: &str,
    task: &BridgeTask,
    deadline: Timestamp,
) -> tenant::Result<Result<Done, String>> {
    step("looking by what the practice is attached");
    let current = Bridge::of(db).await?;
    let until = (deadline - SLICE).min(app.clock.now() + SLICE);
    let goes_on = |_: Progress| app.clock.now() < until;
    let named = match (&task.bridge, current) {
        (Some(name), _) => Bridge::named(name),
        (None, current) => current,
    };
    let Some(bridge) = named else {
        return Ok(Err(match &task.bridge {
            Some(name) => format!("there is no bridge {name}; there are {}", names()),
            None => "it isn't attached to an EMR; `attach-practice` does it".to_owned(),
        }));
    };
    let mut found = Vec::new();
    match task.work {
        Work::Plan => {
            step("looking at the EMR's tables");
            let plan = bridge.plan_with(db, secret).await?;
            found.extend(plan.grants.iter().map(|it| {
                if it.starts_with("grant ") {
                    format!("the EMR's owner has to run: {it};")
                } else {
                    it.clone()
                }
            }));
            if plan.grants.is_empty() {
                found.push(format!(
                    "{} patients and {} events of the EMR would be taken over",
                    plan.patients, plan.events
                ));
            }
            found.push("it would make tables, views, functions and triggers in the schema partner_api, and a trigger partner_api_watches on each \
                table of the EMR's that is watched".to_owned());
        }
        Work::Attach => {
            let plan = bridge.plan_with(db, secret).await?;
            if !plan.grants.is_empty() {
                return Ok(Err(format!("rights are missing: {}", plan.grants.join("; "))));
            }
            step("making the bridge");
            bridge.install_with(db, secret).await?;
            step("taking over what the EMR has");
            let progress = bridge::load(db, true, goes_on).await?;
            found.push(format!(
                "{} rows were taken over, of {} that were looked at",
                progress.repaired, progress.compared
            ));
            if !progress.is_whole {
                return Ok(Ok(Done { found, ..Status::Unfinished.into() }));
            }
            findings(db, &mut found).await?;
        }
        Work::Check => {
            if findings(db, &mut found).await? {
                return Ok(Err(found.join("\n  ")));
            }
        }
        Work::Repair => {
            step("making the bridge anew");
            bridge.install_with(db, secret).await?;
            step("repairing");
            let progress = bridge::load(db, false, goes_on).await?;
            found.push(format!(
                "{} rows were repaired, of {} that were looked at",
                progress.repaired, progress.compared
            ));
            if !progress.is_whole {
                return Ok(Ok(Done { found, ..Status::Unfinished.into() }));
            }
            if findings(db, &mut found).await? {
                return Ok(Err(found.join("\n  ")));
            }
        }
        Work::Trial => {
            step("trying both directions");
            let missing = bridge::try_out(db).await?;
            if !missing.is_empty() {
                return Ok(Err(missing.join("\n  ")));
            }
            found.push("a visit arrives on the other side, from the API and from the EMR, and so do its cancellation and a patient's change; all was taken \
                back".to_owned());
        }
        Work::Detach => {
            step("taking the bridge away");
            bridge.remove(db).await?;
            found.push("the EMR's tables are as they were; the practice keeps copies of its rows, which follow nothing any more".to_owned());
        }
    }
    Ok(Ok(Done { found, ..Status::Usable.into() }))
}

/// Adds what is to be looked at; whether there is anything.
async fn findings(db: &TenantDb, found: &mut Vec<String>) -> tenant::Result<bool> {
    step("comparing with the EMR");
    let findings = bridge::check(db).await?;
    for it in &findings {
        let mut line = format!("{}: {}", it.finding, it.count);
        if let Some(example) = &it.example {
            // Writing to a string can't fail.
            let _ = write!(line, ", for example {example}");
        }
        found.push(line);
    }
    if findings.is_empty() {
        found.push("both sides are the same".to_owned());
    }
    Ok(!findings.is_empty())
}

fn names() -> String {
    let names: Vec<&str> = bridge::BRIDGES.iter().map(|bridge| bridge.name).collect();
    names.join(", ")
}
