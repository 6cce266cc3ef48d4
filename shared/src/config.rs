//! The environment of a function, read once.

use std::time::Duration;

use jiff::SignedDuration;

use crate::{auth::secret_ref::SecretRef, control::TableNames, domain::delivery::SCHEDULE};

/// Longer than one poll of a practice may take.
pub const POLL_LEASE: SignedDuration = SignedDuration::from_secs(30);

/// How long functions wait, and by when they have to be through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// An endpoint that takes no longer is quick; the fast lane waits no longer for any.
    pub quick_answer: Duration,
    /// An endpoint that fails after so long hangs: it is parked at once.
    pub hanging_answer: Duration,
    /// What was read of a subscription is read again before a delivery that begins later.
    pub subscription_read: Duration,
    /// The answer to a change of a subscription waits so long: what was begun before the change is under way by then.
    pub subscription_change: Duration,
    /// A flush of call records ends after so long.
    pub call_records: Duration,
    /// A polled database that gives neither a connection nor an answer for so long is given up for the turn.
    pub polled_database: Duration,
    /// Everything in a turn of the poller has a timeout of its own; this one is for what has not, before the lease ends.
    pub polled_turn: Duration,
    /// A turn makes patients of an import searchable for so long.
    pub polled_patients: Duration,
    /// A run of the poller gives its practices back within this, and writes what it came to within the next.
    pub released_leases: Duration,
    pub run_record: Duration,
    /// Each check of readiness is given up after so long.
    pub readiness_check: Duration,
    /// The audit record of a call that has failed for want of a store is given up after so long.
    pub audit_of_a_failure: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            quick_answer: Duration::from_secs(1),
            hanging_answer: Duration::from_secs(2),
            subscription_read: Duration::from_millis(250),
            subscription_change: Duration::from_secs(1),
            call_records: Duration::from_secs(2),
            polled_database: Duration::from_secs(5),
            polled_turn: Duration::from_secs(25),
            polled_patients: Duration::from_secs(2),
            released_leases: Duration::from_secs(1),
            run_record: Duration::from_millis(800),
            readiness_check: Duration::from_secs(2),
            audit_of_a_failure: Duration::from_millis(500),
        }
    }
}

/// Unless the deployment says otherwise.
pub const EVENT_LOG_DAYS: u16 = 400;

/// What template.yaml sets for a function; one that doesn't need a thing isn't told of it.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub tables: TableNames,
    /// `EVENTS_QUEUE_URL`: the SQS queue of webhook events.
    pub events_queue_url: Option<String>,
    /// `SLOW_EVENTS_QUEUE_URL`: the SQS queue of events for endpoints that take their time.
    pub slow_events_queue_url: Option<String>,
    /// `DEAD_LETTER_QUEUE_URL`: the SQS queue of webhook events that were given up.
    pub dead_letter_queue_url: Option<String>,
    /// `TOKEN_KEYS_SECRET`: secret reference of the token signing keys.
    pub token_keys: Option<SecretRef>,
    /// `TOKEN_ISSUER`, default `officepro-partner-api`: issuer and audience of tokens.
    pub token_issuer: String,
    /// `ADMIN_SECRETS_SECRET`: secret reference of the administrators' secrets.
    pub admin_secrets: Option<SecretRef>,
    /// `EDGE_SECRET`: secret reference of the word by which the portal's distribution proves itself; without it, the
    /// distribution's word on a caller's address is not taken.
    pub edge_secret: Option<SecretRef>,
    /// `CATALOG_DSN_SECRET`: secret reference of the catalog's connection string.
    pub catalog_dsn: Option<SecretRef>,
    /// `PORTAL_ORIGIN`: where the portal is, e.g. `https://portal.example.com`; default: where each call is sent.
    pub portal_origin: Option<String>,
    /// `API_DOMAIN_NAME`: host that partners' programs call, e.g. `api.example.com`; default: the one that API Gateway made up.
    pub api_domain_name: Option<String>,
    /// `PORTAL_ALLOW_LOOPBACK`, default false: whether the portal may be http on loopback, its cookie not `Secure`.
    pub portal_allow_loopback: bool,
    /// `WEBHOOK_ALLOW_LOOPBACK`, default false: whether hook URLs may be http and on loopback.
    pub webhook_allow_loopback: bool,
    /// `POLL_INTERVAL_MS`, default 2000: milliseconds between two polls of a practice's log.
    pub poll_interval: Duration,
    /// `POLL_LEASE_SECONDS`, default 30: how long a practice is held without a word from the poller that holds it.
    pub poll_lease: SignedDuration,
    /// `EVENT_LOG_DAYS`, default 400: rows of practices' logs are deleted when they are older. 0: never.
    pub event_log_days: u16,
    /// `WEBHOOK_RETRY_SECONDS`, e.g. `1,2,3`: the waits before retries instead of the documented ones.
    pub webhook_retries: Vec<i64>,
    /// The same in every deployment; tests have others.
    pub timeouts: Timeouts,
    /// `DATABASE_TIMEOUT_FACTOR`: calls wait so many times as long for a database as in Lambda, where a function has its processor
    /// for itself. 0 is 1.
    pub database_timeout_factor: u32,
}

impl Config {
    pub fn from_env() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            tables: TableNames {
                control: variable("CONTROL_TABLE"),
                deliveries: variable("DELIVERIES_TABLE"),
                activity: variable("ACTIVITY_TABLE"),
                ledger: variable("LEDGER_TABLE"),
                delivery_shards: variable("DELIVERY_SHARDS").and_then(|text| text.parse().ok()),
            },
            events_queue_url: variable("EVENTS_QUEUE_URL"),
            slow_events_queue_url: variable("SLOW_EVENTS_QUEUE_URL"),
            dead_letter_queue_url: variable("DEAD_LETTER_QUEUE_URL"),
            token_keys: variable("TOKEN_KEYS_SECRET").map(SecretRef::from),
            admin_secrets: variable("ADMIN_SECRETS_SECRET").map(SecretRef::from),
            edge_secret: variable("EDGE_SECRET").map(SecretRef::from),
            portal_origin: variable("PORTAL_ORIGIN").map(|it| it.trim_end_matches('/').to_owned()),
            api_domain_name: variable("API_DOMAIN_NAME"),
            portal_allow_loopback: variable("PORTAL_ALLOW_LOOPBACK").as_deref() == Some("true"),
            token_issuer: variable("TOKEN_ISSUER").unwrap_or_else(|| "officepro-partner-api".to_owned()),
            catalog_dsn: variable("CATALOG_DSN_SECRET").map(SecretRef::from),
            poll_interval: variable("POLL_INTERVAL_MS")
                .and_then(|text| text.parse().ok())
                .map_or(Duration::from_secs(2), Duration::from_millis),
            poll_lease: variable("POLL_LEASE_SECONDS")
                .and_then(|text| text.parse().ok())
                .map_or(POLL_LEASE, SignedDuration::from_secs),
            event_log_days: variable("EVENT_LOG_DAYS")
                .and_then(|text| text.parse().ok())
                .unwrap_or(EVENT_LOG_DAYS),
            webhook_retries: variable("WEBHOOK_RETRY_SECONDS")
                .and_then(|text| text.split(',').map(|wait| wait.trim().parse().ok()).collect())
                .unwrap_or_else(|| SCHEDULE.to_vec()),
            webhook_allow_loopback: variable("WEBHOOK_ALLOW_LOOPBACK").as_deref() == Some("true"),
            timeouts: Timeouts::default(),
            database_timeout_factor: variable("DATABASE_TIMEOUT_FACTOR")
                .and_then(|text| text.parse().ok())
                .unwrap_or(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_a_subscription_outlasts_what_was_read_of_it_before() {
        let timeouts = Timeouts::default();
        assert!(timeouts.subscription_change >= 4 * timeouts.subscription_read);
    }

    #[test]
    fn the_timeouts_are_what_partners_and_operators_are_told() {
        let timeouts = Timeouts::default();
        let Timeouts { quick_answer, hanging_answer, call_records, polled_database, polled_turn, .. } =
            timeouts;
        assert_eq!((quick_answer, hanging_answer), (Duration::from_secs(1), Duration::from_secs(2)));
        assert_eq!((call_records, polled_database), (Duration::from_secs(2), Duration::from_secs(5)));
        assert_eq!(timeouts.readiness_check, Duration::from_secs(2));
        assert!(polled_database < polled_turn && polled_turn.as_secs() < POLL_LEASE.as_secs().unsigned_abs());
    }
}
