//! Checks whether the log poller runs, and what it found in the databases.
//!
//! The checks do not open the catalog and the practices' databases themselves; only the poller
//! does.

use jiff::Timestamp;
use shared::{
    app::App,
    catalog,
    control::{
        self,
        pollers::{CatalogState, FailingPractice, MOST_NAMED, Poller, Schedule},
    },
    domain::PracticeFault,
};

use super::{
    check::{
        Check, CheckName, CheckStatus, ConcernedPractice, ConcernedPractices, ReasonCount, seconds_between,
    },
    thresholds::{FAILING_PRACTICES, POLLER_SILENT_SECONDS},
};

/// Checks the catalog, the poller and the practices.
pub(super) async fn check(app: &App, now: Timestamp) -> control::Result<Vec<Check>> {
    let pollers = current(app.control.pollers().await?);
    Ok(vec![catalog(&pollers, now), poller(&pollers, now), practices(&pollers, now)])
}

/// Returns the schedules of the newest sharding; those of older ones no longer run.
fn current(mut pollers: Vec<Poller>) -> Vec<Poller> {
    let newest = pollers.iter().max_by_key(|it| it.last_begun.at).map(|it| it.last_begun.schedule.of);
    pollers.retain(|it| Some(it.last_begun.schedule.of) == newest);
    pollers
}

fn poller(pollers: &[Poller], now: Timestamp) -> Check {
    let name = CheckName::Poller;
    let Some(of) = pollers.first().map(|it| it.last_begun.schedule.of) else {
        return Check::new(name, CheckStatus::Degraded, "The poller has not run yet.");
    };
    let known_since = pollers.iter().map(|it| it.known_since).min().unwrap_or(now);
    // A schedule without a completed run may have started when the poller was first seen.
    let last_end = |shard: u32| {
        let poller = pollers.iter().find(|it| it.last_begun.schedule == Schedule { shard, of });
        let ended = poller.and_then(|it| it.last_ended.as_ref()).map(|run| run.at);
        ended.unwrap_or(poller.map_or(known_since, |it| it.known_since))
    };
    let oldest = (0..of).map(last_end).min().unwrap_or(known_since);
    let silent = seconds_between(oldest, now);
    let (status, detail) = if silent > POLLER_SILENT_SECONDS {
        (
            CheckStatus::Failed,
            "A schedule of the poller has not completed a run for too long. New events are not found.",
        )
    } else {
        (CheckStatus::Ok, "Each schedule of the poller runs.")
    };
    Check::new(name, status, detail)
        .since(oldest, now)
        .at_most("silentSeconds", silent, POLLER_SILENT_SECONDS)
        .figure("schedules", i64::from(of))
}

fn practices(pollers: &[Poller], now: Timestamp) -> Check {
    let name = CheckName::Practices;
    let ended = || pollers.iter().filter_map(|it| it.last_ended.as_ref());
    let mut reasons: Vec<ReasonCount> = Vec::new();
    for it in ended().flat_map(|run| &run.faults) {
        let count = i64::try_from(it.practices).unwrap_or(i64::MAX);
        match reasons.iter_mut().find(|known| known.reason == it.fault) {
            Some(known) => known.count += count,
            None => reasons.push(ReasonCount { reason: it.fault, count }),
        }
    }
    reasons.sort_by_key(|it| std::cmp::Reverse(it.count));
    let mut failing: Vec<&FailingPractice> = ended().flat_map(|run| &run.failing).collect();
    failing.sort_by_key(|it| it.since);
    failing.truncate(MOST_NAMED);
    let polled: u64 = ended().map(|run| run.practices).sum();
    let count = reasons.iter().map(|it| it.count).sum();
    let (status, detail) = if count > FAILING_PRACTICES {
        (CheckStatus::Degraded, "Some practices' databases do not respond, or cannot be read.")
    } else {
        (CheckStatus::Ok, "Every practice's database responds.")
    };
    let mut check = Check::new(name, status, detail);
    if let Some(oldest) = failing.first() {
        check = check.since(oldest.since, now);
    }
    let listed = failing.into_iter().map(|it| ConcernedPractice {
        practicepass: it.practicepass.clone(),
        reason: it.fault,
        since: Some(it.since.to_string()),
    });
    check
        .at_most("failing", count, FAILING_PRACTICES)
        .figure("polled", i64::try_from(polled).unwrap_or(i64::MAX))
        .concerning(ConcernedPractices { count, reasons, listed: listed.collect() })
}

fn catalog(pollers: &[Poller], now: Timestamp) -> Check {
    let name = CheckName::Catalog;
    let found = pollers.iter().find_map(|it| it.last_begun.catalog.map(|state| (state, it.last_begun.at)));
    let Some((state, at)) = found else {
        return Check::new(name, CheckStatus::Degraded, "The poller has not opened the catalog yet.");
    };
    let newest = catalog::migrate::newest();
    let check = match state {
        CatalogState::Version(version) => {
            let (status, detail) = if version < newest {
                (
                    CheckStatus::Failed,
                    "The catalog's schema is older than the functions. Migrate the catalog.",
                )
            } else {
                (CheckStatus::Ok, "The catalog can be opened, and its schema is current.")
            };
            Check::new(name, status, detail).at_least("schemaVersion", version, newest)
        }
        CatalogState::Fault(fault) => Check::new(name, CheckStatus::Failed, in_words(fault)),
    };
    check.since(at, now)
}

fn in_words(fault: PracticeFault) -> &'static str {
    match fault {
        PracticeFault::Unreachable => "The catalog database does not respond, or refuses connections.",
        PracticeFault::RefusedLogin => "The catalog database rejects the role or the password.",
        PracticeFault::WrongDatabase => "The catalog's connection string leads to another database.",
        PracticeFault::NotRegistered => "The catalog's connection string has an unknown format.",
        PracticeFault::NoConnectionString => "The catalog's connection string cannot be read.",
        PracticeFault::StoreFailed => "Secrets Manager failed when the poller opened the catalog.",
        PracticeFault::StatementFailed | PracticeFault::OldSchema | PracticeFault::OldTimeZoneRules => {
            "The catalog database rejects a statement. Probably it was never migrated."
        }
    }
}
