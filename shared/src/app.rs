//! The application state that all handlers share.

mod background;
mod brute_force;
mod call_log;
mod clock;
mod data_problems;
mod databases;
mod key_cache;
mod rate_limit;
mod secrets;

use crate::sql;
use std::{net::IpAddr, ops::Deref, sync::Arc};

use jiff::Timestamp;

use crate::{
    auth::{DeliveryGrant, KeyRecord, PartnerAccess, SecretPairError, api_key::ApiKey},
    catalog::Catalogs,
    config::Config,
    control::{self, Queue, Secrets, Store, subscriptions::Subscription},
    domain::{EventScope, PracticeFault, PracticePass, delivery::WithheldReason, ids::PartnerId},
    egress::{self, Guard, Reach, SystemResolver},
    tenant::Practices,
};
pub use background::Background;
pub use brute_force::{Attempt, BruteForce, Protected};
pub use call_log::CallLog;
pub use clock::{Clock, Random};
pub use key_cache::KeyCache;
pub use rate_limit::{Rate, RateLimits};

/// The application state, one per process. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The parts of an [`App`]; tests assemble them one by one.
pub struct Parts {
    pub config: Config,
    pub clock: Clock,
    pub random: Random,
    pub control: Store,
    pub queue: Queue,
    pub secrets: Secrets,
    /// The client for calls to partners' endpoints.
    pub hooks: egress::Client,
    pub practices: Practices,
    pub catalogs: Catalogs,
    pub keys: KeyCache,
    pub rates: RateLimits,
    pub brute_force: BruteForce,
    pub calls: CallLog,
    pub background: Background,
}

impl Parts {
    /// Creates the parts from a function's environment. Every client is built on first use.
    pub fn from_env() -> Self {
        let config = Config::from_env();
        let reach = Reach::new(config.webhook_allow_loopback);
        let of_databases = sql::Timeouts::OF_CALLERS.times(config.database_timeout_factor.max(1));
        Self {
            hooks: egress::Client::new(Guard::new(Arc::new(SystemResolver), reach)),
            control: Store::new(config.tables.clone()),
            queue: Queue::new(
                config.events_queue_url.clone(),
                config.slow_events_queue_url.clone(),
                config.dead_letter_queue_url.clone(),
            ),
            config,
            clock: Clock::system(),
            random: Random::system(),
            secrets: Secrets::default(),
            practices: Practices::default().with_timeouts(of_databases),
            catalogs: Catalogs::default().with_timeouts(of_databases),
            keys: KeyCache::default(),
            rates: RateLimits::default(),
            brute_force: BruteForce::default(),
            calls: CallLog::default(),
            background: Background::default(),
        }
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// Why [`App`] could not provide a dependency.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Control(#[from] control::Error),
    #[error(transparent)]
    Tenant(#[from] sql::Error),
    #[error(transparent)]
    SecretPair(#[from] SecretPairError),
    #[error("the token keys are unusable")]
    TokenKeys(#[from] crate::auth::token::RingError),
    #[error("too many attempts; retry after {retry_after} s")]
    TooManyAttempts { retry_after: i64 },
}

impl Error {
    /// Returns the fault that administrators see if a database could not be opened for this reason.
    pub fn fault(&self) -> PracticeFault {
        match self {
            Self::Tenant(error) => error.fault(),
            Self::Control(control::Error::Unavailable { .. }) | Self::TooManyAttempts { .. } => {
                PracticeFault::StoreFailed
            }
            // The secret is missing, inaccessible or malformed.
            Self::Control(_) | Self::SecretPair(_) | Self::TokenKeys(_) => PracticeFault::NoConnectionString,
        }
    }
}

impl App {
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Creates the app of a function that callers wait for.
    pub fn from_env() -> Self {
        Self::new(Parts::from_env())
    }

    /// Returns the stored key of the offered one, if that is valid and can be used from `address`.
    ///
    /// The result has the version of the offered secret.
    pub async fn find_key(
        &self,
        offered: Option<&ApiKey>,
        now: Timestamp,
        address: Option<IpAddr>,
    ) -> Result<Option<KeyRecord>, control::Error> {
        let Some(offered) = offered else { return Ok(None) };
        let stored = self.control.live_api_key(&offered.id).await?;
        Ok(stored.and_then(|key| key.unlocked_by(offered, now)).filter(|key| key.usable(now, address)))
    }

    /// Returns what the partner may receive from the practice, at most 40 s old.
    ///
    /// A warm process reads nothing from the store.
    ///
    /// # Errors
    /// If the store cannot be read; then nothing may be sent.
    pub async fn partner_access(
        &self,
        practicepass: &PracticePass,
        partner: &PartnerId,
    ) -> control::Result<Arc<PartnerAccess>> {
        let receiver = (practicepass.clone(), partner.clone());
        self.keys.access(&self.control, &receiver, self.clock.now()).await
    }

    /// Grants permission to send an event, or a test (`None`), to the subscription now.
    ///
    /// It is for a caller who waits for the response: access that was just restored takes effect at
    /// once.
    pub async fn permit_now(
        &self,
        subscription: &Subscription,
        event: Option<EventScope>,
    ) -> control::Result<Result<DeliveryGrant, WithheldReason>> {
        let receiver = (subscription.practicepass.clone(), subscription.partner_id.clone());
        let now = self.clock.now();
        let known = self.keys.access(&self.control, &receiver, now).await?;
        if let Ok(grant) = subscription.permit(&known, event, now) {
            return Ok(Ok(grant));
        }
        self.keys.forget_access(&receiver);
        let access = self.keys.access(&self.control, &receiver, now).await?;
        Ok(subscription.permit(&access, event, now))
    }

    /// Writes what earlier calls left to be written.
    ///
    /// This is call records with their counts, rate windows, unreadable rows, and the last use of
    /// keys. Anything that cannot be written now is kept for the next flush.
    pub async fn flush(&self) {
        self.calls.flush(&self.control, self.config.timeouts.call_records).await;
        self.rates.exchange(&self.control, self.clock.now()).await;
        self.write_data_problems().await;
        self.keys.write_last_use(&self.control, self.clock.now()).await;
    }
}
