//! After a restore: compares practices' databases with the control plane, either of which may be older than the other, and mends what
//! can be mended. What was looked for, found and changed is a report.

mod access;
mod audit;
pub mod control_copy;
mod ids;
mod items;
mod log;
mod practice;
mod records;
mod repair;
pub mod report;
mod subscriptions;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use shared::control::practices::Practice;
use shared::control::{self, Store};
use shared::tenant::reconciliation::{Facts, Question};

use super::{Operator, refused};
use crate::error::{Error, Result};
use crate::random;
use audit::Acts;
use repair::Repair;
use report::{Check, Report, Verdict};

/// Deliveries and call records are kept for some time; backups go back 35 days.
const LONGEST: SignedDuration = SignedDuration::from_hours(36 * 24);

/// To which moments what was restored; `None` for what was not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moments {
    pub database: Option<Timestamp>,
    pub control: Option<Timestamp>,
}

/// Asks a practice's database from where it can be reached.
pub trait Ask {
    fn ask(&self, question: &Question) -> impl Future<Output = Result<Facts>>;
}

/// What is compared, and whether it is mended.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub moments: Moments,
    pub apply: bool,
    pub now: Timestamp,
}

impl Plan {
    /// # Errors
    /// When a moment can't be right.
    pub fn new(moments: Moments, apply: bool, now: Timestamp) -> Result<Self> {
        for at in [moments.database, moments.control].into_iter().flatten() {
            if at >= now || now.duration_since(at) > LONGEST {
                return Err(Error::Refused(format!("{at} is no moment of the last 35 days")));
            }
        }
        if moments.database.is_none() && moments.control.is_none() {
            let which =
                "say what was restored and to which moment: --database-at TIME, --control-at TIME, or both";
            return Err(Error::Refused(which.to_owned()));
        }
        Ok(Self { moments, apply, now })
    }
}

impl Ask for Operator {
    async fn ask(&self, question: &Question) -> Result<Facts> {
        let event = serde_json::json!({ "examine": question });
        let answer = self.invoker.invoke(&event).await?;
        if let Ok(facts) = serde_json::from_value(answer["examined"].clone()) {
            return Ok(facts);
        }
        let cause = answer["results"][0]["error"].as_str().unwrap_or("no cause given");
        Err(Error::Refused(format!("{}: {cause}", question.practicepass)))
    }
}

impl Operator {
    /// Reconciles a practice, or all, with the control plane.
    ///
    /// # Errors
    /// When the control plane can't be read, or there is no such practice. A practice whose database doesn't answer is in the report.
    pub async fn reconcile(&self, practice: Option<&str>, plan: Plan) -> Result<Report> {
        let practices = match practice {
            Some(practice) => vec![self.registered(practice).await?],
            None => self.control.practices().await.map_err(|error| refused(&error))?,
        };
        let mut report = reconcile(&self.control, self, &practices, plan).await?;
        report.place = report::place(self.control.control_table());
        Ok(report)
    }
}

/// As [`Operator::reconcile`], of these practices.
pub async fn reconcile(
    control: &Store,
    ask: &impl Ask,
    practices: &[Practice],
    plan: Plan,
) -> Result<Report> {
    let mut report = Report::new(plan);
    report.practices = practices.iter().map(|it| it.practicepass.to_string()).collect();
    let before = survey(control, ask, practices, plan).await?;
    if !plan.apply {
        report.checks = before.into_iter().map(|(check, _)| check).collect();
        report.end(Timestamp::now());
        return Ok(report);
    }
    let request_id = format!("operator-{}", random::hex(&random::bytes(16)?));
    let mut changes = Vec::new();
    for (check, repairs) in &before {
        let mut done = Vec::new();
        for repair in repairs {
            // What can't be mended stays open, and the others go on.
            let outcome = repair.perform(control, ask, plan.now, &request_id).await;
            done.push(outcome.unwrap_or_else(|error| format!("FAILED: {error}")));
        }
        changes.push((check.id.clone(), done));
    }
    if plan.moments.control.is_some() {
        repair::note(control, "control", plan.now, Vec::new()).await?;
    }
    if plan.moments.database.is_some() {
        for practice in practices.iter().map(|it| it.practicepass.as_str()) {
            // Its ids were passed over with a record of its own, or it never answered.
            let is_noted = |(check, repairs): &(Check, Vec<Repair>)| {
                check.id == format!("{practice}/database")
                    || check.id == format!("{practice}/record-ids") && !repairs.is_empty()
            };
            if !before.iter().any(is_noted) {
                repair::note(control, practice, plan.now, Vec::new()).await?;
            }
        }
    }
    let mut after = survey(control, ask, practices, plan).await?;
    for ((before, _), (id, done)) in before.into_iter().zip(changes) {
        let Some((check, _)) = after.iter_mut().find(|(check, _)| check.id == id) else {
            // Its database doesn't answer any more.
            after.push((Check { changed: done, ..before }, Vec::new()));
            continue;
        };
        if before.verdict == Verdict::Open {
            if check.verdict == Verdict::Good {
                check.verdict = Verdict::Mended;
            }
            check.found = format!("{}; now: {}", before.found, check.found);
            check.rows = before.rows;
        }
        check.changed = done;
    }
    report.checks = after.into_iter().map(|(check, _)| check).collect();
    report.end(Timestamp::now());
    Ok(report)
}

/// All checks, each with what would mend it.
async fn survey(
    control: &Store,
    ask: &impl Ask,
    practices: &[Practice],
    plan: Plan,
) -> Result<Vec<(Check, Vec<Repair>)>> {
    let failed = |error: control::Error| refused(&error);
    let mut checks = Vec::new();
    let mut plan = plan;
    let mut earlier = match plan.moments.database {
        Some(_) => audit::earlier(control, plan.now).await.map_err(failed)?,
        None => BTreeMap::new(),
    };
    if let Some(at) = plan.moments.control {
        let acts = Acts::since(control, at, plan.now).await.map_err(failed)?;
        plan.moments.control = Some(acts.since);
        checks.extend(acts.checks());
        checks.extend(access::checks(control, &acts, plan.now).await.map_err(failed)?);
        checks.extend(subscriptions::checks(control, &acts, plan.now).await.map_err(failed)?);
        checks.extend(ids::checks(control, &acts).await.map_err(failed)?);
    }
    for practice in practices {
        let earlier = earlier.remove(practice.practicepass.as_str()).unwrap_or_default();
        match practice::checks(control, ask, (practice, earlier), plan).await {
            Ok(of_practice) => checks.extend(of_practice),
            Err(error) => {
                let id = format!("{}/database", practice.practicepass);
                let check = Check::new(id, "The practice's database answers", "an answer", error.to_string());
                checks.push((check.with(Verdict::Open, true), Vec::new()));
            }
        }
    }
    Ok(checks)
}
