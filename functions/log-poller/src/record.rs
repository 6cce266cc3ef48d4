//! The record of each run: its times, the catalog's state, and failing practices.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use shared::{
    app::{self, App},
    auth::CatalogGrant,
    control::pollers::{BegunRun, CatalogState, EndedRun, FailingPractice, FaultCount, MOST_NAMED, Schedule},
    domain::{PracticeFault, PracticePass},
};
use tokio::time::timeout;

use crate::{Poll, quiet::Asked, rounds::Polled};

impl Poll {
    fn schedule(self) -> Schedule {
        let of = self.of.max(1);
        Schedule { shard: self.shard % of, of }
    }
}

/// Records the start of a run and the state of the catalog; returns the previous run's results.
///
/// Events are sent even if the record cannot be written.
pub(crate) async fn begin(app: &App, poll: Poll) -> EndedRun {
    let schedule = poll.schedule();
    let at = app.clock.now();
    let begun = BegunRun { schedule, at, catalog: catalog(app, schedule).await };
    match app.control.begin_poll(&begun).await {
        Ok(poller) => poller.last_ended.unwrap_or_default(),
        Err(error) => {
            tracing::error!(%error, "the start of the run was not recorded");
            EndedRun::default()
        }
    }
}

/// Records the end of a run. `before` is the result of the previous run.
pub(crate) async fn end(app: &App, poll: Poll, found: (Polled, Asked), before: EndedRun) {
    let run = ended(app.clock.now(), found, before);
    if let Err(error) = app.control.end_poll(poll.schedule(), &run).await {
        tracing::error!(%error, "the end of the run was not recorded");
    }
}

fn ended(at: Timestamp, (polled, asked): (Polled, Asked), before: EndedRun) -> EndedRun {
    let known: HashMap<PracticePass, Timestamp> =
        before.failing.iter().map(|it| (it.practicepass.clone(), it.since)).collect();
    let mut counts: BTreeMap<PracticeFault, u64> = BTreeMap::new();
    let is_polled = |it: &FailingPractice| polled.practices.contains(&it.practicepass);
    // Practices without subscriptions are checked only now and then. Until the next check, the last
    // result applies.
    let is_left = |it: &FailingPractice| {
        !asked.practices.contains(&it.practicepass)
            && asked.registered.as_ref().is_none_or(|registered| registered.contains(&it.practicepass))
    };
    let left = before.failing.into_iter().filter(is_left);
    let quiet: Vec<FailingPractice> =
        asked.failing.iter().cloned().chain(left).filter(|it| !is_polled(it)).collect();
    let mut failing = polled.failing;
    failing.extend(quiet);
    for practice in &mut failing {
        *counts.entry(practice.fault).or_default() += 1;
        let since = known.get(&practice.practicepass);
        practice.since = since.map_or(practice.since, |since| *since.min(&practice.since));
    }
    let order = |it: &FailingPractice| (it.since, it.practicepass.to_string());
    failing.sort_by_key(order);
    failing.truncate(MOST_NAMED);
    EndedRun {
        at,
        practices: u64::try_from(polled.practices.len()).unwrap_or(u64::MAX),
        faults: counts.into_iter().map(|(fault, practices)| FaultCount { fault, practices }).collect(),
        failing,
    }
}

/// Checks the catalog, in the first schedule for all: only functions with databases can reach it.
async fn catalog(app: &App, schedule: Schedule) -> Option<CatalogState> {
    if schedule.shard != 0 || app.config.catalog_dsn.is_none() {
        return None;
    }
    let opening = async {
        let db = app.open_catalog(&CatalogGrant::for_operations()).await?;
        Ok::<_, app::Error>(db.schema_version().await?)
    };
    Some(match timeout(app.config.timeouts.polled_database, opening).await {
        Ok(Ok(version)) => CatalogState::Version(version),
        Ok(Err(error)) => {
            tracing::error!(%error, "cannot open the catalog");
            CatalogState::Fault(error.fault())
        }
        Err(_) => {
            tracing::error!("the catalog does not respond");
            CatalogState::Fault(PracticeFault::Unreachable)
        }
    })
}

#[cfg(test)]
mod tests {
    use shared::control::pollers::FailingPractice;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn named(names: &[&str]) -> std::collections::HashSet<PracticePass> {
        names.iter().map(|it| PracticePass::try_from(*it).unwrap()).collect()
    }

    fn failing(name: &str, fault: PracticeFault, since: i64) -> FailingPractice {
        FailingPractice { practicepass: PracticePass::try_from(name).unwrap(), fault, since: at(since) }
    }

    #[test]
    fn a_failing_practice_keeps_the_time_of_its_first_failed_run() {
        let before = EndedRun {
            failing: vec![
                failing("Old", PracticeFault::Unreachable, 10),
                failing("Well", PracticeFault::Unreachable, 5),
                failing("Quiet", PracticeFault::Unreachable, 20),
                failing("Mended", PracticeFault::Unreachable, 6),
                failing("Removed", PracticeFault::Unreachable, 7),
            ],
            ..EndedRun::default()
        };
        let new = vec![
            failing("New", PracticeFault::RefusedLogin, 60),
            failing("Old", PracticeFault::RefusedLogin, 61),
        ];
        let polled = Polled { practices: named(&["Old", "New", "Well"]), failing: new };
        let asked = Asked {
            registered: Some(named(&["Old", "New", "Well", "Quiet", "Mended"])),
            practices: named(&["Mended"]),
            failing: Vec::new(),
        };
        let run = ended(at(120), (polled, asked), before);
        assert_eq!(
            run.failing,
            [
                failing("Old", PracticeFault::RefusedLogin, 10),
                failing("Quiet", PracticeFault::Unreachable, 20),
                failing("New", PracticeFault::RefusedLogin, 60)
            ]
        );
        assert_eq!(
            run.faults,
            [
                FaultCount { fault: PracticeFault::Unreachable, practices: 1 },
                FaultCount { fault: PracticeFault::RefusedLogin, practices: 2 },
            ]
        );
        assert_eq!((run.at, run.practices), (at(120), 3));
    }

    #[test]
    fn all_failing_practices_are_counted_and_the_longest_failing_are_named() {
        let many = (0..10_000).rev().map(|n| failing(&format!("P{n}"), PracticeFault::Unreachable, n));
        let many: Vec<FailingPractice> = many.collect();
        let practices = many.iter().map(|it| it.practicepass.clone()).collect();
        let polled = Polled { practices, failing: many };
        let run = ended(at(20_000), (polled, Asked::default()), EndedRun::default());
        assert_eq!(run.faults, [FaultCount { fault: PracticeFault::Unreachable, practices: 10_000 }]);
        assert_eq!(run.failing.len(), MOST_NAMED);
        assert_eq!(run.failing[0].practicepass.as_str(), "P0");
    }
}
