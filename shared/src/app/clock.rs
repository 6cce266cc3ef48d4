//! Time and chance, handed in so that tests can hold them still.

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

    /// The instant, to the microsecond: what is answered must equal what every database gives back later.
    pub fn now(&self) -> Timestamp {
        let now = (self.0)();
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }
}

/// Random bytes for ids and secrets.
#[derive(Clone)]
pub struct Random(Arc<Fill>);

type Fill = dyn Fn(&mut [u8]) + Send + Sync;

impl Random {
    /// The cryptographic generator of the operating system.
    pub fn system() -> Self {
        Self::from_fn(|bytes| {
            use aws_lc_rs::rand::{SecureRandom, SystemRandom};
            let filled = SystemRandom::new().fill(bytes);
            // Going on without randomness would make secrets that can be guessed.
            assert!(filled.is_ok(), "the operating system has no random bytes");
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
