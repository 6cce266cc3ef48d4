//! How fast an endpoint that answered 429 is called.
//!
//! The rate is probed as TCP probes a network: it grows by a fixed step with each call, and a
//! rejection cuts it by a factor (additive increase, multiplicative decrease). Calls get evenly
//! spaced slots, so a backlog waits in line and no process has to count the calls of the others.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The rate after the first rejection, in thousandths of a call per second like all rates here.
const START: i64 = 2_000;
const SLOWEST: i64 = 100;
/// An endpoint that accepts this rate is no longer limited.
const FASTEST: i64 = 100_000;
/// Before a rejection has shown the endpoint's limit, the rate doubles about every two seconds.
const STEEP_STEP: i64 = 350;
/// Near the limit the rate grows by 0.5 % per second.
const FLAT_STEP: i64 = 5;
/// After this many seconds near the limit, the rate grows by 10 % per second.
///
/// By then the endpoint's limit has probably risen.
const FLAT_SECONDS: i64 = 30;
const SEARCH_STEP: i64 = 100;
/// An endpoint's pace expires this long after the last rejection.
const REMEMBERED_MS: i64 = 3_600_000;
/// The hold if a rejection requests none.
const DEFAULT_HOLD: Duration = Duration::from_secs(5);
const SHORTEST_HOLD: Duration = Duration::from_secs(1);
/// The longest hold that an endpoint can request.
pub const LONGEST_HOLD: Duration = Duration::from_hours(12);
/// The furthest end of a hold, in ms, with an hour for clocks that differ.
///
/// A later one is from a clock that was ahead.
pub const FURTHEST_MS: i64 = 13 * 3_600_000;
/// The longest hold that repeated rejections cause on their own.
const LONGEST_BACKOFF: Duration = Duration::from_mins(10);
/// How far ahead slots are assigned; deliveries without a slot ask again later.
const LINE_MS: i64 = 600_000;

/// An endpoint's pace. The fields are attributes of the subscription; times are Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// Increased by each rejection: slots of an earlier series are void.
    #[serde(rename = "paceSeries")]
    pub series: i64,
    /// When the series started.
    #[serde(rename = "pacedSince")]
    pub since: i64,
    /// The endpoint is not called until then.
    #[serde(rename = "heldUntil")]
    pub held_until: i64,
    /// The rate at the start of the series.
    #[serde(rename = "paceBase")]
    pub base: i64,
    /// The rate at which the endpoint rejected a call after its series' first; 0 if unknown.
    #[serde(rename = "paceLimit")]
    pub limit: i64,
    /// The number of slots assigned in this series.
    #[serde(rename = "paceSlots")]
    pub slots: i64,
    /// The next free slot.
    #[serde(rename = "paceNext")]
    pub next: i64,
    /// The number of consecutive series whose first call was rejected.
    #[serde(rename = "paceStrikes")]
    pub strikes: u32,
}

/// When one delivery may call a paced endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Unix milliseconds.
    pub at: i64,
    pub series: i64,
    /// The slot's number in the series.
    number: i64,
    /// The rate at this point of the series.
    rate: i64,
}

impl Slot {
    /// Whether the endpoint needs no pace if it accepts this call.
    pub fn is_fastest(&self) -> bool {
        self.rate >= FASTEST
    }

    pub fn instant(&self) -> Timestamp {
        Timestamp::from_millisecond(self.at).unwrap_or(Timestamp::MAX)
    }
}

impl Pace {
    /// Returns the pace after a rejection at `now`.
    ///
    /// `slot` is the slot of the rejected call, if it had one; `asked` is the `Retry-After` of the
    /// response; `before` is the previous pace, if any.
    pub fn after_rejection(
        before: Option<&Self>,
        slot: Option<&Slot>,
        asked: Option<Duration>,
        now: Timestamp,
    ) -> Self {
        let now = now.as_millisecond();
        let series = before.map_or(1, |it| it.series + 1);
        let known = before.filter(|it| it.is_live(now));
        let (base, limit, strikes) = match (known, slot) {
            (None, _) => (START, 0, 0),
            (Some(before), None) => (before.base, before.limit, before.strikes),
            (Some(before), Some(slot)) if slot.number == 0 => {
                ((before.base / 2).max(SLOWEST), 0, before.strikes + 1)
            }
            // The search for the limit overshoots by more than growth near it does.
            (Some(before), Some(slot)) => {
                let cut = if before.limit == 0 { 85 } else { 90 };
                ((slot.rate * cut / 100).max(SLOWEST), slot.rate, 0)
            }
        };
        let backoff = match strikes {
            0 => Duration::ZERO,
            strikes => Duration::from_secs(1 << strikes.min(16)).min(LONGEST_BACKOFF),
        };
        let hold = asked.unwrap_or(DEFAULT_HOLD).clamp(SHORTEST_HOLD, LONGEST_HOLD).max(backoff);
        let held_until = now.saturating_add(i64::try_from(hold.as_millis()).unwrap_or(i64::MAX));
        Self { series, since: now, held_until, base, limit, slots: 0, next: held_until, strikes }
    }

    /// Whether the pace has not expired.
    pub fn applies(&self, now: Timestamp) -> bool {
        self.is_live(now.as_millisecond())
    }

    fn is_live(&self, now: i64) -> bool {
        now < self.expires_at() && self.held_until.saturating_sub(now) <= FURTHEST_MS
    }

    /// Returns when the pace expires, in Unix milliseconds.
    pub fn expires_at(&self) -> i64 {
        self.held_until.max(self.since).saturating_add(REMEMBERED_MS)
    }

    pub fn is_held(&self, now: Timestamp) -> bool {
        now.as_millisecond() < self.held_until
    }

    /// Returns the current rate in calls per second, at the next slot.
    pub fn calls_per_second(&self) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "a rate is small")]
        let rate = self.rate_at(self.slots) as f64;
        rate / 1_000.0
    }

    fn rate_at(&self, number: i64) -> i64 {
        let rate = if self.limit == 0 {
            self.base.saturating_add(number.saturating_mul(STEEP_STEP))
        } else {
            let flat = number.min(FLAT_SECONDS * self.limit / 1_000);
            self.base.saturating_add(flat * FLAT_STEP).saturating_add((number - flat) * SEARCH_STEP)
        };
        rate.clamp(SLOWEST, FASTEST)
    }

    /// Takes the next `count` slots, or fewer if the line is full.
    pub fn take(&mut self, count: usize, now: Timestamp) -> Vec<Slot> {
        let now = now.as_millisecond();
        let mut taken = Vec::with_capacity(count);
        self.next = self.next.max(self.held_until).max(now);
        while taken.len() < count && self.next - now <= LINE_MS {
            let rate = self.rate_at(self.slots);
            taken.push(Slot { at: self.next, series: self.series, number: self.slots, rate });
            self.slots += 1;
            self.next += 1_000_000 / rate;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    /// A receiver that accepts some calls per second and answers the others 429, `Retry-After: 1`.
    struct Receiver {
        accepts: i64,
        seen: BTreeMap<i64, i64>,
    }

    impl Receiver {
        fn accepts(&mut self, now: i64) -> bool {
            let seen = self.seen.entry(now / 1_000).or_default();
            *seen += 1;
            *seen <= self.accepts
        }
    }

    /// Returns the calls, the rejections and the time of the last accepted event, in ms.
    ///
    /// Simulates a burst of `events`, from processes that make 32 calls before they know of a
    /// rejection, and that call `lag` ms after their slots.
    fn simulate(accepts: i64, events: usize, lag: i64) -> (usize, usize, i64) {
        let mut receiver = Receiver { accepts, seen: BTreeMap::new() };
        let (mut calls, mut rejected, mut left) = (0, 0, events);
        for _ in 0..32.min(events) {
            calls += 1;
            if receiver.accepts(0) {
                left -= 1;
            } else {
                rejected += 1;
            }
        }
        let second = Some(Duration::from_secs(1));
        let mut pace = Pace::after_rejection(None, None, second, at(1));
        let mut now = 1;
        // All remaining events wait in the line; those beyond its end ask again.
        let mut line: Vec<Slot> = Vec::new();
        while left > 0 {
            line.retain(|slot| slot.series == pace.series);
            if line.is_empty() {
                line = pace.take(left, at(now));
            }
            let slot = line.remove(0);
            now = now.max(slot.at + lag);
            calls += 1;
            if receiver.accepts(now) {
                left -= 1;
            } else {
                rejected += 1;
                pace = Pace::after_rejection(Some(&pace), Some(&slot), second, at(now));
            }
        }
        (calls, rejected, now)
    }

    #[test]
    fn a_receiver_of_five_a_second_gets_300_events_in_75_seconds() {
        for lag in [0, 20, 150] {
            let (calls, rejected, took) = simulate(5, 300, lag);
            println!("lag {lag} ms: {calls} calls, {rejected} rejected, {took} ms");
            assert!(took <= 75_000, "lag {lag}: {took} ms");
            assert!(rejected * 10 <= calls, "lag {lag}: {rejected} of {calls}");
        }
    }

    #[test]
    fn every_receiver_is_used_close_to_its_limit() {
        for accepts in [1, 2, 5, 10, 20, 50] {
            let events = usize::try_from(accepts * 120).unwrap();
            let (calls, rejected, took) = simulate(accepts, events, 5);
            println!("{accepts}/s: {calls} calls, {rejected} rejected, {took} ms");
            assert!(took <= 165_000, "{accepts}/s took {took} ms for what takes 120,000 at best");
            // Apart from the burst's, whose rejections were not predictable.
            assert!(rejected.saturating_sub(31) * 10 <= calls, "{accepts}/s: {rejected} of {calls}");
        }
    }

    #[test]
    fn an_endpoint_that_always_rejects_gets_one_call_per_growing_pause() {
        let now = at(0);
        let mut pace = Pace::after_rejection(None, None, Some(Duration::ZERO), now);
        let mut holds = Vec::new();
        let mut called = now;
        for _ in 0..12 {
            holds.push((pace.held_until - called.as_millisecond()) / 1_000);
            let slot = pace.take(1, called)[0];
            assert_eq!(slot.at, pace.held_until, "nobody calls before the hold ends");
            called = slot.instant();
            pace = Pace::after_rejection(Some(&pace), Some(&slot), Some(Duration::ZERO), called);
        }
        assert_eq!(holds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
    }

    #[test]
    fn a_requested_pause_is_capped_at_twelve_hours() {
        let held = |asked| (Pace::after_rejection(None, None, asked, at(0)).held_until) / 1_000;
        assert_eq!(held(None), 5);
        assert_eq!(held(Some(Duration::from_mins(1))), 60);
        assert_eq!(held(Some(Duration::from_secs(u64::MAX))), 12 * 3600);
        let last = Pace::after_rejection(None, None, Some(Duration::MAX), Timestamp::MAX);
        assert!(last.held_until > Timestamp::MAX.as_millisecond());
    }

    #[test]
    fn a_hold_by_a_clock_that_was_ahead_does_not_apply() {
        let asked = Some(Duration::MAX);
        let pace = Pace::after_rejection(None, None, asked, at(0));
        assert!(pace.applies(at(0)) && pace.applies(at(-60_000)), "clocks differ a little");
        let ahead = Pace::after_rejection(None, None, asked, at(365 * 24 * 3_600_000));
        assert!(!ahead.applies(at(0)));
    }

    #[test]
    fn the_queue_and_the_rate_are_bounded() {
        let mut pace = Pace::after_rejection(None, None, Some(Duration::ZERO), at(0));
        let slots = pace.take(100_000, at(0));
        assert!(slots.windows(2).all(|two| two[0].at < two[1].at));
        assert!(slots.last().unwrap().at <= pace.held_until + LINE_MS, "{:?}", slots.last());
        assert!(slots.last().unwrap().is_fastest() && !slots[0].is_fastest());
        assert!(pace.take(1, at(0)).is_empty());
        for _ in 0..100 {
            let slot = Slot { at: 0, series: pace.series, number: 0, rate: 0 };
            pace = Pace::after_rejection(Some(&pace), Some(&slot), None, at(0));
        }
        assert_eq!(pace.base, SLOWEST);
        assert!(!pace.applies(at(pace.held_until + REMEMBERED_MS)));
    }
}
