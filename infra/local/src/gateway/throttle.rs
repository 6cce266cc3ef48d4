//! API Gateway's throttling: a token bucket that fills at a steady rate.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::template::Throttling;

pub(super) struct Throttle {
    limits: Throttling,
    bucket: Mutex<Bucket>,
}

struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl Throttle {
    pub(super) fn new(limits: Throttling) -> Self {
        let bucket = Bucket { tokens: f64::from(limits.burst), filled: Instant::now() };
        Self { limits, bucket: Mutex::new(bucket) }
    }

    /// Whether one more request may pass.
    pub(super) fn admits(&self, now: Instant) -> bool {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let since = now.saturating_duration_since(bucket.filled).as_secs_f64();
        bucket.tokens =
            (bucket.tokens + since * f64::from(self.limits.rate)).min(f64::from(self.limits.burst));
        bucket.filled = now;
        let admits = bucket.tokens >= 1.0;
        if admits {
            bucket.tokens -= 1.0;
        }
        admits
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_applies() {
        let throttle = Throttle::new(Throttling { rate: 10, burst: 20 });
        let begin = Instant::now();
        assert_eq!((0..100).filter(|_| throttle.admits(begin)).count(), 20);
        let later = begin + Duration::from_secs(1);
        assert!((9..=11).contains(&(0..100).filter(|_| throttle.admits(later)).count()));
        let much_later = begin + Duration::from_mins(1);
        assert_eq!((0..100).filter(|_| throttle.admits(much_later)).count(), 20);
    }
}
