//! Usage figures: totals of calls.

use std::collections::BTreeMap;

/// The longest duration in the latency buckets, in milliseconds; no function runs longer.
const LONGEST_MS: u64 = 65_535;

/// Totals of a set of calls. The totals of disjoint sets can be added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub calls: u64,
    /// Calls with a response status of 400 to 499.
    pub client_errors: u64,
    /// Calls with a response status of 500 or higher.
    pub server_errors: u64,
    /// The duration of all calls together.
    pub duration_ms: u64,
    /// The number of calls in each [bucket](bucket) of durations, by the bucket's upper bound.
    pub latency: BTreeMap<u64, u64>,
}

impl Usage {
    /// Adds one call.
    pub fn note(&mut self, status: u16, duration_ms: u64) {
        self.calls += 1;
        self.client_errors += u64::from((400..500).contains(&status));
        self.server_errors += u64::from(status >= 500);
        self.duration_ms += duration_ms;
        *self.latency.entry(bucket(duration_ms)).or_default() += 1;
    }

    pub fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.client_errors += other.client_errors;
        self.server_errors += other.server_errors;
        self.duration_ms += other.duration_ms;
        for (bucket, calls) in &other.latency {
            *self.latency.entry(*bucket).or_default() += calls;
        }
    }

    /// Returns the number of calls with status 400 or higher; all other calls are successes.
    pub fn errors(&self) -> u64 {
        self.client_errors + self.server_errors
    }

    /// Returns the percentage of successful calls, to two decimal places; 0 without calls.
    pub fn success_rate(&self) -> f64 {
        percent(self.calls.saturating_sub(self.errors()), self.calls)
    }

    /// Returns the average duration in milliseconds, to one decimal place; 0 without calls.
    pub fn average_ms(&self) -> f64 {
        ratio(self.duration_ms * 10, self.calls).round() / 10.0
    }

    /// Returns the 95th percentile of the durations in milliseconds; 0 without calls.
    ///
    /// It is the upper bound of a bucket, less than 25% above the exact figure.
    pub fn p95_ms(&self) -> u64 {
        let wanted = (self.calls * 95).div_ceil(100);
        let mut calls = 0;
        let reached = self.latency.iter().find(|(_, count)| {
            calls += **count;
            calls >= wanted
        });
        reached.map_or(0, |(upper, _)| *upper)
    }
}

/// Returns `part` as a percentage of `whole`, to two decimal places; 0 if `whole` is 0.
pub fn percent(part: u64, whole: u64) -> f64 {
    ratio(part * 10_000, whole).round() / 100.0
}

// Counts are far below 2^53.
#[allow(clippy::cast_precision_loss)]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Returns the upper bound of the bucket that contains a duration.
///
/// Below 8 ms, each millisecond is a bucket. Above, there are four buckets per doubling.
pub fn bucket(duration_ms: u64) -> u64 {
    let duration_ms = duration_ms.min(LONGEST_MS);
    if duration_ms < 8 {
        return duration_ms;
    }
    let step = 1_u64 << (duration_ms.ilog2() - 2);
    duration_ms | (step - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(calls: impl IntoIterator<Item = (u16, u64)>) -> Usage {
        let mut usage = Usage::default();
        for (status, duration_ms) in calls {
            usage.note(status, duration_ms);
        }
        usage
    }

    #[test]
    fn a_bucket_is_less_than_a_quarter_above_its_durations() {
        let mut uppers = std::collections::BTreeSet::new();
        for duration in 0..=LONGEST_MS {
            let upper = bucket(duration);
            assert!(upper >= duration && (upper - duration) * 4 < duration.max(1), "{duration}: {upper}");
            assert_eq!(bucket(upper), upper);
            uppers.insert(upper);
        }
        assert_eq!(uppers.len(), 60);
        assert_eq!(bucket(u64::MAX), LONGEST_MS);
    }

    #[test]
    fn every_status_below_400_is_a_success() {
        let usage = of([(200, 1), (201, 1), (304, 1), (400, 1), (404, 1), (429, 1), (500, 1)]);
        assert_eq!((usage.calls, usage.errors(), usage.server_errors), (7, 4, 1));
        assert!((usage.success_rate() - 42.86).abs() < f64::EPSILON);
    }

    #[test]
    fn figures_without_calls_are_zero() {
        let usage = Usage::default();
        assert_eq!((usage.success_rate(), usage.average_ms(), usage.p95_ms()), (0.0, 0.0, 0));
    }

    #[test]
    fn ninety_five_percent_of_calls_are_within_the_95th_percentile() {
        let usage = of((1..=100).map(|duration| (200, duration)));
        assert_eq!(usage.p95_ms(), bucket(95));
        assert!((usage.average_ms() - 50.5).abs() < f64::EPSILON);
        assert_eq!(of([(200, 3)]).p95_ms(), 3);
        assert_eq!(of([(200, 1), (200, 7)]).p95_ms(), 7);
    }

    #[test]
    fn the_sums_of_the_parts_add_up_to_the_total() {
        let calls = |from: u64, to: u64| (from..to).map(|i| (if i % 7 == 0 { 500 } else { 200 }, i * 13));
        let mut parts = of(calls(0, 40));
        parts.add(&of(calls(40, 100)));
        assert_eq!(parts, of(calls(0, 100)));
    }
}
