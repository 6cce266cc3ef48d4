//! Copies a control table that was restored under another name back into the stack's own table.
//!
//! Point-in-time recovery creates a new table, while CloudFormation names the stack's table.
//! Copying items changes nothing of the stack and keeps what was written since. Items that were
//! ended since are copied as ended, so that none works again even for a moment.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use shared::control::{self, Store};

use super::super::Operator;
use super::super::access::record;
use super::audit::{RESTORED, SLACK, described};
use super::items::{Since, Written, kind};
use super::report::{Check, Report, Verdict};
use super::{LONGEST, Moments, Plan};
use crate::error::{Error, Result};

/// Counts of the items of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Same as in the copy.
    pub same: usize,
    /// Different from the copy, and left unchanged.
    pub kept: usize,
    /// Missing: written from the copy.
    pub missing: usize,
    /// Different from the copy: overwritten.
    pub overwritten: usize,
    /// Of those written: written as ended.
    pub ended: usize,
    /// Deleted since, and therefore not written.
    pub deleted: usize,
}

/// What a restore from a copy did, or would do.
#[derive(Debug, Default)]
pub struct Copied {
    /// By kind of item.
    pub counts: BTreeMap<&'static str, Counts>,
    /// By kind of item: what was written as ended or not written, and why.
    pub ended: BTreeMap<&'static str, Vec<String>>,
}

/// Copies what `target` lacks from `copy`, which was restored to `at`.
///
/// With `overwrite`, also copies what differs. Without `apply`, only counts.
///
/// # Errors
/// If a store fails, or an item changes in the meantime; then run it again.
pub async fn restore_control(
    target: &Store,
    copy: &Store,
    (at, now): (Timestamp, Timestamp),
    (overwrite, apply): (bool, bool),
) -> Result<Copied> {
    let failed = |error: control::Error| Error::Refused(format!("{}: {error}", copy.control_table()));
    let since = Since::of(target, at, now).await.map_err(failed)?;
    let (mut copied, mut wrote) = (Copied::default(), false);
    for item in copy.control_items().await.map_err(failed)? {
        let kind = kind(&item);
        let counts = copied.counts.entry(kind).or_default();
        let live = target.control_item(&item).await.map_err(failed)?;
        match &live {
            Some(live) if *live == item => {
                counts.same += 1;
                continue;
            }
            Some(live) if !(overwrite && since.may_be_overwritten(kind, live)) => {
                counts.kept += 1;
                continue;
            }
            Some(_) => counts.overwritten += 1,
            None => counts.missing += 1,
        }
        let mut act = None;
        let item = match since.applied(kind, item) {
            Written::AsItIs(item) => item,
            Written::Ended(item, action, why) => {
                counts.ended += 1;
                act = why.split_once(": ").map(|(id, _)| (action, id.to_owned()));
                copied.ended.entry(kind).or_default().push(format!("written as ended: {why}"));
                item
            }
            Written::Not(why) => {
                counts.deleted += 1;
                copied.ended.entry(kind).or_default().push(format!("not written: {why}"));
                continue;
            }
        };
        if apply {
            target.put_control_item(item, live.as_ref()).await.map_err(failed)?;
            if let Some((action, id)) = act {
                target.record_audit(&record(action, &id, now)?).await.map_err(failed)?;
            }
            wrote = true;
        }
    }
    if wrote {
        target.record_audit(&record(RESTORED, copy.control_table(), now)?).await.map_err(failed)?;
    }
    Ok(copied)
}

/// Returns the moment of a copy: the one its table records (AWS: `RestoreSummary`) or the given
/// one.
///
/// # Errors
/// If they contradict each other, neither is known, or the copy lacks an earlier audit record.
pub async fn moment_of(
    control: &Store,
    copy: &Store,
    given: Option<Timestamp>,
    now: Timestamp,
) -> Result<Timestamp> {
    let failed = |error: control::Error| Error::Refused(format!("{}: {error}", copy.control_table()));
    let at = agreed(given, copy.restored_to().await.map_err(failed)?)?;
    let records = copy.audit_since(now - LONGEST).await.map_err(failed)?;
    let known: BTreeSet<&str> = records.iter().map(|it| it.id.as_str()).collect();
    let before = control.audit_copies(now - LONGEST, at - SLACK).await.map_err(failed)?;
    if let Some(act) = before.iter().find(|it| !known.contains(it.id.as_str())) {
        return Err(Error::Refused(format!(
            "the copy is from an earlier moment than {at}: it lacks {}. Specify the time it was restored to",
            described(act)
        )));
    }
    Ok(at)
}

fn agreed(given: Option<Timestamp>, recorded: Option<Timestamp>) -> Result<Timestamp> {
    match (given, recorded) {
        // An earlier given moment is harmless: it only compares more.
        (Some(given), Some(recorded)) if given > recorded + SignedDuration::from_secs(1) => Err(
            Error::Refused(format!("the copy was restored to {recorded}, not to {given}; omit --control-at")),
        ),
        (Some(at), _) | (None, Some(at)) => Ok(at),
        (None, None) => Err(Error::Refused(
            "the table does not record the time it was restored to; specify it with --control-at".to_owned(),
        )),
    }
}

impl Operator {
    /// Copies a control table that was restored as `from` back into the stack's table.
    ///
    /// # Errors
    /// If there is no such table, it is the stack's own, or the moment is impossible.
    pub async fn restore_control(
        &self,
        from: &str,
        at: Option<Timestamp>,
        (overwrite, apply): (bool, bool),
    ) -> Result<Report> {
        let copy = self.control.with_control_table(from);
        if self.control.control_table() == from {
            return Err(Error::Refused(format!(
                "{from} is the stack's own table; specify the restored copy"
            )));
        }
        let now = Timestamp::now();
        let plan = |at| Plan::new(Moments { control: Some(at), database: None }, apply, now);
        at.map(plan).transpose()?;
        let at = moment_of(&self.control, &copy, at, now).await?;
        let plan = plan(at)?;
        let copied = restore_control(&self.control, &copy, (at, now), (overwrite, apply)).await?;
        let mut report = Report::new(plan);
        "Restore of the control plane".clone_into(&mut report.title);
        report.place = super::report::place(self.control.control_table());
        let mode = if overwrite { "what is missing and what differs" } else { "what is missing" };
        report.facts = vec![
            ("Copied from".to_owned(), from.to_owned()),
            ("To be written".to_owned(), mode.to_owned()),
            ("Next".to_owned(), format!("`reconcile --all --control-at {at}`")),
        ];
        report.checks = copied.counts.iter().map(|(kind, it)| it.check(kind, &copied.ended, apply)).collect();
        report.end(Timestamp::now());
        Ok(report)
    }
}

impl Counts {
    fn check(&self, kind: &str, ended: &BTreeMap<&str, Vec<String>>, applied: bool) -> Check {
        let Self { same, kept, missing, overwritten, ended: as_ended, deleted } = self;
        let found = format!(
            "{same} are the same, {kept} differ and are kept, {missing} were missing, {overwritten} are \
                overwritten; of those, {as_ended} are written as ended and {deleted} not at all"
        );
        let guarantee = "Every item of the copy exists, and what was ended since is ended";
        let mut check = Check::new(format!("copy/{}", kind.replace(' ', "-")), guarantee, "all", found);
        check.rows = ended.get(kind).cloned().unwrap_or_default();
        if missing + overwritten > *deleted {
            check.verdict = if applied { Verdict::Repaired } else { Verdict::Open };
        }
        check
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::agreed;

    #[test]
    fn a_moment_that_differs_from_the_tables_own_is_rejected() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (noon, later) = (at("2026-11-29T12:00:00Z"), at("2026-11-29T12:10:00Z"));
        assert_eq!(agreed(None, Some(noon)).unwrap(), noon);
        assert_eq!(agreed(Some(noon), None).unwrap(), noon);
        assert_eq!(
            agreed(Some(at("2026-11-29T12:00:00.4Z")), Some(noon)).unwrap(),
            at("2026-11-29T12:00:00.4Z")
        );
        assert!(
            agreed(Some(later), Some(noon))
                .unwrap_err()
                .to_string()
                .contains("restored to 2026-11-29T12:00:00Z")
        );
        assert!(agreed(None, None).is_err());
    }
}
