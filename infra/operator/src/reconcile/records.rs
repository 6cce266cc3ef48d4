//! Compares what partners know with what a practice's database contains.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use shared::control::activity::CallRecord;
use shared::control::deliveries::Delivery;
use shared::control::{self, Store};
use shared::domain::PracticePass;
use shared::domain::ids::KeyId;
use shared::tenant::reconciliation::{Facts, StrayAnswer};

use super::MARGIN;
use super::repair::Repair;
use super::report::{Check, Verdict};

/// How many ids to skip: more than the EMR and calls create between a backup and the loss.
const PASSED_OVER: i64 = 10_000;
/// Status of a call that created a record.
const CREATED: u16 = 201;

/// Returns the successful calls that are missing from the practice's audit log, to which each
/// change writes in its own transaction.
pub(super) fn lost<'a>(calls: &'a [CallRecord], facts: &Facts) -> Vec<&'a CallRecord> {
    let mut traces: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for call in &facts.calls {
        *traces.entry((call.request_id.as_str(), call.key_id.as_str())).or_default() += 1;
    }
    let of_practice = calls.iter().filter(|it| it.endpoint.starts_with("/v1/{PPass}/"));
    // Several calls may share a request id; the first ones account for the traces.
    of_practice
        .filter(|it| {
            let left = traces.get_mut(&(it.request_id.as_str(), it.key_id.as_deref().unwrap_or_default()));
            match left.filter(|left| **left > 0) {
                Some(left) => {
                    *left -= 1;
                    false
                }
                None => true,
            }
        })
        .collect()
}

pub(super) fn check(
    practicepass: &PracticePass,
    lost: &[&CallRecord],
    deliveries: &[Delivery],
    at: Timestamp,
    now: Timestamp,
) -> (Check, Vec<Repair>) {
    let line = |call: &&CallRecord| {
        let of_call =
            |it: &&Delivery| it.request_id.as_ref().is_some_and(|it| it.as_str() == call.request_id);
        let mut records: Vec<String> = deliveries
            .iter()
            .filter(of_call)
            .map(|it| format!("{} {}", it.payload.event, it.payload.record_id))
            .collect();
        records.sort();
        records.dedup();
        let records = if records.is_empty() { "record unknown".to_owned() } else { records.join(", ") };
        format!(
            "{} {} {} → {}: {records}; {} ({}), key {} ({}), request {}",
            call.time,
            call.method,
            call.endpoint,
            call.status,
            call.partner.as_deref().unwrap_or("?"),
            call.partner_id.as_deref().unwrap_or("?"),
            call.key_name.as_deref().unwrap_or("?"),
            call.key_id.as_deref().unwrap_or("?"),
            call.request_id
        )
    };
    let rows: Vec<String> = lost.iter().map(line).collect();
    let span = match (lost.first(), lost.last()) {
        (Some(first), Some(end)) => format!("{} lost, from {} to {}", lost.len(), first.time, end.time),
        _ => "none lost".to_owned(),
    };
    let check = Check::new(
        format!("{practicepass}/writes"),
        "Every change confirmed to a partner is in the database",
        format!("every successful change from {} to {now}", at - MARGIN),
        span,
    );
    (check.of_rows(Verdict::Manual, false, rows), Vec::new())
}

/// Checks that ids of lost records are not reused.
///
/// A partner that knows a reused id could read or cancel a record that is not its own. Ids skipped
/// before the restored moment `at` were skipped for an earlier restore.
pub(super) fn ids(
    practicepass: &PracticePass,
    lost: &[&CallRecord],
    facts: &Facts,
    (at, floors): (Timestamp, BTreeMap<String, i64>),
) -> (Check, Vec<Repair>) {
    let made = lost.iter().filter(|it| it.status == CREATED).count();
    let passed_at = facts.ids_passed_at.filter(|passed_at| at <= *passed_at);
    let found = passed_at.map_or("not skipped".to_owned(), |at| format!("skipped at {at}"));
    let check = Check::new(
        format!("{practicepass}/record-ids"),
        "No id of a lost record is given to another record",
        "ids of lost records are skipped",
        found,
    );
    if passed_at.is_some() {
        return (check, Vec::new());
    }
    let row = format!("{made} records created by calls are known to be lost, and any that the EMR created");
    let count = PASSED_OVER + i64::try_from(made).unwrap_or_default();
    (
        check.of_rows(Verdict::Open, true, vec![row]),
        vec![Repair::PassOver(practicepass.clone(), count, floors)],
    )
}

/// Checks for lost records whose ids were reused: a partner would see a different record.
pub(super) fn given_again(
    practicepass: &PracticePass,
    there: &BTreeSet<(String, i64)>,
) -> (Check, Vec<Repair>) {
    let named = |(table, id): &(String, i64)| {
        format!("{table} {id}: partners know a lost record by this id; check whether this is the same one")
    };
    let rows: Vec<String> = there.iter().map(named).collect();
    let check = Check::new(
        format!("{practicepass}/ids-given-again"),
        "No id of a lost patient or visit belongs to another one",
        "none",
        format!("{}", rows.len()),
    );
    (check.of_rows(Verdict::Manual, true, rows), Vec::new())
}

/// Checks that the database is from the given moment, not an earlier one.
pub(super) fn moment(
    practicepass: &PracticePass,
    (given, at): (Timestamp, Timestamp),
) -> (Check, Vec<Repair>) {
    let found = if at < given {
        format!("calls are lost since {at}; everything since then is compared")
    } else {
        "nothing contradicts it".to_owned()
    };
    let rows = Vec::from_iter((at < given).then(|| found.clone()));
    let check = Check::new(
        format!("{practicepass}/moment"),
        "The restored moment is the given one",
        format!("the database is from {given}"),
        found,
    );
    (check.of_rows(Verdict::Manual, false, rows), Vec::new())
}

pub(super) fn answers(practicepass: &PracticePass, facts: &Facts) -> (Check, Vec<Repair>) {
    let line = |it: &StrayAnswer| format!("{} {} by key {}: {}", it.method, it.path, it.key_id, it.record);
    let rows: Vec<String> = facts.stray_answers.iter().map(line).collect();
    let check = Check::new(
        format!("{practicepass}/answers"),
        "No stored response is about a record that doesn't exist",
        "none",
        format!("{}", rows.len()),
    );
    let forget = Vec::from_iter((!rows.is_empty()).then(|| Repair::ForgetStrays(practicepass.clone())));
    (check.of_rows(Verdict::Open, false, rows), forget)
}

pub(super) fn overlaps(practicepass: &PracticePass, facts: &Facts) -> (Check, Vec<Repair>) {
    let rows = Vec::from_iter(
        (facts.overlaps > 0)
            .then(|| format!("{} pairs; the practice must move one visit of each", facts.overlaps)),
    );
    let check = Check::new(
        format!("{practicepass}/overlaps"),
        "No two visits of one provider, room or patient overlap",
        "0 pairs",
        format!("{} pairs", facts.overlaps),
    );
    (check.of_rows(Verdict::Manual, true, rows), Vec::new())
}

/// Checks for keys that the practice's database has seen but a restored control plane lacks.
pub(super) async fn keys(
    control: &Store,
    practicepass: &PracticePass,
    facts: &Facts,
) -> control::Result<(Check, Vec<Repair>)> {
    let mut rows = Vec::new();
    for key in &facts.keys {
        if control.api_key(&KeyId(key.key_id.clone())).await?.is_none() {
            rows.push(format!("{} of {}: rejected; the partner needs a new key", key.key_id, key.partner_id));
        }
    }
    let check = Check::new(
        format!("{practicepass}/keys-seen"),
        "The control plane has every key that the database has seen",
        "all",
        format!("{} of {} unknown", rows.len(), facts.keys.len()),
    );
    Ok((check.of_rows(Verdict::Manual, false, rows), Vec::new()))
}
