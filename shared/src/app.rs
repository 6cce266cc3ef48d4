//! What every handler can reach.

mod background;
mod brute_force;
mod call_log;
mod clock;
mod data_problems;
mod databases;
mod key_cache;
mod rate_limit;
mod secrets;

use std::{net::IpAddr, ops::Deref, sync::Arc};

use jiff::Timestamp;

use crate::{
    auth::{DeliveryGrant, KeyRecord, PartnerAccess, SecretPairError, api_key::ApiKey},
    catalog::Catalogs,
    config::Config,
    control::{self, Queue, Secrets, Store, subscriptions::Subscription},
    domain::{EventScope, PracticeFault, PracticePass, delivery::WithheldReason, ids::PartnerId},
    egress::{self, Guard, Reach, SystemResolver},
    tenant::{self, Practices},
};
pub use background::Background;
pub use brute_force::{Attempt, BruteForce, Protected};
pub use call_log::CallLog;
pub use clock::{Clock, Random};
pub use key_cache::KeyCache;
pub use rate_limit::{Rate, RateLimits};

/// One for each process; cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The parts of an [`App`]; tests put them together by hand.
pub struct Parts {
    pub config: Config,
    pub clock: Clock,
    pub random: Random,
    pub control: Store,
    pub queue: Queue,
    pub secrets: Secrets,
    /// Calls to partners' endpoints.
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
    /// Everything from a function's environment, every client built on first use.
    pub fn from_env() -> Self {
        let config = Config::from_env();
        let reach = Reach::new(config.webhook_allow_loopback);
        let of_databases = tenant::Timeouts::OF_CALLERS.times(config.database_timeout_factor.max(1));
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

/// Why something an [`App`] was asked for isn't to be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Control(#[from] control::Error),
    #[error(transparent)]
    Tenant(#[from] tenant::Error),
    #[error(transparent)]
    SecretPair(#[from] SecretPairError),
    #[error("the token keys are unusable")]
    TokenKeys(#[from] crate::auth::token::RingError),
    #[error("too many attempts; {retry_after} s to wait")]
    TooManyAttempts { retry_after: i64 },
}

impl Error {
    /// The reason that administrators see when it kept a database from being opened.
    pub fn fault(&self) -> PracticeFault {
        match self {
            Self::Tenant(error) => error.fault(),
            Self::Control(control::Error::Unavailable { .. }) | Self::TooManyAttempts { .. } => {
                PracticeFault::StoreFailed
            }
            // A secret that is missing, may not be read or can't be.
            Self::Control(_) | Self::SecretPair(_) | Self::TokenKeys(_) => PracticeFault::NoConnectionString,
        }
    }
}

impl App {
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// The app of a function that callers wait for.
    pub fn from_env() -> Self {
        Self::new(Parts::from_env())
    }

    /// The stored key that the offered one is, with the version of its secret, if it may be used from `address`.
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

    /// What the partner may receive from the practice, as it was at most 30 s ago. A warm process reads nothing.
    ///
    /// # Errors
    /// When the store can't be read; then nothing may be sent.
    pub async fn partner_access(
        &self,
        practicepass: &PracticePass,
        partner: &PartnerId,
    ) -> control::Result<Arc<PartnerAccess>> {
        let receiver = (practicepass.clone(), partner.clone());
        self.keys.access(&self.control, &receiver, self.clock.now()).await
    }

    /// Permission to send an event, or a test (`None`), to the subscription now, for somebody who waits for the answer: access
    /// that has just returned is seen.
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

    /// Writes what the calls answered so far left behind: call records with their counts, rate windows, when keys were used.
    /// What can't be written now is kept for the next time.
    pub async fn flush(&self) {
        self.calls.flush(&self.control, self.config.timeouts.call_records).await;
        self.rates.exchange(&self.control).await;
        self.write_data_problems().await;
        self.keys.write_last_use(&self.control, self.clock.now()).await;
    }
}
