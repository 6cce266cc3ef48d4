//! The environment of a function, read once.

use std::time::Duration;

use jiff::SignedDuration;

use crate::{auth::secret_ref::SecretRef, control::TableNames, domain::delivery::SCHEDULE};

/// Longer than one poll of a practice may take.
pub const POLL_LEASE: SignedDuration = SignedDuration::from_secs(30);

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
    /// `PORTAL_ALLOW_LOOPBACK`, default false: whether the portal may be http on loopback, its cookie not `Secure`.
    pub portal_allow_loopback: bool,
    /// `WEBHOOK_ALLOW_LOOPBACK`, default false: whether hook URLs may be http and on loopback.
    pub webhook_allow_loopback: bool,
    /// `POLL_INTERVAL_MS`, default 2000: milliseconds between two polls of a practice's log.
    pub poll_interval: Duration,
    /// `POLL_LEASE_SECONDS`, default 30: how long a practice is held without a word from the poller that holds it.
    pub poll_lease: SignedDuration,
    /// `WEBHOOK_RETRY_SECONDS`, e.g. `1,2,3`: the waits before retries instead of the documented ones.
    pub webhook_retries: Vec<i64>,
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
            },
            events_queue_url: variable("EVENTS_QUEUE_URL"),
            slow_events_queue_url: variable("SLOW_EVENTS_QUEUE_URL"),
            dead_letter_queue_url: variable("DEAD_LETTER_QUEUE_URL"),
            token_keys: variable("TOKEN_KEYS_SECRET").map(SecretRef::from),
            admin_secrets: variable("ADMIN_SECRETS_SECRET").map(SecretRef::from),
            edge_secret: variable("EDGE_SECRET").map(SecretRef::from),
            portal_origin: variable("PORTAL_ORIGIN").map(|it| it.trim_end_matches('/').to_owned()),
            portal_allow_loopback: variable("PORTAL_ALLOW_LOOPBACK").as_deref() == Some("true"),
            token_issuer: variable("TOKEN_ISSUER").unwrap_or_else(|| "officepro-partner-api".to_owned()),
            catalog_dsn: variable("CATALOG_DSN_SECRET").map(SecretRef::from),
            poll_interval: variable("POLL_INTERVAL_MS")
                .and_then(|text| text.parse().ok())
                .map_or(Duration::from_secs(2), Duration::from_millis),
            poll_lease: variable("POLL_LEASE_SECONDS")
                .and_then(|text| text.parse().ok())
                .map_or(POLL_LEASE, SignedDuration::from_secs),
            webhook_retries: variable("WEBHOOK_RETRY_SECONDS")
                .and_then(|text| text.split(',').map(|wait| wait.trim().parse().ok()).collect())
                .unwrap_or_else(|| SCHEDULE.to_vec()),
            webhook_allow_loopback: variable("WEBHOOK_ALLOW_LOOPBACK").as_deref() == Some("true"),
        }
    }
}
