//! Limits on attempts to guess a secret.
//!
//! **Limits on nearby networks reject attempts.** They count attempts from one address (in IPv6,
//! one /64) and from the networks around it (/24; in IPv6, /56 and /48). An attempt is counted
//! before its secret is checked, and the count is reversed if the secret is correct. So a burst of
//! concurrent attempts learns the outcome of no more secrets than the limits allow, in whatever
//! order they arrive. An address that has recently proved that it knows the secret is exempt, up to
//! [`PROVEN`] attempts per window.
//!
//! **No limit applies to the attempts of all addresses together.** It would add nothing to secrets
//! of 256 bits, and strangers could use it to lock out everybody else. Instead, there is a
//! *slow-down*: the secret is checked first, and only a wrong one is added to the count of all
//! addresses. If that count is high, the reply to a wrong secret is delayed. A correct secret is
//! neither rejected nor delayed, and is not counted. The delay reveals nothing: the reply itself
//! says that the secret was wrong, and the delay depends only on the count. Secrets are compared in
//! constant time where they are stored.
//!
//! **The slow-down is bounded.** A delay keeps a Lambda environment busy, so an attacker must not
//! be able to cause many. In each window, at most [`DELAYED`] replies are delayed, each by at most
//! [`LONGEST_DELAY`]; on average, that occupies less than one environment.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::future::{join_all, try_join_all};
use jiff::{SignedDuration, Timestamp};

use super::{App, Error};
use crate::{control::ephemeral::window_start, domain::ids::KeyId, telemetry::metrics};

/// A secret that is protected by limits on attempts.
#[derive(Clone, Copy, Debug)]
pub enum Protected<'a> {
    /// An API key, wherever one is accepted; `None` for a text that is not a well-formed key.
    ApiKey(Option<&'a KeyId>),
    AdminSecret,
    /// The token of a claim link.
    ClaimToken,
}

/// Attempts per window of an address that has proved that it knows the secret.
const PROVEN: u64 = 600;
/// How long such a proof is valid.
const PROOF_HOLDS: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How long an environment does not count an address's attempts after a correct one.
///
/// A wrong one ends this time.
const TRUSTED: SignedDuration = SignedDuration::from_mins(10);
const MAX_TRUSTED: usize = 10_000;

/// The window of all counts of attempts, in seconds.
const WINDOW: i64 = 60;
/// Wrong secrets of one kind per window, from all addresses, before replies are delayed.
const UNDELAYED: u64 = 100;
/// The number of replies per window that are delayed after that; later ones are not.
const DELAYED: u32 = 50;
const LONGEST_DELAY: Duration = Duration::from_secs(1);
/// The number of networks per window whose wrong secret is audited.
const AUDITED: u64 = 100;

/// The window for access requests from one address, in seconds.
const REQUESTS_WINDOW: i64 = 600;
/// Access requests per window from one address.
const REQUESTS: u64 = 10;
/// The window for access requests from all addresses, in seconds.
const ALL_REQUESTS_WINDOW: i64 = 3600;
/// Access requests per window from all addresses.
const ALL_REQUESTS: u64 = 100;

/// A network around an address, and how many times the limit for one address applies to it.
struct Network {
    name: String,
    share: u64,
}

/// A count and its maximum.
#[derive(Debug)]
struct Limit {
    name: String,
    most: u64,
}

impl Limit {
    fn new(kind: &str, name: &str, most: u64) -> Self {
        Self { name: format!("attempts#{kind}#{name}"), most }
    }

    fn of_networks(kind: &str, networks: &[Network], most: u64) -> Vec<Self> {
        let limit = |it: &Network| Self::new(kind, &format!("from#{}", it.name), most * it.share);
        networks.iter().map(limit).collect()
    }
}

/// The counts of an attempt, in groups from the narrowest to the widest.
///
/// An attempt that one group rejects is not counted in the next.
#[derive(Debug)]
struct Plan {
    /// The count for this secret and address, which can be proved or trusted.
    pair: Option<String>,
    groups: Vec<Vec<Limit>>,
}

impl Protected<'_> {
    fn kind(self) -> &'static str {
        match self {
            Self::ApiKey(_) => "api-key",
            Self::AdminSecret => "admin-secret",
            Self::ClaimToken => "claim",
        }
    }

    fn plan(self, address: Option<IpAddr>) -> Plan {
        let kind = self.kind();
        let networks = networks(address);
        let most = if matches!(self, Self::ApiKey(_)) { 30 } else { 10 };
        let mut around = Limit::of_networks(kind, &networks, most);
        let wider = around.split_off(1);
        let mut near = around;
        let pair = match self {
            Self::ApiKey(Some(id)) => {
                near.push(Limit::new(kind, &format!("{id}#from#{}", networks[0].name), 10));
                near.last()
            }
            Self::AdminSecret => near.last(),
            Self::ApiKey(None) | Self::ClaimToken => None,
        };
        let pair = pair.map(|it| it.name.clone());
        Plan { pair, groups: vec![near, wider] }
    }
}

/// Returns the address and the networks around it, narrowest first.
///
/// The narrowest IPv6 network is a /64: nobody has less, and providers assign a /56 or /48.
fn networks(address: Option<IpAddr>) -> Vec<Network> {
    let network = |name: String, share| Network { name, share };
    match address.map(|it| it.to_canonical()) {
        None => vec![network("unknown".to_owned(), 1)],
        Some(IpAddr::V4(address)) => {
            let around = Ipv4Addr::from_bits(address.to_bits() >> 8 << 8);
            vec![network(address.to_string(), 1), network(format!("{around}/24"), 10)]
        }
        Some(IpAddr::V6(address)) => {
            let of = |bits: u32| Ipv6Addr::from_bits(address.to_bits() >> (128 - bits) << (128 - bits));
            let share = |(bits, share)| network(format!("{}/{bits}", of(bits)), share);
            [(64, 1), (56, 3), (48, 10)].into_iter().map(share).collect()
        }
    }
}

/// Returns the delay of the reply to the `count`th wrong secret in a window.
fn delay(count: u64) -> Duration {
    let excess = count.checked_sub(UNDELAYED).and_then(|it| u32::try_from(it).ok());
    excess.filter(|it| *it <= DELAYED).map_or(Duration::ZERO, |it| LONGEST_DELAY * it / DELAYED)
}

/// The addresses that this environment currently trusts.
#[derive(Default)]
pub struct BruteForce {
    trusted: Mutex<HashMap<String, Timestamp>>,
}

/// An attempt that is within the limits.
///
/// Call [`succeeded`](Self::succeeded) if the secret is correct, [`failed`](Self::failed) if it is
/// wrong. Without either call, the attempt counts as wrong.
#[must_use = "an attempt that is dropped counts as wrong"]
pub struct Attempt<'a> {
    app: &'a App,
    kind: &'static str,
    now: Timestamp,
    window: i64,
    /// The narrowest network of the caller.
    network: String,
    pair: Option<String>,
    counted: Vec<String>,
    right: bool,
}

impl App {
    /// Counts an attempt. Call it before checking the secret.
    ///
    /// # Errors
    /// [`Error::TooManyAttempts`]; [`Error::Control`] if the attempt cannot be counted.
    pub async fn attempt(
        &self,
        protected: Protected<'_>,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Attempt<'_>, Error> {
        let Plan { pair, groups } = protected.plan(address);
        let window = window_start(now, WINDOW);
        let network = networks(address).swap_remove(0).name;
        let kind = protected.kind();
        let mut attempt =
            Attempt { app: self, kind, now, window, network, pair, counted: Vec::new(), right: false };
        if attempt.pair.as_ref().is_some_and(|pair| self.brute_force.trust(pair, now)) {
            return Ok(attempt);
        }
        let mut of_pair = None;
        for limits in groups {
            let (over, last) = attempt.count(limits).await?;
            let of_pair = *of_pair.get_or_insert(last);
            if over && !attempt.is_proven(of_pair).await? {
                // The secret was not checked, so the attempt must not use up the allowance of
                // others.
                attempt.take_back().await;
                refused(kind);
                return Err(Error::TooManyAttempts { retry_after: window + WINDOW - now.as_second() });
            }
        }
        Ok(attempt)
    }

    /// Counts a request for access.
    ///
    /// It needs no secret, but each one is stored for administrators to read.
    ///
    /// # Errors
    /// As [`Self::attempt`], if its network or all callers together have sent too many.
    pub async fn admit_access_request(&self, address: Option<IpAddr>, now: Timestamp) -> Result<(), Error> {
        let kind = "access-request";
        let mut near = Limit::of_networks(kind, &networks(address), REQUESTS);
        let wider = near.split_off(1);
        let all = vec![Limit::new(kind, "all", ALL_REQUESTS)];
        let groups = [(near, REQUESTS_WINDOW), (wider, REQUESTS_WINDOW), (all, ALL_REQUESTS_WINDOW)];
        let mut counted: Vec<(String, i64)> = Vec::new();
        for (limits, seconds) in groups {
            let window = window_start(now, seconds);
            let counts = limits.iter().map(|it| self.control.add_to_window(&it.name, window, 1));
            let counts = try_join_all(counts).await?;
            let over = limits.iter().zip(&counts).any(|(limit, count)| *count > limit.most);
            counted.extend(limits.into_iter().map(|it| (it.name, window)));
            if over {
                let back =
                    counted.iter().map(|(name, window)| self.control.take_from_window(name, *window, 1));
                for error in join_all(back).await.into_iter().filter_map(Result::err) {
                    tracing::warn!(%error, "the count of a rejected request could not be reversed");
                }
                return Err(Error::TooManyAttempts { retry_after: window + seconds - now.as_second() });
            }
        }
        Ok(())
    }
}

/// Counts a rejected credential in the metrics.
fn refused(kind: &str) {
    tracing::warn!(target: metrics::REFUSALS, RefusedCredentials = 1, credential = kind,
        "a credential was rejected");
}

impl Attempt<'_> {
    /// Records that the secret was correct: the attempt no longer counts.
    pub async fn succeeded(mut self) {
        self.right = true;
        if self.counted.is_empty() {
            return;
        }
        self.take_back().await;
        if let Some(pair) = &self.pair {
            if let Err(error) = self.app.control.prove(pair, self.now + PROOF_HOLDS).await {
                tracing::warn!(%error, "a proof was not stored");
            }
            self.app.brute_force.remember(pair.clone(), self.now);
        }
    }

    /// Records that the secret was wrong, and waits if there were many wrong ones.
    ///
    /// Returns whether to audit the attempt. The first wrong secret of a network in a window is
    /// audited, for up to 100 networks.
    pub async fn failed(self) -> bool {
        refused(self.kind);
        let name = |what: &str| format!("wrong#{}#{what}", self.kind);
        let (all, own) = (name("all"), name(&self.network));
        let all = self.app.control.add_to_window(&all, self.window, 1);
        let own = self.app.control.add_to_window(&own, self.window, 1);
        let (all, own) = match futures::join!(all, own) {
            (Ok(all), Ok(own)) => (all, own),
            (Err(error), _) | (_, Err(error)) => {
                // The attempt itself is already counted. Audit it, since it may be the first.
                tracing::warn!(%error, "a wrong secret was not counted");
                return true;
            }
        };
        let delay = delay(all);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if own > 1 {
            return false;
        }
        let audited = self.app.control.add_to_window(&name("audited"), self.window, 1).await;
        audited.is_ok_and(|count| count <= AUDITED)
    }

    /// Counts the attempt; returns whether it exceeds a limit, and the last count.
    async fn count(&mut self, limits: Vec<Limit>) -> Result<(bool, u64), Error> {
        let counts = limits.iter().map(|it| self.app.control.add_to_window(&it.name, self.window, 1));
        let counts = try_join_all(counts).await?;
        let over = limits.iter().zip(&counts).any(|(limit, count)| *count > limit.most);
        self.counted.extend(limits.into_iter().map(|it| it.name));
        Ok((over, counts.last().copied().unwrap_or_default()))
    }

    async fn is_proven(&self, attempts: u64) -> Result<bool, Error> {
        let Some(pair) = self.pair.as_ref().filter(|_| attempts <= PROVEN) else { return Ok(false) };
        Ok(self.app.control.is_proven(pair, self.now).await?)
    }

    async fn take_back(&self) {
        let given_back = self.counted.iter().map(|it| self.app.control.take_from_window(it, self.window, 1));
        for error in join_all(given_back).await.into_iter().filter_map(Result::err) {
            tracing::warn!(%error, "the count of an attempt could not be reversed");
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if let (false, Some(pair)) = (self.right, &self.pair) {
            lock(&self.app.brute_force.trusted).remove(pair);
        }
    }
}

impl BruteForce {
    fn trust(&self, pair: &str, now: Timestamp) -> bool {
        lock(&self.trusted).get(pair).is_some_and(|since| now.duration_since(*since) < TRUSTED)
    }

    fn remember(&self, pair: String, now: Timestamp) {
        let mut trusted = lock(&self.trusted);
        if trusted.len() >= MAX_TRUSTED {
            trusted.clear();
        }
        trusted.insert(pair, now);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(address: &str) -> Vec<String> {
        networks(Some(address.parse().unwrap())).into_iter().map(|it| it.name).collect()
    }

    #[test]
    fn addresses_in_one_network_share_a_count() {
        let shared = |one: &str, other: &str| {
            names(one).iter().zip(names(other)).filter(|(one, other)| **one == *other).count()
        };
        assert_eq!(shared("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::1"), 3);
        assert_eq!(shared("2001:db8:1:2::1", "2001:db8:1:3::1"), 2, "one /56");
        assert_eq!(shared("2001:db8:1:2::1", "2001:db8:1:1203::1"), 1, "one /48");
        assert_eq!(shared("2001:db8:1:2::1", "2001:db8:2:2::1"), 0);
        assert_eq!(names("::ffff:203.0.113.9"), ["203.0.113.9", "203.0.113.0/24"]);
    }

    #[test]
    fn only_a_few_of_many_replies_to_wrong_secrets_are_delayed() {
        let delays: Vec<Duration> = (0..10_000).map(delay).collect();
        assert!(delays[..=100].iter().all(Duration::is_zero));
        assert_eq!((delays[101], delays[150]), (Duration::from_millis(20), LONGEST_DELAY));
        assert!(delays.iter().sum::<Duration>() < Duration::from_mins(1), "less than one environment");
    }
}
