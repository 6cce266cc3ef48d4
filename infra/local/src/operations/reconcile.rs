//! After a restore: compares practices' databases with the control plane, either of which may be older than the other, and mends what
//! can be mended. What was looked for, found and changed is a report.

mod access;
mod audit;
pub mod control_copy;
mod ids;
mod log;
mod records;
mod repair;
pub mod report;
mod subscriptions;

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use shared::control::practices::Practice;
use shared::control::{self, Store};
use shared::domain::PracticePass;
use shared::domain::ids::LogId;
use shared::tenant::reconciliation::{Facts, Mend, Question};

use super::{Operator, refused};
use crate::error::{Error, Result};
use crate::random;
use audit::Lost;
use repair::Repair;
use report::{Check, Report, Verdict};

/// Ids and calls of one question: its answer must fit into what a function may answer.
const AT_ONCE: usize = 4_000;
/// What was written so shortly before the restored moment is compared, too: clocks differ, and commits come late.
const MARGIN: SignedDuration = SignedDuration::from_hours(1);
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
        reconcile(&self.control, self, &practices, plan).await
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
            done.push(repair.perform(control, ask, plan.now, &request_id).await?);
        }
        changes.push((check.id.clone(), done));
    }
    if plan.moments.control.is_some() {
        repair::note(control, "control", plan.now).await?;
    }
    if plan.moments.database.is_some() {
        for practice in practices {
            repair::note(control, practice.practicepass.as_str(), plan.now).await?;
        }
    }
    let mut after = survey(control, ask, practices, plan).await?;
    for ((before, _), (id, done)) in before.into_iter().zip(changes) {
        let Some((check, _)) = after.iter_mut().find(|(check, _)| check.id == id) else { continue };
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
    if let Some(at) = plan.moments.control {
        let lost = Lost::since(control, at, plan.now).await.map_err(failed)?;
        checks.push(lost.check());
        checks.extend(access::checks(control, &lost, plan.now).await.map_err(failed)?);
        checks.extend(subscriptions::checks(control, &lost, (at, plan.now)).await.map_err(failed)?);
        checks.extend(ids::checks(control, &lost, at).await.map_err(failed)?);
    }
    for practice in practices {
        match survey_practice(control, ask, practice, plan).await {
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

async fn survey_practice(
    control: &Store,
    ask: &impl Ask,
    practice: &Practice,
    plan: Plan,
) -> Result<Vec<(Check, Vec<Repair>)>> {
    let failed = |error: control::Error| refused(&error);
    let practicepass = &practice.practicepass;
    let earliest = [plan.moments.database, plan.moments.control].into_iter().flatten().min();
    let since = earliest.unwrap_or(plan.now) - MARGIN;
    let deliveries = control.deliveries_since(Some(practicepass), since).await.map_err(failed)?;
    let state = control.dispatch_states(Some(practicepass)).await.map_err(failed)?.pop();
    let subscriptions = control.subscriptions_of(practicepass).await.map_err(failed)?;
    let calls = match plan.moments.database {
        Some(at) => control.writes_of(Some(practicepass), (at - MARGIN, plan.now)).await.map_err(failed)?,
        None => Vec::new(),
    };
    let progress = state.map(|it| it.progress);
    let mut question = empty_question(practicepass, since, plan.now);
    if let Some(progress) = &progress {
        question.position = progress.position();
        question.log_ids = progress.anchors.ids().chain(progress.ends()).collect();
    }
    question.log_ids.extend(log::ids(&deliveries));
    question.log_ids.sort_unstable();
    question.log_ids.dedup();
    question.calls = calls.iter().map(|it| it.request_id.clone()).collect();
    let facts = answered(ask, question).await?;
    let mut checks = vec![log::check(practicepass, progress, &subscriptions, &deliveries, &facts, plan)];
    if let Some(at) = plan.moments.database {
        checks.push(log::told(practicepass, &deliveries, &facts, at));
        let lost = records::lost(&calls, &facts);
        checks.push(records::check(practicepass, &lost, &deliveries, at, plan.now));
        checks.push(records::ids(practicepass, &lost, &facts, at));
    }
    checks.push(records::answers(practicepass, &facts));
    checks.push(records::overlaps(practicepass, &facts));
    checks.push(records::keys(control, practicepass, &facts).await.map_err(failed)?);
    Ok(checks)
}

fn empty_question(practicepass: &PracticePass, since: Timestamp, now: Timestamp) -> Question {
    Question {
        practicepass: practicepass.clone(),
        since,
        now,
        log_ids: Vec::new(),
        position: LogId::default(),
        calls: BTreeSet::new(),
        mend: None,
    }
}

/// Asks in parts.
async fn answered(ask: &impl Ask, whole: Question) -> Result<Facts> {
    let calls: Vec<String> = whole.calls.iter().cloned().collect();
    let parts = whole.log_ids.len().max(calls.len()).div_ceil(AT_ONCE).max(1);
    let mut facts: Option<Facts> = None;
    for part in 0..parts {
        let from = part * AT_ONCE;
        let question = Question {
            log_ids: whole.log_ids.iter().copied().skip(from).take(AT_ONCE).collect(),
            calls: calls.iter().skip(from).take(AT_ONCE).cloned().collect(),
            ..whole.clone()
        };
        let answer = ask.ask(&question).await?;
        match &mut facts {
            Some(facts) => {
                facts.log_rows.extend(answer.log_rows);
                facts.calls.extend(answer.calls);
            }
            None => facts = Some(answer),
        }
    }
    facts.ok_or_else(|| Error::Refused("nothing was asked".to_owned()))
}

/// Has a practice's database mended.
async fn mend(ask: &impl Ask, practicepass: &PracticePass, now: Timestamp, mend: Mend) -> Result<()> {
    let question = Question { mend: Some(mend), ..empty_question(practicepass, now, now) };
    ask.ask(&question).await.map(|_| ())
}
