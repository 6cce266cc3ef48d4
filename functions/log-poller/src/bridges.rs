//! Care of practices that are attached to their EMR.
//!
//! Once a day each practice is compared with its EMR, and the EMR's series are extended. Each run
//! applies changes that could not be applied when the EMR made them.

use shared::sql;
use std::collections::HashSet;

use futures::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use shared::{
    app::App,
    auth::PracticeGrant,
    domain::PracticePass,
    telemetry::metrics,
    tenant::{
        Bridge, TenantDb,
        bridge::{self, Finding},
    },
};
use tokio::time::timeout;

use crate::{
    error::{PracticeError, in_time},
    time_left,
};

/// The name that administrators see instead of a table's in the list of data problems.
const TABLE: &str = "bridge";
/// The period, in minutes, over which the practices are spread.
///
/// Once per period each practice is checked for a due comparison. So a missed one, such as while
/// the poller or the database was down, is made up for within the hour.
const MINUTES: u32 = 60;
/// Less than a day, so that the next day's comparison is due in the same minute.
const PERIOD: SignedDuration = SignedDuration::from_mins(23 * 60 + 30);
/// The number of practices processed concurrently; they share the databases with calls.
const AT_ONCE: usize = 4;
/// The minimum time for a comparison that has started; one that would have less waits for the next
/// period.
const SHORTEST: SignedDuration = SignedDuration::from_secs(20);
/// The time after which a run applies no other batch of changes. Each takes two seconds at most.
const CATCH_UP: SignedDuration = SignedDuration::from_millis(2_500);

/// Compares the practices whose minute it is, if their last comparison is a day old.
pub(crate) async fn run(app: &App, practices: &HashSet<PracticePass>, deadline: Timestamp) {
    let minute = app.clock.now().as_second().div_euclid(60).rem_euclid(i64::from(MINUTES));
    let due =
        practices.iter().filter(|it| i64::from(crc32fast::hash(it.as_str().as_bytes()) % MINUTES) == minute);
    let comparing = stream::iter(due).for_each_concurrent(AT_ONCE, async |practicepass| {
        if app.clock.now() + SHORTEST > deadline {
            return;
        }
        if let Err(error) = look_after(app, practicepass, deadline).await {
            tracing::error!(%practicepass, %error, "a practice was not compared with its EMR");
        }
    });
    comparing.await;
}

/// Applies changes that could not be applied when the EMR wrote them.
///
/// Failures are logged and retried in the next run; they do not delay events.
pub(crate) async fn catch_up(app: &App, db: &TenantDb) {
    let until = app.clock.now() + CATCH_UP;
    match in_time(app, bridge::catch_up(db, || app.clock.now() < until)).await {
        Ok(0) => {}
        Ok(applied) => {
            tracing::info!(practice = %db.practicepass(), applied, "changes of the EMR were applied later");
        }
        Err(error) => {
            tracing::warn!(practice = %db.practicepass(), %error, "changes of the EMR could not be applied");
        }
    }
}

/// Compares an attached practice with its EMR if the last comparison is a day old, and reports the
/// findings; returns their number.
///
/// Returns `None` if no comparison was due. The practice's own database records when it was
/// compared. A failed comparison is a finding too. The poller itself reports a database that does
/// not respond; the comparison is then still due.
///
/// # Errors
/// If the database or the control plane does not respond.
pub async fn look_after(
    app: &App,
    practicepass: &PracticePass,
    deadline: Timestamp,
) -> Result<Option<usize>, PracticeError> {
    let db = app.open(&PracticeGrant::for_operations(practicepass.clone())).await?;
    if Bridge::of(&db).await?.is_none() || !bridge::is_due(&db, app.clock.now() - PERIOD).await? {
        return Ok(None);
    }
    let findings = match timeout(time_left(app, deadline), Box::pin(compare(&db))).await {
        Ok(compared) => compared.or_else(not_compared)?,
        Err(_) => vec!["the comparison timed out".to_owned()],
    };
    bridge::record_check(&db, app.clock.now()).await?;
    if findings.is_empty() {
        return Ok(Some(0));
    }
    tracing::error!(
        target: metrics::POLLS,
        BridgeFindings = findings.len(),
        practice = %practicepass,
        findings = findings.join("; "),
        "a practice and its EMR differ; run `check-practice`"
    );
    app.control.record_data_problems(Some(practicepass), TABLE, &findings, app.clock.now()).await?;
    Ok(Some(findings.len()))
}

async fn compare(db: &TenantDb) -> sql::Result<Vec<String>> {
    let findings = bridge::check(db).await?;
    // Leave out the examples, which can contain patients' names.
    let mut words: Vec<String> =
        findings.into_iter().map(|Finding { finding, count, .. }| format!("{finding}: {count}")).collect();
    match bridge::renew(db).await {
        Ok(renewed) => tracing::info!(practice = %db.practicepass(), renewed, "compared with its EMR"),
        // A finding, too: absences of the staff would be booked.
        Err(error) => {
            tracing::error!(practice = %db.practicepass(), %error, "series of the EMR were not extended");
            words.push("series of the EMR could not be extended".to_owned());
        }
    }
    Ok(words)
}

/// A damaged bridge cannot be compared; a database that is down is reported by the poller.
fn not_compared(error: sql::Error) -> sql::Result<Vec<String>> {
    match error {
        sql::Error::Statement(cause) => {
            // Leave out the detail, which can contain a row.
            let answer = cause.as_database_error();
            let code = if let Some(answer) = answer { answer.code() } else { None };
            tracing::error!(code = code.as_deref(), %cause, "a practice could not be compared with its EMR");
            Ok(vec!["could not be compared".to_owned()])
        }
        error if error.is_of_emr() => Ok(vec!["the EMR's server does not answer".to_owned()]),
        error => Err(error),
    }
}
