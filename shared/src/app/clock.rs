//! Time and randomness, injected so that tests can fix them.

use std::sync::Arc;

use jiff::Timestamp;

#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    pub fn system() -> Self {
        Self::from_fn(Timestamp::now)
    }

    pub fn from_fn(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Returns the current instant, to the microsecond.
    ///
    /// Every database stores microseconds, so a response equals what is read later.
    pub fn now(&self) -> Timestamp {
        let now = (self.0)();
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }
}

/// A source of random bytes for ids and secrets.
#[derive(Clone)]
pub struct Random(Arc<Fill>);

type Fill = dyn Fn(&mut [u8]) + Send + Sync;

impl Random {
    /// Returns the operating system's cryptographic generator.
    pub fn system() -> Self {
        Self::from_fn(|bytes| {
            use aws_lc_rs::rand::{SecureRandom, SystemRandom};
            let filled = SystemRandom::new().fill(bytes);
            // Without randomness, secrets could be guessed.
            assert!(filled.is_ok(), "the operating system must provide random bytes");
        })
    }

    pub fn from_fn(fill: impl Fn(&mut [u8]) + Send + Sync + 'static) -> Self {
        Self(Arc::new(fill))
    }

    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.0)(&mut bytes);
        bytes
    }
}
