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

            /// The parts of the platform that depend on it.
            const fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)+ }
            }

            /// The section of infra/runbook.md.
            const fn runbook(self) -> &'static str {
                match self { $(Self::$name => $section,)+ }
            }
        }
    };
}

names! {
    ControlPlane "controlPlane" "DynamoDB's tables hold partners, keys, sessions, limits, deliveries and the audit log. Without them no call is served." "DynamoDB refuses";
    Catalog "catalog" "The catalog's database holds the products and the knowledge base." "The catalog fails";
    Poller "poller" "The log poller finds new events in the practices' databases and brings back retries that are due." "The poller is silent";
    Practices "practices" "The poller reads the logs of the practices that have subscriptions, and asks each of the others every quarter of an hour. The events of a practice that fails wait in its database, and calls for it most likely fail, too." "A practice's database is down";
    Events "events" "Webhook events wait in this queue for their delivery." "Events wait";
    SlowEvents "slowEvents" "Webhook events for endpoints that take more than a second wait in this queue." "Events wait";
    DeadLetters "deadLetters" "Webhook events that were given up after 5 receives, by a fault of the platform, are kept in this queue for 14 days." "Dead letters";
    DueRetries "dueRetries" "Deliveries whose next attempt is due are brought back to the queue by the poller." "Due retries pile up";
    Migrations "migrations" "Each deployment migrates all practices' databases. Calls for a practice whose schema is older can fail; visits that follow older time-zone rules can be an hour off." "Migrate";
    TokenKeys "tokenKeys" "These keys sign the access tokens of all partners. Rotate them once a quarter." "Rotate the token key";
    AdminSecret "adminSecret" "This secret has every right of an administrator. Rotate it once a year." "Rotate the admin secret";
    EdgeSecret "edgeSecret" "By this secret the portal's distribution proves itself to the API. Rotate it once a year." "Rotate the edge's secret";
}

/// `degraded`: it works, but something waits, is overdue or fails for some. `failed`: it works for nobody, or cannot be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum CheckStatus {
    Ok,
    Degraded,
    Failed,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Check {
    pub(super) name: CheckName,
    pub(super) status: CheckStatus,
    /// The finding, in a sentence.
    #[schema(example = "No event was given up.")]
    detail: String,
    /// The parts of the platform that depend on it.
    #[schema(value_type = String)]
    meaning: &'static str,
    /// The section of the operators' runbook (`infra/runbook.md`) that says what to do.
    #[schema(value_type = String, example = "Dead letters")]
    runbook: &'static str,
    /// RFC 3339: since when things are as `detail` says, where that is known.
    since: Option<String>,
    /// Seconds since `since`.
    age_seconds: Option<i64>,
    figures: Vec<Figure>,
    /// Only where practices are concerned.
    practices: Option<ConcernedPractices>,
    /// How long the check took.
    duration_ms: u64,
}

/// A number that was measured.
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

/// How many practices are concerned, why, and some of them.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConcernedPractices {
    pub(super) count: i64,
    pub(super) reasons: Vec<ReasonCount>,
    /// At most 50, those that have been concerned for longest first.
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

/// Of two moments by different clocks; never negative.
pub(super) fn seconds_between(since: Timestamp, now: Timestamp) -> i64 {
    now.duration_since(since).as_secs().max(0)
}

/// What a check came to within its time. One that fails or takes longer says so in the name of each of `names`.
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
            tracing::warn!(check = names[0].as_str(), %error, "a check of readiness failed");
            failed(&in_words(&error))
        }
        Err(_) => {
            tracing::warn!(check = names[0].as_str(), "a check of readiness took too long");
            failed(&too_long(limit))
        }
    };
    checks.into_iter().map(|check| check.took(began)).collect()
}

pub(super) fn too_long(limit: Duration) -> String {
    format!("There was no answer within {} ms.", limit.as_millis())
}

/// Without what a store says itself, which can hold names and addresses.
fn in_words(error: &Error) -> String {
    match error {
        Error::Unavailable { service, .. } => format!("{service} does not answer, or is overloaded."),
        Error::Refused { service, .. } => {
            format!("{service} refuses the call: a permission, a name or a key is wrong. The log says which.")
        }
        Error::NotConfigured(what) => format!("The function's {what} is not set."),
        Error::Malformed(_) | Error::ConditionFailed => {
            "What is stored cannot be read. The log says why.".to_owned()
        }
    }
}
