//! The configuration of a function, read once from its environment.

use std::time::Duration;

use jiff::SignedDuration;

use crate::{auth::secret_ref::SecretRef, control::TableNames, domain::Lane, domain::delivery::SCHEDULE};

/// The default of `POLL_LEASE_SECONDS`, longer than one poll of a practice may take.
pub const POLL_LEASE: SignedDuration = SignedDuration::from_secs(30);

/// The timeouts of the functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// The time within which an endpoint counts as fast. The fast lane does not wait longer.
    pub quick_answer: Duration,
    /// The time after which a failing endpoint counts as hanging. Its circuit opens at once.
    pub hanging_answer: Duration,
    /// How long a message may miss its slots because no call may start, before it waits in the
    /// queue.
    ///
    /// An attempt that begins must end before the function times out.
    pub slot_search: Duration,
    /// The age up to which a subscription that was read is used for another delivery.
    pub subscription_read: Duration,
    /// How long the response to a change of a subscription waits.
    ///
    /// No delivery that has not seen the change begins afterward.
    pub subscription_change: Duration,
    /// The limit for updates of an endpoint's health after a call.
    ///
    /// The outcome must be recorded before the delivery's claim ends.
    pub endpoint_health: Duration,
    /// The limit for one flush of call records.
    pub call_records: Duration,
    /// The limit for a connection to, or an operation on, a practice's database during a poll.
    pub polled_database: Duration,
    /// The limit for one poll of a practice, before its lease ends.
    ///
    /// It covers everything without its own timeout.
    pub polled_turn: Duration,
    /// How long one poll indexes imported patients for search.
    pub polled_patients: Duration,
    /// A run of the poller releases its leases within this time, and writes its results within the
    /// next.
    pub released_leases: Duration,
    pub run_record: Duration,
    /// The limit for each check of readiness.
    pub readiness_check: Duration,
    /// The limit for the audit record of a call that failed because a store is unavailable.
    pub audit_of_a_failure: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            quick_answer: Duration::from_secs(1),
            hanging_answer: Duration::from_secs(2),
            slot_search: Duration::from_secs(20),
            subscription_read: Duration::from_millis(250),
            subscription_change: Duration::from_secs(1),
            endpoint_health: Duration::from_secs(4),
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

/// The default of `EVENT_LOG_DAYS`.
pub const EVENT_LOG_DAYS: u16 = 400;

/// The configuration that template.yaml sets for a function.
///
/// A function has only the variables that it needs.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub tables: TableNames,
    /// `EVENTS_QUEUE_URL`: the SQS queue of webhook events.
    pub events_queue_url: Option<String>,
    /// `SLOW_EVENTS_QUEUE_URL`: the SQS queue of webhook events for slow endpoints.
    pub slow_events_queue_url: Option<String>,
    /// `DEAD_LETTER_QUEUE_URL`: the SQS dead-letter queue of webhook events.
    pub dead_letter_queue_url: Option<String>,
    /// `TOKEN_KEYS_SECRET`: secret reference of the token signing keys.
    pub token_keys: Option<SecretRef>,
    /// `TOKEN_ISSUER`, default `officepro-partner-api`: issuer and audience of tokens.
    pub token_issuer: String,
    /// `ADMIN_SECRETS_SECRET`: secret reference of the administrators' secrets.
    pub admin_secrets: Option<SecretRef>,
    /// `EDGE_SECRET`: secret reference of the secret by which the portal's CloudFront distribution
    /// authenticates itself. Without it, the caller's address that the distribution sends is
    /// ignored.
    pub edge_secret: Option<SecretRef>,
    /// `CATALOG_DSN_SECRET`: secret reference of the catalog's connection string.
    pub catalog_dsn: Option<SecretRef>,
    /// `PORTAL_ORIGIN`: the portal's origin, such as `https://portal.example.com`; default: the
    /// host to which a call was sent.
    pub portal_origin: Option<String>,
    /// `API_DOMAIN_NAME`: the host that partners call, such as `api.example.com`; default: the host
    /// that API Gateway generated.
    pub api_domain_name: Option<String>,
    /// `PORTAL_ALLOW_LOOPBACK`, default false: whether the portal may use http on loopback, with a
    /// cookie that is not `Secure`.
    pub portal_allow_loopback: bool,
    /// `WEBHOOK_ALLOW_LOOPBACK`, default false: whether hook URLs may use http and loopback.
    pub webhook_allow_loopback: bool,
    /// `POLL_INTERVAL_MS`, default 2000: milliseconds between two polls of a practice's log.
    pub poll_interval: Duration,
    /// `POLL_LEASE_SECONDS`, default 30: seconds until a poller loses a practice unless it renews
    /// its lease.
    pub poll_lease: SignedDuration,
    /// `EVENT_LOG_DAYS`, default 400: days to keep rows of practices' logs; 0 for unlimited.
    pub event_log_days: u16,
    /// `WEBHOOK_RETRY_SECONDS`, such as `1,2,3`: seconds to wait before each retry; default: the
    /// documented schedule.
    pub webhook_retries: Vec<i64>,
    /// `WEBHOOK_LANE`, `fast` (the default) or `slow`: which queue's events the fan-out delivers.
    pub webhook_lane: Lane,
    /// The same in every deployment; tests use others.
    pub timeouts: Timeouts,
    /// `DATABASE_TIMEOUT_FACTOR`, default 1: multiplies the database timeouts of calls, for hosts
    /// where functions share a processor, unlike in Lambda. 0 counts as 1.
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
                ephemeral: variable("EPHEMERAL_TABLE"),
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
            webhook_lane: match variable("WEBHOOK_LANE").as_deref() {
                Some("slow") => Lane::Slow,
                _ => Lane::Fast,
            },
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
    fn a_subscription_change_outlasts_earlier_reads() {
        let timeouts = Timeouts::default();
        assert!(timeouts.subscription_change >= 4 * timeouts.subscription_read);
    }

    #[test]
    fn the_timeouts_match_the_documentation() {
        let timeouts = Timeouts::default();
        let Timeouts { quick_answer, hanging_answer, call_records, polled_database, polled_turn, .. } =
            timeouts;
        assert_eq!((quick_answer, hanging_answer), (Duration::from_secs(1), Duration::from_secs(2)));
        assert_eq!((call_records, polled_database), (Duration::from_secs(2), Duration::from_secs(5)));
        assert_eq!(timeouts.readiness_check, Duration::from_secs(2));
        assert!(polled_database < polled_turn && polled_turn.as_secs() < POLL_LEASE.as_secs().unsigned_abs());
    }
}
