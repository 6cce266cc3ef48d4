//! Practices without subscriptions. Nobody reads their logs, but partners call them: each is asked
//! a few times an hour whether it answers.

use std::collections::HashSet;

use futures::{StreamExt, stream};
use jiff::Timestamp;
use shared::{
    app::App,
    auth::PracticeGrant,
    control::pollers::FailingPractice,
    domain::{PracticeFault, PracticePass},
    tenant::{bridge, log},
};

use crate::{
    bridges,
    practice::{PracticeError, in_time},
};

/// Minutes among which the practices are spread: each is asked once in this period.
const MINUTES: u32 = 15;
/// Practices at the same time; they share the databases with calls.
const AT_ONCE: usize = 4;

/// The result of asking.
#[derive(Default)]
pub(crate) struct Asked {
    /// All practices of the schedule; `None` when they couldn't be listed.
    pub(crate) registered: Option<HashSet<PracticePass>>,
    /// Those that were asked.
    pub(crate) practices: HashSet<PracticePass>,
    pub(crate) failing: Vec<FailingPractice>,
}

impl Asked {
    /// Nobody is asked, and nothing that was found before is kept.
    pub(crate) fn nobody() -> Self {
        Self { registered: Some(HashSet::new()), ..Self::default() }
    }
}

/// Asks those of the practices whose minute it is, until `deadline`.
pub(crate) async fn ask(app: &App, practices: &HashSet<PracticePass>, deadline: Timestamp) -> Asked {
    let now = app.clock.now();
    let due = practices.iter().filter(|it| is_due(it, now));
    let asked = stream::iter(due).map(async |practice| {
        if app.clock.now() >= deadline {
            return None;
        }
        Some((practice.clone(), answers(app, practice, deadline).await.err()))
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

async fn answers(app: &App, practice: &PracticePass, deadline: Timestamp) -> Result<(), PracticeFault> {
    let grant = PracticeGrant::for_operations(practice.clone());
    let asked = async {
        let db = in_time(app, app.open(&grant)).await?;
        let newest = async { log::highest(&mut db.connection().await?).await };
        in_time(app, newest).await?;
        // The EMR may be down; the practice answers all the same.
        if let Err(error) = in_time(app, bridge::pull(&db)).await {
            tracing::warn!(practice = %practice, %error, "changes of the practice's EMR could not be pulled");
        }
        bridges::catch_up(app, &db, deadline).await;
        Ok::<(), PracticeError>(())
    };
    asked.await.map_err(|error| {
        tracing::error!(practice = %practice, %error, "a practice doesn't answer");
        error.fault()
    })
}
