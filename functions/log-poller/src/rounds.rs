//! Scheduling of polls.
//!
//! Every practice is polled separately, so that a hanging database delays no other practice.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use futures::{StreamExt, stream::FuturesUnordered};
use jiff::{SignedDuration, Timestamp};
use shared::{
    app::App,
    control::{self, pollers::FailingPractice},
    domain::{PracticeFault, PracticePass},
    telemetry::metrics,
};
use tokio::{
    sync::Semaphore,
    time::{Instant, error::Elapsed, sleep_until, timeout},
};

use crate::{
    Poll,
    error::PracticeError,
    leases::Leases,
    practice::{PollResult, poll},
    time_left,
};

/// The number of practices polled concurrently.
const CONCURRENT_HEALTHY: usize = 16;
/// The same for practices whose last poll failed, which wait only for each other.
const CONCURRENT_FAILING: usize = 4;
/// The longest poll of a practice with a backlog, before other practices have their turn.
const TURN: SignedDuration = SignedDuration::from_secs(5);
/// The longest wait before a failing practice is polled again. Waits double up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(32);
/// How often the list of practices with subscriptions is checked for changes.
///
/// A new subscription can wait this long.
const LIST_EVERY: Duration = Duration::from_secs(5);
/// How long the list is read again after a change: the index can be behind the version.
const SETTLES: Duration = Duration::from_secs(30);
/// How long polls in progress at the deadline may take to end.
pub(crate) const LAST_WAIT: Duration = Duration::from_secs(2);
/// The time that the first attempt to read the list has in any case.
const FIRST_LIST: Duration = Duration::from_secs(5);

/// The result of a run.
pub(crate) struct Polled {
    pub(crate) practices: HashSet<PracticePass>,
    /// Practices whose last poll failed.
    pub(crate) failing: Vec<FailingPractice>,
}

/// The intermediate results of a run.
#[derive(Default)]
struct Tally {
    /// Practices whose last poll failed.
    failing: HashMap<PracticePass, PracticeFailure>,
    events: usize,
}

/// A practice whose last poll failed.
///
/// Needs no circuit breaker beyond the database's own: nothing else calls this practice in the run,
/// so the next poll is the probe.
struct PracticeFailure {
    /// The number of consecutive failures.
    failures: u32,
    /// When the next poll may start.
    again: Instant,
    fault: PracticeFault,
    since: Timestamp,
}

/// A run's list of practices with subscriptions.
#[derive(Default)]
struct List {
    practices: Vec<PracticePass>,
    /// When the list is read again.
    again: Option<Instant>,
    /// Why it could not be read in the last round in which that failed.
    failed: Option<control::Error>,
    /// The version at the last read.
    version: Option<i64>,
    /// Until then the list is read again, even if its version is unchanged.
    settles: Option<Instant>,
}

impl List {
    /// Reads the list if it is time to. If that fails, the practices listed before remain.
    async fn refresh(&mut self, app: &App, leases: &Leases, schedule: Poll, deadline: Timestamp) {
        if self.again.is_some_and(|again| Instant::now() < again) {
            return;
        }
        // A run without time polls each practice once, so it must know them.
        let is_first = self.version.is_none() && self.failed.is_none();
        let least = if is_first { FIRST_LIST } else { Duration::ZERO };
        let left = time_left(app, deadline).max(least);
        match timeout(left, self.read(app, schedule)).await.unwrap_or_else(late) {
            Ok(changed) => {
                if let Some(listed) = changed {
                    self.practices = listed;
                    leases.release_others(app, &self.practices).await;
                }
                self.again = Some(Instant::now() + LIST_EVERY);
            }
            Err(error) => {
                tracing::error!(%error, "cannot list the practices with subscriptions");
                self.failed = Some(error);
            }
        }
    }

    /// Returns the schedule's practices with subscriptions; `None` if they are unchanged.
    async fn read(&mut self, app: &App, schedule: Poll) -> control::Result<Option<Vec<PracticePass>>> {
        let version = app.control.subscriptions_version().await?;
        let changed = self.version.is_some_and(|known| known != version);
        if changed {
            self.settles = Some(Instant::now() + SETTLES);
        }
        let settled = self.settles.is_none_or(|until| until <= Instant::now());
        if self.version == Some(version) && settled {
            return Ok(None);
        }
        let listed = app.control.practices_with_subscriptions(schedule.buckets()).await?;
        self.version = Some(version);
        Ok(Some(listed.into_iter().filter(|practice| schedule.takes(practice)).collect()))
    }
}

/// Polls the practices until `deadline`, or each once.
///
/// # Errors
/// If the practices could not be listed in some round.
pub(crate) async fn run(
    app: &App,
    leases: &Leases,
    schedule: Poll,
    deadline: Timestamp,
) -> control::Result<Polled> {
    let interval = app.config.poll_interval;
    let (healthy, failing_lane) = (Semaphore::new(CONCURRENT_HEALTHY), Semaphore::new(CONCURRENT_FAILING));
    let mut under_way = FuturesUnordered::new();
    let mut busy: HashSet<PracticePass> = HashSet::new();
    let mut tally = Tally::default();
    let mut list = List::default();
    loop {
        list.refresh(app, leases, schedule, deadline).await;
        let begun = Instant::now();
        for practice in &list.practices {
            let health = tally.failing.get(practice);
            if busy.contains(practice) || health.is_some_and(|it| begun < it.again) {
                continue;
            }
            let lane = if health.is_some() { &failing_lane } else { &healthy };
            busy.insert(practice.clone());
            under_way.push(turn(app, leases, practice.clone(), deadline, lane));
        }
        // No wait if reading the list has used up the time.
        let next = begun + interval.min(time_left(app, deadline));
        loop {
            let ended = tokio::select! {
                // If there is only one round, wait for all of its polls.
                () = sleep_until(next), if !schedule.once => break,
                ended = under_way.next() => ended,
            };
            let Some((practice, result)) = ended else {
                if !schedule.once {
                    sleep_until(next).await;
                }
                break;
            };
            busy.remove(&practice);
            let more = tally.note(&practice, &result, app.clock.now());
            if more && !schedule.once && app.clock.now() < deadline {
                busy.insert(practice.clone());
                under_way.push(turn(app, leases, practice, deadline, &healthy));
            }
        }
        if schedule.once || app.clock.now() + interval >= deadline {
            break;
        }
    }
    let rest = async {
        while let Some((practice, result)) = under_way.next().await {
            busy.remove(&practice);
            tally.note(&practice, &result, app.clock.now());
        }
    };
    if timeout(LAST_WAIT, rest).await.is_err() {
        tracing::warn!(practices = busy.len(), "polls were interrupted; their leases will expire");
    }
    tracing::info!(
        target: metrics::POLLS,
        EventsRead = tally.events,
        PracticesFailed = tally.failing.len(),
        "polled"
    );
    match list.failed {
        Some(error) => Err(error),
        None => Ok(Polled { practices: list.practices.into_iter().collect(), failing: tally.failing() }),
    }
}

fn late<T>(_: Elapsed) -> control::Result<T> {
    let reason = "the practices were not listed before the end of the run".to_owned();
    Err(control::Error::Unavailable { service: "DynamoDB", reason })
}

async fn turn(
    app: &App,
    leases: &Leases,
    practice: PracticePass,
    deadline: Timestamp,
    lane: &Semaphore,
) -> (PracticePass, Result<PollResult, PracticeError>) {
    // The semaphore is never closed.
    let _place = lane.acquire().await;
    let until = deadline.min(app.clock.now() + TURN);
    let result = timeout(app.config.timeouts.polled_turn, poll(app, leases, &practice, until)).await;
    (practice, result.unwrap_or(Err(PracticeError::Silent)))
}

impl Tally {
    /// Records the result of a poll; returns whether the practice has more rows to read.
    fn note(
        &mut self,
        practice: &PracticePass,
        result: &Result<PollResult, PracticeError>,
        now: Timestamp,
    ) -> bool {
        match result {
            Ok(turn) => {
                self.failing.remove(practice);
                self.events += turn.events;
                if turn.events > 0 {
                    tracing::info!(%practice, events = turn.events, "events sent");
                }
                turn.more
            }
            Err(error) => {
                let before = self.failing.get(practice);
                let failures = before.map_or(0, |it| it.failures);
                let wait = Duration::from_secs(1 << failures.min(5)).min(LONGEST_WAIT);
                let since = before.map_or(now, |it| it.since);
                let (failures, again) = (failures + 1, Instant::now() + wait);
                let failing = PracticeFailure { failures, again, fault: error.fault(), since };
                self.failing.insert(practice.clone(), failing);
                tracing::error!(%practice, %error, failures, "a practice was not polled");
                false
            }
        }
    }

    fn failing(self) -> Vec<FailingPractice> {
        let failing = |(practicepass, PracticeFailure { fault, since, .. })| FailingPractice {
            practicepass,
            fault,
            since,
        };
        self.failing.into_iter().map(failing).collect()
    }
}
