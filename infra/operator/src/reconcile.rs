//! Compares practice databases with the control plane after a restore, and repairs what it can.
//!
//! Either side may be the older one. The report lists what was checked, found and changed.

mod access;
mod audit;
pub mod control_copy;
mod ids;
mod items;
mod log;
mod practice;
mod examine;
mod records;
mod repair;
pub mod report;
mod subscriptions;

use std::collections::BTreeMap;

use ::migrate::Task;
use jiff::{SignedDuration, Timestamp};
use shared::control::practices::Practice;
use shared::control::{self, Store};
use shared::tenant::reconciliation::{ExamineRequest, Facts};

use crate::error::{Error, Result};
use crate::migrate::outcome_of;
use crate::random;
use crate::{Operator, refused};
use audit::Acts;
use repair::Repair;
use report::{Check, Report, Verdict};

/// The oldest moment that can be reconciled. Backups go back 35 days; deliveries and call records
/// expire, too.
const LONGEST: SignedDuration = SignedDuration::from_hours(36 * 24);

/// How long before the restored moment the comparison begins: clocks differ, and commits are
/// delayed.
const MARGIN: SignedDuration = SignedDuration::from_hours(1);

/// The moments that the stores were restored to; `None` for one that was not restored.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moments {
    pub database: Option<Timestamp>,
    pub control: Option<Timestamp>,
}

/// Queries a practice's database from where it is reachable.
pub trait Ask {
    fn ask(&self, request: &ExamineRequest) -> impl Future<Output = Result<Facts>>;
}

/// What to compare, and whether to repair it.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub moments: Moments,
    pub apply: bool,
    pub now: Timestamp,
}

impl Plan {
    /// # Errors
    /// If a moment is in the future or too old, or none is given.
    pub fn new(moments: Moments, apply: bool, now: Timestamp) -> Result<Self> {
        for at in [moments.database, moments.control].into_iter().flatten() {
            if at >= now || now.duration_since(at) > LONGEST {
                return Err(Error::Refused(format!("{at} is not within the last 35 days")));
            }
        }
        if moments.database.is_none() && moments.control.is_none() {
            let which = "specify what was restored, and to which time: --database-at TIME, --control-at \
                TIME, or both";
            return Err(Error::Refused(which.to_owned()));
        }
        Ok(Self { moments, apply, now })
    }
}

impl Ask for Operator {
    async fn ask(&self, request: &ExamineRequest) -> Result<Facts> {
        let task = Task { examine: Some(request.clone()), ..Task::default() };
        let mut response = self.invoker.invoke(&task).await?;
        if let Some(facts) = response.examined.take() {
            return Ok(facts);
        }
        let practice = request.practicepass.as_str();
        let cause = outcome_of(response, practice).err();
        let cause = cause.unwrap_or_else(|| "the function's response has no facts".to_owned());
        Err(Error::Refused(format!("{practice}: {cause}")))
    }
}

impl Operator {
    /// Reconciles one practice or all practices with the control plane.
    ///
    /// # Errors
    /// If the control plane can't be read, or the practice isn't registered. A practice database
    /// that does not respond is listed in the report instead.
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

/// Implements [`Operator::reconcile`] for these practices.
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
            // A failed repair stays open; continue with the others.
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
            // Skipping its ids wrote a record already, or its database never responded.
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
            // Its database no longer responds.
            after.push((Check { changed: done, ..before }, Vec::new()));
            continue;
        };
        if before.verdict == Verdict::Open {
            if check.verdict == Verdict::Good {
                check.verdict = Verdict::Repaired;
            }
            check.found = format!("{}; afterwards: {}", before.found, check.found);
            check.rows = before.rows;
        }
        check.changed = done;
    }
    report.checks = after.into_iter().map(|(check, _)| check).collect();
    report.end(Timestamp::now());
    Ok(report)
}

/// Runs all checks; returns each with its repairs.
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
                let check =
                    Check::new(id, "The practice's database responds", "a response", error.to_string());
                checks.push((check.with(Verdict::Open, true), Vec::new()));
            }
        }
    }
    Ok(checks)
}
