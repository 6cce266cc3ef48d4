//! Compares a practice's database with what the control plane has recorded about it.

use jiff::{SignedDuration, Timestamp};
use shared::control::activity::CallRecord;
use shared::control::practices::Practice;
use shared::control::{self, Store};
use shared::domain::PracticePass;
use shared::tenant::reconciliation::{ExamineRequest, Facts};

use super::audit::{Earlier, SLACK};
use super::examine::empty_request;
use super::repair::Repair;
use super::report::Check;
use super::{Ask, LONGEST, MARGIN, Plan, log, records, refused};
use crate::error::{Error, Result};

/// Ids and calls per request, so that the response fits into a function's limit.
const AT_ONCE: usize = 4_000;
/// How long before the given moment to look for lost calls, in case the true moment is earlier.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(24);

/// Runs the checks of one practice; `earlier` are its previous reconciliations.
pub(super) async fn checks(
    control: &Store,
    ask: &impl Ask,
    (practice, earlier): (&Practice, Earlier),
    plan: Plan,
) -> Result<Vec<(Check, Vec<Repair>)>> {
    let failed = |error: control::Error| refused(&error);
    let practicepass = &practice.practicepass;
    let mut checks = Vec::new();
    let (mut plan, mut calls) = (plan, Vec::new());
    if let Some(given) = plan.moments.database {
        // Losses before this floor belong to an earlier restore.
        let floor = earlier.at.iter().filter(|it| **it <= given).max().copied().unwrap_or_default();
        let (at, since_then) = lost_since(control, ask, practicepass, (floor, given, plan.now)).await?;
        checks.push(records::moment(practicepass, (given, at)));
        (plan.moments.database, calls) = (Some(at), since_then);
    }
    let earliest = [plan.moments.database, plan.moments.control].into_iter().flatten().min();
    let since = earliest.unwrap_or(plan.now) - MARGIN;
    let deliveries = control.deliveries_since(Some(practicepass), since).await.map_err(failed)?;
    let state = control.dispatch_states(Some(practicepass)).await.map_err(failed)?.pop();
    let subscriptions = control.subscriptions_of(practicepass).await.map_err(failed)?;
    let progress = state.map(|it| it.progress);
    let mut request = empty_request(practicepass, since, plan.now);
    if let Some(progress) = &progress {
        request.position = progress.position();
        request.log_ids = progress.anchors.ids().chain(progress.ends()).collect();
    }
    request.log_ids.extend(log::ids(&deliveries));
    request.log_ids.sort_unstable();
    request.log_ids.dedup();
    request.calls = calls.iter().map(|it| it.request_id.clone()).collect();
    let facts = answered(ask, request).await?;
    checks.push(log::check(practicepass, progress, &subscriptions, &deliveries, &facts, plan));
    if let Some(at) = plan.moments.database {
        checks.push(log::deliveries(practicepass, &deliveries, &facts, at));
        let lost = records::lost(&calls, &facts);
        checks.push(records::check(practicepass, &lost, &deliveries, at, plan.now));
        checks.push(records::ids(practicepass, &lost, &facts, (at, earlier.floors)));
        let mut request = empty_request(practicepass, since, plan.now);
        request.records = log::lost_records(&deliveries, &facts, (at, &lost));
        let there = answered(ask, request).await?.records;
        checks.push(records::given_again(practicepass, &there));
    }
    checks.push(records::answers(practicepass, &facts));
    checks.push(records::overlaps(practicepass, &facts));
    checks.push(records::keys(control, practicepass, &facts).await.map_err(failed)?);
    Ok(checks)
}

/// Returns the moment since which calls are lost (the given one or earlier), and the calls since
/// shortly before it.
async fn lost_since(
    control: &Store,
    ask: &impl Ask,
    practicepass: &PracticePass,
    (floor, given, now): (Timestamp, Timestamp, Timestamp),
) -> Result<(Timestamp, Vec<CallRecord>)> {
    let (mut at, mut from) = (given, given - LOOK_BACK);
    loop {
        let calls = control.writes_of(Some(practicepass), (from, now)).await;
        let mut calls = calls.map_err(|error| refused(&error))?;
        let mut request = empty_request(practicepass, from, now);
        request.calls = calls.iter().map(|it| it.request_id.clone()).collect();
        let facts = answered(ask, request).await?;
        let lost = records::lost(&calls, &facts);
        let first = lost.into_iter().map(|it| it.time).find(|it| floor < *it);
        // A call in progress at that moment has the time at which it began.
        at = first.filter(|first| *first < at - SLACK).unwrap_or(at);
        if at - MARGIN >= from || now.duration_since(from) > LONGEST {
            calls.retain(|it| it.time >= at - MARGIN);
            return Ok((at, calls));
        }
        from = at - LOOK_BACK;
    }
}

/// Sends a large request in several parts and merges the facts.
async fn answered(ask: &impl Ask, whole: ExamineRequest) -> Result<Facts> {
    let calls: Vec<String> = whole.calls.iter().cloned().collect();
    let records: Vec<(String, i64)> = whole.records.iter().cloned().collect();
    let parts = whole.log_ids.len().max(calls.len()).max(records.len()).div_ceil(AT_ONCE).max(1);
    let mut facts: Option<Facts> = None;
    for part in 0..parts {
        let from = part * AT_ONCE;
        let request = ExamineRequest {
            log_ids: whole.log_ids.iter().copied().skip(from).take(AT_ONCE).collect(),
            calls: calls.iter().skip(from).take(AT_ONCE).cloned().collect(),
            records: records.iter().skip(from).take(AT_ONCE).cloned().collect(),
            ..whole.clone()
        };
        let answer = ask.ask(&request).await?;
        match &mut facts {
            Some(facts) => {
                facts.log_rows.extend(answer.log_rows);
                facts.calls.extend(answer.calls);
                facts.records.extend(answer.records);
            }
            None => facts = Some(answer),
        }
    }
    facts.ok_or_else(|| Error::Refused("nothing was asked".to_owned()))
}
