//! The result of one check, and its time limit.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use shared::{
    control::{self, Error},
    domain::{PracticeFault, PracticePass},
};
use tokio::time::{Instant, timeout};
use utoipa::ToSchema;

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident $text:tt $meaning:literal $section:literal;)+) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
        pub(crate) enum CheckName {
            $($(#[$doc])* #[serde(rename = $text)] $name,)+
        }

        impl CheckName {
            pub(super) const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// Returns what the check is about, and what depends on it.
            const fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)+ }
            }

            /// Returns the section of infra/runbook.md that says what to do.
            const fn runbook(self) -> &'static str {
                match self { $(Self::$name => $section,)+ }
            }
        }
    };
}

names! {
    ControlPlane "controlPlane" "The DynamoDB tables hold partners, keys, sessions, rate limits, deliveries \
        and the audit log. Without them, no call can be served." "DynamoDB refuses";
    Catalog "catalog" "The catalog database holds the products and the knowledge base." "The catalog fails";
    Poller "poller" "The log poller finds new events in the practices' databases and requeues due retries."
        "The poller is silent";
    Practices "practices" "The log poller reads the event logs of the practices with subscriptions, and \
        contacts each other practice every 15 minutes. If a practice's database fails, its events wait \
        there, and API calls for the practice probably fail, too." "A practice's database is down";
    Events "events" "Webhook events wait in this queue for delivery." "Events wait";
    SlowEvents "slowEvents" "Webhook events for endpoints that take more than a second wait in this queue."
        "Events wait";
    DeadLetters "deadLetters"
        "This queue keeps webhook events for 14 days if the platform failed to process them 5 times."
            "Dead letters";
    DueRetries "dueRetries" "The log poller requeues deliveries whose next attempt is due."
        "Due retries pile up";
    Migrations "migrations" "Each deployment migrates all practices' databases. Calls for a practice with an \
        older schema can fail. Visits with older time-zone rules can be an hour off." "Migrate";
    TokenKeys "tokenKeys" "These keys sign the access tokens of all partners. Rotate them once a quarter."
        "Rotate the token key";
    AdminSecret "adminSecret" "This secret grants every right of an administrator. Rotate it once a year."
        "Rotate the admin secret";
    EdgeSecret "edgeSecret" "The portal's CloudFront distribution authenticates to the API with this secret. \
        Rotate it once a year." "Rotate the edge's secret";
}

/// The result of a check.
///
/// `degraded`: it works, but something is delayed or overdue, or fails for some. `failed`: it works
/// for nobody, or cannot be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum CheckStatus {
    Ok,
    Degraded,
    Failed,
}

/// One check and its result.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Check {
    pub(super) name: CheckName,
    pub(super) status: CheckStatus,
    /// The finding, in one sentence.
    #[schema(example = "No event waits in the dead-letter queue.")]
    detail: String,
    /// The subject of the check, and everything that depends on it.
    #[schema(value_type = String)]
    meaning: &'static str,
    /// The section of the runbook (`infra/runbook.md`) that says what to do.
    #[schema(value_type = String, example = "Dead letters")]
    runbook: &'static str,
    /// RFC 3339: since when the finding has been true, if known.
    since: Option<String>,
    /// Seconds since `since`.
    age_seconds: Option<i64>,
    figures: Vec<Figure>,
    /// The affected practices; null if the check is not about practices.
    practices: Option<ConcernedPractices>,
    /// How long the check took.
    duration_ms: u64,
}

/// A measured number.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Figure {
    #[schema(value_type = String, example = "waiting")]
    name: &'static str,
    value: i64,
    /// The threshold: the check is not `ok` if the value is greater.
    at_most: Option<i64>,
    /// The threshold: the check is not `ok` if the value is less.
    at_least: Option<i64>,
}

/// How many practices are affected, why, and some of them.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConcernedPractices {
    pub(super) count: i64,
    pub(super) reasons: Vec<ReasonCount>,
    /// At most 50 affected practices, longest affected first.
    pub(super) listed: Vec<ConcernedPractice>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReasonCount {
    pub(super) reason: PracticeFault,
    pub(super) count: i64,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConcernedPractice {
    #[schema(example = "DemoOffice")]
    pub(super) practicepass: PracticePass,
    pub(super) reason: PracticeFault,
    /// RFC 3339.
    pub(super) since: Option<String>,
}

impl Check {
    pub(super) fn new(name: CheckName, status: CheckStatus, detail: impl Into<String>) -> Self {
        Self {
            name,
            status,
            detail: detail.into(),
            meaning: name.meaning(),
            runbook: name.runbook(),
            since: None,
            age_seconds: None,
            figures: Vec::new(),
            practices: None,
            duration_ms: 0,
        }
    }

    pub(super) fn since(mut self, since: Timestamp, now: Timestamp) -> Self {
        self.since = Some(since.to_string());
        self.age_seconds = Some(seconds_between(since, now));
        self
    }

    pub(super) fn figure(self, name: &'static str, value: i64) -> Self {
        self.with(Figure { name, value, at_most: None, at_least: None })
    }

    pub(super) fn at_most(self, name: &'static str, value: i64, most: i64) -> Self {
        self.with(Figure { name, value, at_most: Some(most), at_least: None })
    }

    pub(super) fn at_least(self, name: &'static str, value: i64, least: i64) -> Self {
        self.with(Figure { name, value, at_most: None, at_least: Some(least) })
    }

    pub(super) fn concerning(mut self, practices: ConcernedPractices) -> Self {
        self.practices = Some(practices);
        self
    }

    pub(super) fn took(mut self, began: Instant) -> Self {
        self.duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self
    }

    fn with(mut self, figure: Figure) -> Self {
        self.figures.push(figure);
        self
    }
}

/// Returns the seconds between two instants; never negative, although their clocks may differ.
pub(super) fn seconds_between(since: Timestamp, now: Timestamp) -> i64 {
    now.duration_since(since).as_secs().max(0)
}

/// Runs checks with a time limit. If they fail or time out, each of `names` gets a failed check.
pub(super) async fn bounded(
    limit: Duration,
    names: &[CheckName],
    checking: impl Future<Output = control::Result<Vec<Check>>>,
) -> Vec<Check> {
    let began = Instant::now();
    let checked = timeout(limit, checking).await;
    let failed = |detail: &str| {
        let check = |name: &CheckName| Check::new(*name, CheckStatus::Failed, detail);
        names.iter().map(check).collect()
    };
    let checks: Vec<Check> = match checked {
        Ok(Ok(checks)) => checks,
        Ok(Err(error)) => {
            tracing::warn!(check = names[0].as_str(), %error, "a readiness check failed");
            failed(&in_words(&error))
        }
        Err(_) => {
            tracing::warn!(check = names[0].as_str(), "a readiness check timed out");
            failed(&too_long(limit))
        }
    };
    checks.into_iter().map(|check| check.took(began)).collect()
}

pub(super) fn too_long(limit: Duration) -> String {
    format!("There was no response within {} ms.", limit.as_millis())
}

/// Describes the error without the store's own message, which can contain names and addresses.
fn in_words(error: &Error) -> String {
    match error {
        Error::Unavailable { service, .. } => format!("{service} does not respond, or is overloaded."),
        Error::Refused { service, .. } => {
            format!("{service} rejects the call: a permission, a name or a key is wrong. See the log.")
        }
        Error::NotConfigured(what) => format!("The function has no {what}. Set it."),
        Error::Malformed(_) | Error::ConditionFailed => {
            "The stored data cannot be read. See the log.".to_owned()
        }
    }
}
