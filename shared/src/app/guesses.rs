//! Limits on guessing secrets. An attempt is counted before its secret is looked at, so that no burst slips through, and
//! a right one takes its count back.
//!
//! With one tight limit on a secret strangers could lock its owner out. So the tight limit is on a secret from one
//! address, the one on a secret from everywhere is wide, and an address that has proved to know the secret in the last
//! days is bound by neither.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures::future::{join_all, try_join_all};
use jiff::{SignedDuration, Timestamp};

use super::{App, Error};
use crate::{control::ledger::window_start, domain::ids::KeyId};

/// What strangers may try only so often.
#[derive(Clone, Copy, Debug)]
pub enum Guarded<'a> {
    /// An API key, wherever one is taken in; `None`: a text that is no key at all.
    ApiKey(Option<&'a KeyId>),
    AdminSecret,
    /// The token of a claim link.
    Claim,
    /// A request of somebody who has no key yet. It is never right, so that every one counts.
    AccessRequest,
}

/// Attempts of an address that has proved to know the secret, in one window.
const PROVEN: u64 = 600;
/// How long such a proof holds.
const PROOF_HOLDS: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How long an environment doesn't count an address's attempts after a right one, if no wrong one follows.
const TRUSTED: SignedDuration = SignedDuration::from_mins(10);
const MAX_TRUSTED: usize = 10_000;

/// One count with the most it may come to.
#[derive(Debug)]
struct Limit {
    name: String,
    most: u64,
}

/// Which counts an attempt is part of.
#[derive(Debug)]
struct Plan {
    /// The length of a window.
    seconds: i64,
    /// The secret and the address, of which trust is a matter.
    pair: Option<String>,
    /// Counts of the address, of the pair the last.
    near: Vec<Limit>,
    /// Counts of all addresses; what the near limits refuse is not part of them.
    wide: Vec<Limit>,
}

impl Guarded<'_> {
    fn plan(self, address: Option<IpAddr>) -> Plan {
        let network = address.map_or_else(|| "unknown".to_owned(), network);
        let (seconds, kind) = match self {
            Self::ApiKey(_) => (60, "api-key"),
            Self::AdminSecret => (60, "admin-secret"),
            Self::Claim => (60, "claim"),
            Self::AccessRequest => (600, "access-request"),
        };
        let limit = |name: String, most| Limit { name: format!("guesses#{kind}#{name}"), most };
        let from_address = |most| limit(format!("from#{network}"), most);
        let (near, wide) = match self {
            Self::ApiKey(Some(id)) => {
                let pair = limit(format!("{id}#from#{network}"), 10);
                (vec![from_address(30), pair], vec![limit(id.to_string(), 100)])
            }
            Self::ApiKey(None) => (vec![from_address(30)], Vec::new()),
            Self::AdminSecret => (vec![from_address(10)], vec![limit("all".to_owned(), 100)]),
            Self::Claim | Self::AccessRequest => (vec![from_address(10)], Vec::new()),
        };
        let trust_matters = matches!(self, Self::ApiKey(Some(_)) | Self::AdminSecret);
        let pair = near.last().filter(|_| trust_matters).map(|it| it.name.clone());
        Plan { seconds, pair, near, wide }
    }
}

/// The address; of IPv6 the network of 64 bits, for that is the least anyone has.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).to_string(),
    }
}

/// The addresses that this environment trusts for now.
#[derive(Default)]
pub struct Guesses {
    trusted: Mutex<HashMap<String, Timestamp>>,
}

/// An attempt that may go on. Unless it is said to be [right](Self::right), it was wrong.
#[must_use = "an attempt that is dropped counts as wrong"]
pub struct Guess<'a> {
    app: &'a App,
    now: Timestamp,
    window: i64,
    pair: Option<String>,
    counted: Vec<String>,
    right: bool,
}

impl App {
    /// Counts an attempt; to be called before the secret is looked at.
    ///
    /// # Errors
    /// [`Error::TooManyGuesses`]; [`Error::Control`] when it can't be counted.
    pub async fn guess(
        &self,
        guarded: Guarded<'_>,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Guess<'_>, Error> {
        let Plan { seconds, pair, near, wide } = guarded.plan(address);
        let window = window_start(now, seconds);
        let mut guess = Guess { app: self, now, window, pair, counted: Vec::new(), right: false };
        if guess.pair.as_ref().is_some_and(|pair| self.guesses.trust(pair, now)) {
            return Ok(guess);
        }
        for limits in [near, wide] {
            let counts =
                try_join_all(limits.iter().map(|it| self.control.add_to_window(&it.name, window, 1))).await?;
            let over = limits.iter().zip(&counts).any(|(limit, count)| *count > limit.most);
            let of_pair = counts.last().copied().unwrap_or_default();
            guess.counted.extend(limits.into_iter().map(|it| it.name));
            if over && !guess.is_proven(of_pair).await? {
                // An attempt that was not looked at tells nothing about the secret: it must not lock anyone out.
                guess.take_back().await;
                return Err(Error::TooManyGuesses { retry_after: window + seconds - now.as_second() });
            }
        }
        Ok(guess)
    }
}

impl Guess<'_> {
    /// The secret was right: the attempt is not one against its owner.
    pub async fn right(mut self) {
        self.right = true;
        if self.counted.is_empty() {
            return;
        }
        self.take_back().await;
        if let Some(pair) = &self.pair {
            if let Err(error) = self.app.control.prove(pair, self.now + PROOF_HOLDS).await {
                tracing::warn!(%error, "a proof was not kept");
            }
            self.app.guesses.remember(pair.clone(), self.now);
        }
    }

    async fn is_proven(&self, attempts: u64) -> Result<bool, Error> {
        let Some(pair) = self.pair.as_ref().filter(|_| attempts <= PROVEN) else { return Ok(false) };
        Ok(self.app.control.is_proven(pair, self.now).await?)
    }

    async fn take_back(&self) {
        let given_back = self.counted.iter().map(|it| self.app.control.take_from_window(it, self.window, 1));
        for error in join_all(given_back).await.into_iter().filter_map(Result::err) {
            tracing::warn!(%error, "an attempt stays counted");
        }
    }
}

impl Drop for Guess<'_> {
    fn drop(&mut self) {
        if let (false, Some(pair)) = (self.right, &self.pair) {
            lock(&self.app.guesses.trusted).remove(pair);
        }
    }
}

impl Guesses {
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

    #[test]
    fn addresses_of_one_owner_are_counted_as_one() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:203.0.113.9"), "203.0.113.9");
    }
}
