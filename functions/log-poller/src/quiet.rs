//! Checks of practices without subscriptions.
//!
//! Their logs are not read, but partners call them. So each is checked a few times an hour for
//! whether it responds.

use std::{collections::HashSet, time::Duration};

use futures::{StreamExt, stream};
use jiff::Timestamp;
use shared::{
    app::App,
    auth::PracticeGrant,
    control::pollers::FailingPractice,
    domain::{PracticeFault, PracticePass},
    tenant::{bridge, log},
};
use tokio::time::timeout;

use crate::{
    bridges,
    error::{PracticeError, in_time},
    time_left,
};

/// The period, in minutes, in which each practice is checked once.
const MINUTES: u32 = 15;
/// The number of practices checked concurrently; they share the databases with calls.
const AT_ONCE: usize = 4;

/// The minimum time for a check that has started, even at the end of a run.
const SHORTEST: Duration = Duration::from_secs(2);

/// The result of the checks.
#[derive(Default)]
pub(crate) struct Asked {
    /// All practices of the schedule; `None` if they could not be listed.
    pub(crate) registered: Option<HashSet<PracticePass>>,
    /// The practices that were checked.
    pub(crate) practices: HashSet<PracticePass>,
    pub(crate) failing: Vec<FailingPractice>,
}

impl Asked {
    /// The result of no checks, which discards earlier results.
    pub(crate) fn nobody() -> Self {
        Self { registered: Some(HashSet::new()), ..Self::default() }
    }
}

/// Checks the practices whose minute it is, until `deadline`.
pub(crate) async fn ask(app: &App, practices: &HashSet<PracticePass>, deadline: Timestamp) -> Asked {
    let now = app.clock.now();
    let due = practices.iter().filter(|it| is_due(it, now));
    let asked = stream::iter(due).map(async |practice| {
        if app.clock.now() >= deadline {
            return None;
        }
        let left = time_left(app, deadline);
        // A check that the end of the run interrupts is repeated in the practice's next minute.
        let answer = timeout(left.max(SHORTEST), answers(app, practice)).await.ok()?;
        Some((practice.clone(), answer.err()))
    });
    let asked: Vec<Option<(PracticePass, Option<PracticeFault>)>> =
        asked.buffer_unordered(AT_ONCE).collect().await;
    let (mut practices, mut failing) = (HashSet::new(), Vec::new());
    for (practicepass, fault) in asked.into_iter().flatten() {
        practices.insert(practicepass.clone());
        failing.extend(fault.map(|fault| FailingPractice { practicepass, fault, since: now }));
    }
    Asked { practices, failing, ..Asked::default() }
}

/// Whether it is one of the practice's minutes.
fn is_due(practice: &PracticePass, now: Timestamp) -> bool {
    let minute = now.as_second().div_euclid(60).rem_euclid(i64::from(MINUTES));
    i64::from(crc32fast::hash(practice.as_str().as_bytes()) % MINUTES) == minute
}

async fn answers(app: &App, practice: &PracticePass) -> Result<(), PracticeFault> {
    let grant = PracticeGrant::for_operations(practice.clone());
    let asked = async {
        let db = in_time(app, app.open(&grant)).await?;
        let newest = async { log::highest(&mut db.connection().await?).await };
        in_time(app, newest).await?;
        // The EMR may be down although the practice's database responds.
        if let Err(error) = in_time(app, bridge::pull(&db)).await {
            tracing::warn!(practice = %practice, %error, "changes of the practice's EMR could not be pulled");
        }
        bridges::catch_up(app, &db).await;
        Ok::<(), PracticeError>(())
    };
    asked.await.map_err(|error| {
        tracing::error!(practice = %practice, %error, "a practice does not respond");
        error.fault()
    })
}
