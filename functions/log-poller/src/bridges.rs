//! Once a day each practice that is attached to its EMR is compared with it, and series of the EMR's are followed further.

use jiff::Timestamp;
use shared::{
    app::{self, App},
    auth::PracticeGrant,
    domain::PracticePass,
    telemetry::metrics,
    tenant::{
        self, Bridge,
        bridge::{self, Finding},
    },
};
use tokio::time::timeout;

use crate::practice::PracticeError;

/// The name that administrators see in place of a table's in the list of data problems.
const TABLE: &str = "bridge";

/// Compares the practice with its EMR, if it is attached, and reports what is to be looked at, also that it could not be compared.
/// Returns the number of findings. The poller itself reports a database that doesn't answer; it is compared the next day.
///
/// # Errors
/// When the database or the control plane doesn't answer.
pub async fn look_after(
    app: &App,
    practicepass: &PracticePass,
    deadline: Timestamp,
) -> Result<usize, PracticeError> {
    let left = (deadline - app.clock.now()).total(jiff::Unit::Second).unwrap_or_default().clamp(1.0, 600.0);
    let work = Box::pin(compare(app, practicepass));
    let findings = match timeout(std::time::Duration::from_secs_f64(left), work).await {
        Ok(Err(PracticeError::App(app::Error::Tenant(error)) | PracticeError::Tenant(error))) => {
            vec![not_compared(error)?]
        }
        Ok(compared) => compared?,
        Err(_) => vec!["could not be compared in time".to_owned()],
    };
    if findings.is_empty() {
        return Ok(0);
    }
    tracing::error!(
        target: metrics::POLLS,
        BridgeFindings = findings.len(),
        practice = %practicepass,
        findings = findings.join("; "),
        "a practice and its EMR are not the same; `check-practice` says more"
    );
    app.control.record_data_problems(Some(practicepass), TABLE, &findings, app.clock.now()).await?;
    Ok(findings.len())
}

async fn compare(app: &App, practicepass: &PracticePass) -> Result<Vec<String>, PracticeError> {
    let db = app.open(&PracticeGrant::for_operations(practicepass.clone())).await?;
    if Bridge::of(&db).await?.is_none() {
        return Ok(Vec::new());
    }
    let findings = bridge::check(&db).await?;
    let renewed = bridge::renew(&db).await?;
    tracing::info!(%practicepass, renewed, "compared with its EMR");
    // Examples can hold what a patient is called.
    Ok(findings.into_iter().map(|Finding { finding, count, .. }| format!("{finding}: {count}")).collect())
}

/// A bridge of which something is missing can't even compare; a database that is down is another's to tell.
fn not_compared(error: tenant::Error) -> Result<String, tenant::Error> {
    match error {
        tenant::Error::Statement(_) | tenant::Error::Refused(_) => {
            tracing::error!(%error, cause = ?std::error::Error::source(&error), "a practice could not be compared with its EMR");
            Ok("could not be compared".to_owned())
        }
        error if error.is_of_emr() => Ok("the EMR's server does not answer".to_owned()),
        error => Err(error),
    }
}
